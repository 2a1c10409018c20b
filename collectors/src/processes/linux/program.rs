//! `/proc/PID/exe`: the path of the running program, and whether the file there is still the one that runs.

use crate::text::text;

const DELETED: &[u8] = b" (deleted)";

/// Which file this is: device and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
}

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// This file.
    File(FileId),
    /// Nothing.
    Nothing,
    /// It may not be looked at.
    Unknown,
}

/// The columns made from the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// The path without ` (deleted)`.
    pub path: String,
    /// Whether a file is at the path.
    pub file_exists: Option<bool>,
    /// Whether it is another than the running one.
    pub on_disk_mismatch: Option<bool>,
}

impl Program {
    /// For a program whose path is one of another mount namespace: what is at the path there cannot be told from here,
    /// only that a deleted file is no longer at it.
    pub fn elsewhere(link: &[u8]) -> Self {
        let path = link.strip_suffix(DELETED);
        Self {
            path: text(path.unwrap_or(link)).into_owned(),
            file_exists: None,
            on_disk_mismatch: path.is_some().then_some(true),
        }
    }

    /// For a program whose path is one of ours. A file may really be called `x (deleted)`, so the words count only
    /// where the running file is not found under the whole name.
    pub fn here(link: &[u8], running: At, look: impl Fn(&[u8]) -> At) -> Self {
        let whole = look(link);
        let stripped = link.strip_suffix(DELETED).filter(|_| !same(whole, running));
        let (path, found) = stripped.map_or((link, whole), |path| (path, look(path)));
        Self {
            path: text(path).into_owned(),
            file_exists: match found {
                At::File(_) => Some(true),
                At::Nothing => Some(false),
                At::Unknown => None,
            },
            on_disk_mismatch: match (found, running) {
                (At::File(found), At::File(running)) => Some(found != running),
                (At::Nothing, _) => Some(true),
                _ => stripped.is_some().then_some(true),
            },
        }
    }
}

fn same(one: At, other: At) -> bool {
    matches!(one, At::File(_)) && one == other
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNNING: At = At::File(FileId { device: 1, inode: 10 });
    const OTHER: At = At::File(FileId { device: 1, inode: 11 });

    fn program(path: &str, file_exists: Option<bool>, on_disk_mismatch: Option<bool>) -> Program {
        Program { path: path.to_owned(), file_exists, on_disk_mismatch }
    }

    fn only(path: &str, found: At) -> impl Fn(&[u8]) -> At {
        move |asked| if asked == path.as_bytes() { found } else { At::Nothing }
    }

    #[test]
    fn the_file_that_runs_is_told_from_the_one_at_its_path() {
        let sh = "/bin/sh";
        assert_eq!(Program::here(b"/bin/sh", RUNNING, only(sh, RUNNING)), program(sh, Some(true), Some(false)));
        assert_eq!(Program::here(b"/bin/sh", RUNNING, only(sh, OTHER)), program(sh, Some(true), Some(true)));
        assert_eq!(Program::here(b"/bin/sh", RUNNING, only(sh, At::Unknown)), program(sh, None, None));
        assert_eq!(Program::here(b"/bin/sh", At::Unknown, only(sh, OTHER)), program(sh, Some(true), None));
    }

    #[test]
    fn deleted_programs_are_recognised() {
        let link = b"/bin/sh (deleted)";
        assert_eq!(Program::here(link, RUNNING, |_| At::Nothing), program("/bin/sh", Some(false), Some(true)));
        assert_eq!(Program::here(link, RUNNING, only("/bin/sh", OTHER)), program("/bin/sh", Some(true), Some(true)));
        assert_eq!(Program::here(link, At::Unknown, |_| At::Unknown), program("/bin/sh", None, Some(true)));
        assert_eq!(Program::elsewhere(link), program("/bin/sh", None, Some(true)));
        assert_eq!(Program::elsewhere(b"/bin/sh"), program("/bin/sh", None, None));
    }

    #[test]
    fn a_name_that_only_looks_deleted_is_kept() {
        let name = "/tmp/x (deleted)";
        assert_eq!(
            Program::here(name.as_bytes(), RUNNING, only(name, RUNNING)),
            program(name, Some(true), Some(false))
        );
    }
}
