//! Whether rule files or lists have changed on disk, found out by looking now and then.
//!
//! Looking works on every file system and costs little for a few thousand files. What was seen to change is taken up when
//! it is the same at the next look: half of a copy is nothing to run.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use daemoneye_settings::lists::list_files;
use daemoneye_settings::paths::rule_files;

/// Every file with what changes when it is written or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files(Vec<(PathBuf, Option<Stamp>)>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    len: u64,
    modified: Option<SystemTime>,
    /// When its content, name or permissions changed last, which nobody can set back.
    changed: (i64, i64),
}

impl Files {
    /// Those that rules at `paths` are made of.
    pub(crate) fn below(paths: &[PathBuf]) -> Self {
        let files = rule_files(paths).into_iter().chain(list_files(paths));
        Self(files.map(|path| (path.clone(), stamp(&path))).collect())
    }
}

fn stamp(path: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let changed = {
        use std::os::unix::fs::MetadataExt;
        (file.ctime(), file.ctime_nsec())
    };
    #[cfg(not(unix))]
    let changed = (0, 0);
    Some(Stamp { len: file.len(), modified: file.modified().ok(), changed })
}

/// What was taken up, and what was seen since.
pub(crate) struct Watch {
    taken: Files,
    seen: Option<Files>,
}

impl Watch {
    /// From what the rules that run were read from.
    pub(crate) fn new(taken: Files) -> Self {
        Self { taken, seen: None }
    }

    /// Whether what is there now is to be taken up, which it then counts as.
    pub(crate) fn look(&mut self, now: Files) -> bool {
        if now == self.taken {
            self.seen = None;
            return false;
        }
        if self.seen.as_ref() == Some(&now) {
            *self = Self::new(now);
            return true;
        }
        self.seen = Some(now);
        false
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_change_counts_once_it_has_settled_and_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let paths = [dir.path().to_owned()];
        fs::create_dir(at("lists")).unwrap();
        fs::write(at("a.sql"), "1").unwrap();
        let mut watch = Watch::new(Files::below(&paths));
        let mut look = || watch.look(Files::below(&paths));
        assert!(!look() && !look());
        fs::write(at("notes.md"), "not a rule").unwrap();
        assert!(!look() && !look());

        fs::write(at("b.sql"), "1").unwrap();
        assert!(!look(), "it may be half of it");
        fs::write(at("b.sql"), "12").unwrap();
        assert!(!look(), "it was");
        assert!(look() && !look(), "added");

        fs::write(at("lists/web.txt"), "nginx").unwrap();
        assert!(!look() && look() && !look(), "a list");
        // Replaced by another file of the same length and age.
        let age = fs::metadata(at("a.sql")).unwrap().modified().unwrap();
        fs::write(at("c"), "2").unwrap();
        fs::File::options().write(true).open(at("c")).unwrap().set_modified(age).unwrap();
        fs::rename(at("c"), at("a.sql")).unwrap();
        assert!(!look() && look() && !look(), "replaced");
        fs::remove_file(at("a.sql")).unwrap();
        assert!(!look() && look() && !look(), "removed");
        fs::remove_file(at("b.sql")).unwrap();
        assert!(!look());
        fs::write(at("b.sql"), "1").unwrap();
        assert!(!look() && look(), "another file of that name");
    }
}
