//! Where things lie on disk: the data directory and the rule files.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::limits::TEXT;

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

    /// The audit ledger.
    pub fn ledger(&self) -> PathBuf {
        self.0.join("ledger.redb")
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

/// Whether this program runs with root's rights.
#[cfg(unix)]
pub fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// Whether this program runs with root's rights.
#[cfg(not(unix))]
pub fn is_root() -> bool {
    false
}

pub(crate) fn env_path(name: &str) -> Option<PathBuf> {
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

/// A rule file, or a directory of them, that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {error}", .path.display())]
pub struct Unreadable {
    /// The file or directory.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

impl Unreadable {
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        Self { path: path.to_owned(), error }
    }
}

/// Every `*.sql` file among `paths` and below the directories among them, ordered by path. What cannot be read is an
/// error in its place: nothing is left out in silence, and the others are there.
pub fn rule_sources(paths: &[PathBuf]) -> Vec<Result<Source, Unreadable>> {
    let found = Found::below(paths);
    found.files.iter().map(|path| read(path)).chain(found.unreadable.into_iter().map(Err)).collect()
}

/// The paths of the same files, those included that cannot be read.
pub fn rule_files(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut found = Found::below(paths);
    found.files.extend(found.unreadable.into_iter().map(|it| it.path));
    found.files
}

/// Rule files on the way to being read.
#[derive(Default)]
struct Found {
    files: Vec<PathBuf>,
    unreadable: Vec<Unreadable>,
    /// Directories already looked into: links may lead back.
    seen: HashSet<PathBuf>,
}

impl Found {
    fn below(paths: &[PathBuf]) -> Self {
        let mut found = Self::default();
        for path in paths {
            if path.is_dir() {
                found.look_into(path);
            } else {
                found.files.push(path.clone());
            }
        }
        found.files.sort();
        found.files.dedup();
        found
    }

    fn look_into(&mut self, directory: &Path) {
        let real = match directory.canonicalize() {
            Ok(real) => real,
            Err(error) => return self.unreadable.push(Unreadable::new(directory, error)),
        };
        if !self.seen.insert(real) {
            return;
        }
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) => return self.unreadable.push(Unreadable::new(directory, error)),
        };
        for entry in entries {
            match entry.map(|entry| entry.path()) {
                Ok(path) if path.is_dir() => self.look_into(&path),
                Ok(path) if path.extension().is_some_and(|extension| extension == "sql") => self.files.push(path),
                Ok(_) => {}
                Err(error) => self.unreadable.push(Unreadable::new(directory, error)),
            }
        }
    }
}

fn read(path: &Path) -> Result<Source, Unreadable> {
    let text = read_text(path, TEXT.max).map_err(|error| Unreadable::new(path, error))?;
    Ok(Source { path: path.display().to_string(), text })
}

/// The text, of which one byte more than it may have is read; whoever takes it says that it is too long.
pub(crate) fn read_text(path: &Path, len_max: usize) -> io::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(len_max as u64 + 1).read_to_end(&mut bytes)?;
    let cut = bytes.len() > len_max;
    String::from_utf8(bytes).or_else(|error| {
        let end_was_cut = cut && error.utf8_error().error_len().is_none();
        let at = error.utf8_error().valid_up_to();
        let refused = || io::Error::new(io::ErrorKind::InvalidData, format!("no UTF-8 text from byte {at} on"));
        if end_was_cut { Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()) } else { Err(refused()) }
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    let next = match error.kind() {
        io::ErrorKind::PermissionDenied => "give this user access to it, or run as its owner",
        io::ErrorKind::InvalidData => "write it as UTF-8 text",
        _ => "check the path",
    };
    io::Error::new(error.kind(), format!("cannot use {}: {error}; {next}", path.display()))
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
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(dir.path(), dir.path().join("b/loop")).unwrap();
            assert_eq!(rule_sources(&[dir.path().to_owned()]).len(), 3, "a link that leads back is followed once");
        }
        std::fs::write(dir.path().join("b/c/y.sql"), b"\xff").unwrap();
        std::fs::write(dir.path().join("b/c/long.sql"), "x".repeat(TEXT.max + 9)).unwrap();
        let found = rule_sources(&[dir.path().join("b/c")]);
        let refused: Vec<_> = found.iter().filter_map(|it| it.as_ref().err()).map(ToString::to_string).collect();
        assert!(refused.len() == 1 && refused[0].contains("y.sql"), "{refused:?}");
        assert_eq!(found[0].as_ref().unwrap().text.len(), TEXT.max + 1);
    }

    #[test]
    fn the_data_directory_follows_the_user() {
        let home = Some(PathBuf::from("/home/u"));
        assert_eq!(DataDir::of_user(true, None, home.clone()).path(), Path::new("/var/lib/daemoneye"));
        assert_eq!(DataDir::of_user(false, None, home.clone()).path(), Path::new("/home/u/.local/state/daemoneye"));
        assert_eq!(DataDir::of_user(false, Some("/s".into()), home).path(), Path::new("/s/daemoneye"));
    }
}
