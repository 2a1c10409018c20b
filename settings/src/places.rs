//! Which files of settings there are, and whether they may be trusted.
//!
//! ```text
//! system   /etc/daemoneye/daemoneye.*
//! user     $XDG_CONFIG_HOME/daemoneye/daemoneye.*, else ~/.config/daemoneye/daemoneye.*
//! project  ./daemoneye.*
//! ```
//!
//! `*` is toml, yaml, yml or json. What comes later goes before. A file that is named takes the place of all of them.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use daemoneye_dsl::diagnostic::Source;

use crate::check::TEXT_LEN_MAX;
use crate::paths::env_path;
use crate::problem::Error;
use crate::tree::Form;

/// The name of every file of settings, without its end.
const STEM: &str = "daemoneye";

/// How far a file of settings reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// Everybody on this host.
    System,
    /// Whoever runs the program.
    User,
    /// The working directory.
    Project,
    /// Named with `--config`.
    Named,
}

impl Layer {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Project => "project",
            Self::Named => "named",
        }
    }
}

/// The folders in which files of settings are looked for, the weakest first.
#[derive(Clone, Debug)]
pub struct Places(pub Vec<(Layer, PathBuf)>);

/// A place where a file of settings may be.
#[derive(Debug)]
pub struct Place {
    /// How far it reaches.
    pub layer: Layer,
    /// Where it would be.
    pub path: PathBuf,
    /// Whether it is there; an error where that cannot be seen.
    pub found: io::Result<bool>,
}

impl Places {
    /// Those of whoever runs this program, here.
    pub fn usual() -> Self {
        let user = env_path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let user = user.or_else(|| Some(env_path("HOME")?.join(".config")));
        let system = cfg!(unix).then(|| (Layer::System, PathBuf::from("/etc/daemoneye")));
        let user = user.map(|folder| (Layer::User, folder.join("daemoneye")));
        Self(system.into_iter().chain(user).chain([(Layer::Project, PathBuf::from("."))]).collect())
    }

    /// Every file that would count, whether it is there or not.
    pub fn look(&self) -> Vec<Place> {
        let names = Form::EXTENSIONS.map(|(extension, _)| format!("{STEM}.{extension}"));
        let all = self.0.iter().flat_map(|(layer, folder)| names.iter().map(move |name| (*layer, folder.join(name))));
        all.map(|(layer, path)| Place { layer, found: is_there(&path), path }).collect()
    }
}

impl Place {
    /// The one that was named.
    pub fn named(path: &Path) -> Self {
        Self { layer: Layer::Named, path: path.to_owned(), found: is_there(path) }
    }
}

fn is_there(path: &Path) -> io::Result<bool> {
    match path.symlink_metadata() {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(false),
        Err(error) => Err(error),
    }
}

/// The text of a file of settings, of which one byte more than is allowed is read: the checker says that it is too long.
pub(crate) fn read(path: &Path, as_root: bool) -> Result<(Form, Source), Error> {
    let form = Form::of(path).ok_or_else(|| Error::NoForm(path.to_owned()))?;
    let unreadable = |reason: io::Error| Error::Unreadable { path: path.to_owned(), reason };
    // Opening a pipe would wait for somebody to write.
    let metadata = path.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(unreadable(io::Error::new(ErrorKind::InvalidInput, "it is no regular file")));
    }
    if as_root && let Some(why) = exposure(path, &metadata) {
        return Err(Error::Exposed { path: path.to_owned(), why });
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(TEXT_LEN_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    let text = String::from_utf8(bytes).or_else(|error| {
        let at = error.utf8_error().valid_up_to();
        // The cut may have gone through a character.
        if at + 4 > TEXT_LEN_MAX {
            return Ok(String::from_utf8_lossy(error.as_bytes()).into_owned());
        }
        Err(unreadable(io::Error::new(ErrorKind::InvalidData, format!("no UTF-8 text from byte {at} on"))))
    })?;
    Ok((form, Source { path: path.display().to_string(), text }))
}

/// Who but root could have written what root is about to follow.
#[cfg(unix)]
fn exposure(path: &Path, metadata: &Metadata) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    const OTHERS: u32 = 0o022;
    const STICKY: u32 = 0o1000;
    if metadata.uid() != 0 {
        return Some(format!("it belongs to user {}; give it to root with chown", metadata.uid()));
    }
    if metadata.mode() & OTHERS != 0 {
        return Some("others may write to it; take that away with chmod go-w".to_owned());
    }
    // What the name leads to, and the folder that holds the name itself.
    let holder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (real, holder) = match path.canonicalize().and_then(|real| Ok((real, holder.canonicalize()?))) {
        Ok(both) => both,
        Err(error) => return Some(format!("its folders cannot be seen: {error}")),
    };
    real.ancestors().skip(1).chain(holder.ancestors()).find_map(|folder| {
        let metadata = match folder.metadata() {
            Ok(metadata) => metadata,
            Err(error) => return Some(format!("{} cannot be seen: {error}", folder.display())),
        };
        // In a sticky folder nobody can replace what is root's.
        let is_open = metadata.mode() & OTHERS != 0 && metadata.mode() & STICKY == 0;
        let is_foreign = metadata.uid() != 0;
        let who = if is_foreign { format!("user {}", metadata.uid()) } else { "others".to_owned() };
        let remedy = "move it to a folder that only root may write to";
        (is_open || is_foreign).then(|| format!("{who} may write to {}; {remedy}", folder.display()))
    })
}

#[cfg(not(unix))]
fn exposure(_path: &Path, _metadata: &Metadata) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_of_a_known_form_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let said = |name: &str| read(&at(name), false).unwrap_err().to_string();
        assert!(said("daemoneye.ini").contains(".toml, .yaml, .yml or .json"), "{}", said("daemoneye.ini"));
        assert!(said("absent.toml").contains("cannot read"), "{}", said("absent.toml"));
        std::fs::create_dir(at("folder.toml")).unwrap();
        assert!(said("folder.toml").contains("no regular file"));
        std::fs::write(at("latin.toml"), b"data = '\xe9'").unwrap();
        assert!(said("latin.toml").contains("from byte 8 on"), "{}", said("latin.toml"));
        std::fs::write(at("long.toml"), "é".repeat(TEXT_LEN_MAX)).unwrap();
        assert!(read(&at("long.toml"), false).unwrap().1.text.len() > TEXT_LEN_MAX);
    }

    #[cfg(unix)]
    #[test]
    fn root_follows_only_what_root_alone_could_write() {
        use std::fs::{Permissions, set_permissions};
        use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("daemoneye.toml");
        std::fs::write(&path, "").unwrap();
        let why = || match read(&path, true) {
            Ok(_) => None,
            Err(Error::Exposed { why, .. }) => Some(why),
            Err(other) => panic!("{other}"),
        };
        if path.metadata().unwrap().uid() != 0 {
            assert!(why().unwrap().contains("belongs to user"));
            return;
        }
        assert_eq!(why(), None);
        set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
        assert!(why().unwrap().contains("chmod go-w"));
        set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(why().unwrap().contains("others may write to /"), "{:?}", why());
        set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        assert_eq!(why(), None);
        chown(&path, Some(65534), None).unwrap();
        assert!(why().unwrap().contains("belongs to user 65534"));
    }
}
