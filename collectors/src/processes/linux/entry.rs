//! One folder `/proc/PID`, held open.
//!
//! Everything is read relative to the open folder, so all of it belongs to one process: when that ends, reads fail,
//! and never give what a new process with the same pid has. (A process may still start another program between two
//! reads; nothing prevents that.)

use std::ffi::{CStr, OsString};
use std::os::fd::{AsFd, OwnedFd};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{FileStat, Mode, fstatat};
use nix::unistd;

use super::program::{At, FileId};

/// An open folder of one process or thread.
#[derive(Debug)]
pub(super) struct Entry(OwnedFd);

/// A file's content, at most as long as asked for.
pub(super) struct Content<'b> {
    /// The bytes.
    pub(super) bytes: &'b [u8],
    /// Whether there was more.
    pub(super) cut: bool,
}

impl Entry {
    /// The folder `name` in `parent`.
    pub(super) fn open<P: NixPath + ?Sized>(parent: impl AsFd, name: &P) -> Result<Self, Errno> {
        openat(parent, name, OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).map(Self)
    }

    /// The file `name` in it, up to `len_max` bytes, which must be fewer than `buffer` has.
    pub(super) fn read<'b>(&self, name: &CStr, len_max: usize, buffer: &'b mut [u8]) -> Result<Content<'b>, Errno> {
        let file = openat(&self.0, name, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())?;
        let buffer = &mut buffer[..=len_max];
        let mut len = 0;
        loop {
            let got = match unistd::read(&file, &mut buffer[len..]) {
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            len += got;
            if got == 0 || len == buffer.len() || is_whole(got) {
                break;
            }
        }
        Ok(Content { bytes: &buffer[..len.min(len_max)], cut: len > len_max })
    }

    /// Where the link `name` in it points.
    pub(super) fn link(&self, name: &CStr) -> Result<OsString, Errno> {
        readlinkat(&self.0, name)
    }

    /// Which file the link `name` in it leads to.
    pub(super) fn target(&self, name: &CStr) -> Result<FileId, Errno> {
        fstatat(&self.0, name, AtFlags::empty()).map(|stat| file_id(&stat))
    }
}

impl AsFd for Entry {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// These files are made in memory when they are read and come whole in one call, so asking again for the end of a
/// file, which costs as much as reading it, can be left out. Only above a page is it worth making sure.
fn is_whole(got: usize) -> bool {
    got < 4096
}

/// What is at this path, as seen by us.
pub(super) fn look(path: &[u8]) -> At {
    match nix::sys::stat::stat(path) {
        Ok(stat) => At::File(file_id(&stat)),
        Err(Errno::ENOENT | Errno::ENOTDIR) => At::Nothing,
        Err(_) => At::Unknown,
    }
}

#[cfg_attr(
    target_pointer_width = "64",
    expect(clippy::useless_conversion, reason = "the types differ between architectures")
)]
fn file_id(stat: &FileStat) -> FileId {
    FileId { device: stat.st_dev.into(), inode: stat.st_ino.into() }
}
