//! Files written whole: whoever reads meanwhile sees the old text or the new one, never a part of it.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use tempfile::NamedTempFile;

use crate::{failed, path_remedy};

/// Makes a file, or puts a new text in the place of an old one.
pub(crate) fn create(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let unable = |error: io::Error| {
        let folder_is_missing = error.kind() == io::ErrorKind::NotFound;
        let next = if folder_is_missing { "make its folder first" } else { path_remedy(&error) };
        failed(format!("cannot write {}", path.display()), error, next)
    };
    let old = path.canonicalize().ok();
    let written = match old.as_deref().map(|old| (old, fs::metadata(old))) {
        // A pipe or a device is written to; to put a file in its place would end it.
        Some((old, Ok(kind))) if !kind.is_file() => {
            OpenOptions::new().write(true).open(old).and_then(|mut file| file.write_all(text))
        }
        Some((old, Ok(kind))) => writable(old, &kind).and_then(|()| put(old, text, Some(&kind))),
        Some((_, Err(error))) => Err(error),
        None => put(path, text, None),
    };
    written.map_err(unable)
}

/// Makes a file, for its owner alone, of what `write` writes: it appears when it is whole. One that is there is replaced
/// only by force.
pub(crate) fn stream<T>(
    path: &Path,
    force: bool,
    write: impl FnOnce(&mut File) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let shown = path.display();
    let unable = |error: &io::Error| {
        let next = match error.kind() {
            io::ErrorKind::NotFound => "make its folder first",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free space there, or name another place",
            _ => path_remedy(error),
        };
        failed(format!("cannot write {shown}"), error, next)
    };
    match path.metadata() {
        Ok(_) if !force => bail!("{shown} exists; --force replaces it"),
        Ok(old) if !old.is_file() => bail!("{shown} is no file; name one"),
        _ => {}
    }
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let mut file =
        tempfile::Builder::new().prefix(".daemoneye-").tempfile_in(folder_of(&real)).map_err(|error| unable(&error))?;
    let written = write(file.as_file_mut()).map_err(|error| {
        let io = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>());
        io.map(&unable).unwrap_or(error)
    })?;
    file.as_file().sync_all().map_err(|error| unable(&error))?;
    let persisted = if force { file.persist(&real) } else { file.persist_noclobber(&real) };
    persisted.map_err(|error| unable(&error.error))?;
    Ok(written)
}

/// Puts `new` in the place of `old` in a file that has to hold `old` still. Links lead to the file that is replaced;
/// its permissions and its owner stay.
pub(crate) fn rewrite(path: &Path, old: &str, new: &str) -> anyhow::Result<()> {
    let unable = |error| failed(format!("cannot change {}", path.display()), &error, remedy(&error));
    let real = path.canonicalize().map_err(unable)?;
    let kind = fs::metadata(&real).map_err(unable)?;
    writable(&real, &kind).map_err(unable)?;
    if fs::read(&real).map_err(unable)? != old.as_bytes() {
        let changed = io::Error::new(io::ErrorKind::ResourceBusy, "it has changed since it was read");
        return Err(unable(changed));
    }
    put(&real, new.as_bytes(), Some(&kind)).map_err(unable)
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "make it writable, or ask as its owner",
        io::ErrorKind::ResourceBusy => "try again",
        _ => "check the path",
    }
}

/// A folder lets files be replaced that nobody may write to; that is no leave to do it.
fn writable(path: &Path, kind: &Metadata) -> io::Result<()> {
    if kind.permissions().readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    OpenOptions::new().write(true).open(path).map(drop)
}

fn put(path: &Path, text: &[u8], old: Option<&Metadata>) -> io::Result<()> {
    let mut file = temporary(&folder_of(path))?;
    file.write_all(text)?;
    if let Some(old) = old {
        keep(file.as_file(), old)?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

fn folder_of(path: &Path) -> PathBuf {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.map_or_else(|| PathBuf::from("."), Path::to_owned)
}

#[cfg(unix)]
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    use std::os::unix::fs::PermissionsExt;
    // What the user's mask leaves of it, as for every file that a program makes.
    let everybody = fs::Permissions::from_mode(0o666);
    tempfile::Builder::new().prefix(".daemoneye-").permissions(everybody).tempfile_in(folder)
}

#[cfg(not(unix))]
fn temporary(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(".daemoneye-").tempfile_in(folder)
}

#[cfg(unix)]
fn keep(file: &File, old: &Metadata) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, fchown};
    let new = file.metadata()?;
    if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
        let cannot =
            |error: io::Error| io::Error::new(error.kind(), format!("its owner and group cannot be kept: {error}"));
        fchown(file, Some(old.uid()), Some(old.gid())).map_err(cannot)?;
    }
    file.set_permissions(old.permissions())
}

#[cfg(not(unix))]
fn keep(file: &File, old: &Metadata) -> io::Result<()> {
    file.set_permissions(old.permissions())
}
