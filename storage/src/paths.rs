//! Where things lie on disk: the data directory and the rule files.

use std::io;
use std::path::{Path, PathBuf};

use daemoneye_dsl::diagnostic::Source;

/// The directory of one agent: its event store and its socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The directory at `path`.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// `/var/lib/daemoneye` for root; for anybody else the user's state directory as the XDG specification has it.
    pub fn of_user(is_root: bool, state_home: Option<PathBuf>, home: Option<PathBuf>) -> Self {
        if is_root {
            return Self::new("/var/lib/daemoneye");
        }
        let absolute = |path: &PathBuf| path.is_absolute();
        let state = state_home.filter(absolute).or_else(|| Some(home?.join(".local/state")));
        Self::new(state.unwrap_or_else(std::env::temp_dir).join("daemoneye"))
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The event store.
    pub fn events(&self) -> PathBuf {
        self.0.join("events.redb")
    }

    /// The broker's socket.
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// Makes the directory, readable by its owner alone, if there is none.
    pub fn create(&self) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(|error| named(&self.0, &error))
    }
}

/// The data directory of whoever runs this program.
pub fn default_data_dir() -> DataDir {
    DataDir::of_user(is_root(), env_path("XDG_STATE_HOME"), env_path("HOME"))
}

#[cfg(unix)]
fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[cfg(not(unix))]
fn is_root() -> bool {
    false
}

fn env_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The rules that are used when none are named: those of the working directory, those installed or built with the
/// program, those of the host.
pub fn default_rules() -> Option<PathBuf> {
    let program = std::env::current_exe().ok();
    let beside = |up: usize, path: &str| Some(program.as_deref()?.ancestors().nth(up)?.join(path));
    let candidates = [
        Some(PathBuf::from("rules")),
        beside(2, "share/daemoneye/rules"),
        beside(3, "rules"),
        Some(PathBuf::from("/etc/daemoneye/rules")),
    ];
    candidates.into_iter().flatten().find(|path| path.is_dir())
}

/// Every `*.sql` file among `paths` and below the directories among them, ordered by path. What cannot be read is an
/// error in its place: nothing is left out in silence, and the others are there.
pub fn rule_sources(paths: &[PathBuf]) -> Vec<io::Result<Source>> {
    let mut files = Vec::new();
    let mut unreadable = Vec::new();
    for path in paths {
        if path.is_dir() {
            unreadable.extend(collect(path, &mut files).err().map(Err));
        } else {
            files.push(path.clone());
        }
    }
    files.sort();
    files.dedup();
    files.iter().map(|path| read(path)).chain(unreadable).collect()
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = std::fs::read_dir(directory).map_err(|error| named(directory, &error))?;
    for entry in entries {
        let path = entry.map_err(|error| named(directory, &error))?.path();
        // A link to a directory is not followed: it may lead back up.
        let is_link = path.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
        if path.is_dir() && !is_link {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "sql") && !path.is_dir() {
            files.push(path);
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<Source> {
    let text = std::fs::read_to_string(path).map_err(|error| named(path, &error))?;
    Ok(Source { path: path.display().to_string(), text })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot use {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_files_are_found_below_and_ordered() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("b/c")).unwrap();
        for file in ["b/c/z.sql", "b/a.sql", "a.sql", "b/readme.md"] {
            std::fs::write(dir.path().join(file), "SELECT 1").unwrap();
        }
        let found: Vec<_> = rule_sources(&[dir.path().to_owned()]).into_iter().map(Result::unwrap).collect();
        let stems: Vec<_> = found.iter().map(Source::stem).collect();
        assert_eq!(stems, ["a", "a", "z"]);
        let missing = rule_sources(&[dir.path().join("none.sql")]).remove(0).unwrap_err();
        assert!(missing.to_string().contains("none.sql"), "{missing}");
    }

    #[test]
    fn the_data_directory_follows_the_user() {
        let home = Some(PathBuf::from("/home/u"));
        assert_eq!(DataDir::of_user(true, None, home.clone()).path(), Path::new("/var/lib/daemoneye"));
        assert_eq!(DataDir::of_user(false, None, home.clone()).path(), Path::new("/home/u/.local/state/daemoneye"));
        assert_eq!(DataDir::of_user(false, Some("/s".into()), home).path(), Path::new("/s/daemoneye"));
    }
}
