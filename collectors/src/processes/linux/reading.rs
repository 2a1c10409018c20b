//! Reading one process: what a failure means.

use std::ffi::CStr;

use nix::errno::Errno;

use super::entry::Entry;

/// What has been met while one process is read.
pub(super) struct Reading<'b> {
    /// Something may not be read by us.
    pub(super) denied: bool,
    /// Values that were cut at a bound or could not be read for another reason than the process's end.
    pub(super) lost: u64,
    buffer: &'b mut [u8],
}

impl<'b> Reading<'b> {
    /// Begins; `buffer` is longer than any bound.
    pub(super) fn new(buffer: &'b mut [u8]) -> Self {
        Self { denied: false, lost: 0, buffer }
    }

    /// The value; nothing where the process has ended, or hides or breaks it. An error only where *we* lack what
    /// reading takes: without that every process would look as if it had gone.
    pub(super) fn keep<T>(&mut self, result: Result<T, Errno>) -> Result<Option<T>, Errno> {
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(Errno::ENOENT | Errno::ESRCH) => {}
            Err(Errno::EACCES | Errno::EPERM) => self.denied = true,
            Err(ours @ (Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM)) => return Err(ours),
            Err(_) => self.lost += 1,
        }
        Ok(None)
    }

    /// What `parse` makes of a file.
    pub(super) fn file<T>(
        &mut self,
        entry: &Entry,
        name: &CStr,
        len_max: usize,
        parse: impl FnOnce(&[u8]) -> T,
    ) -> Result<Option<T>, Errno> {
        let read = entry.read(name, len_max, self.buffer).map(|content| (parse(content.bytes), content.cut));
        let kept = self.keep(read)?;
        Ok(kept.map(|(value, cut)| {
            self.lost += u64::from(cut);
            value
        }))
    }

    /// [`Reading::file`] for a file of the kernel's own making, which `parse` must understand.
    pub(super) fn known_file<T>(
        &mut self,
        entry: &Entry,
        name: &CStr,
        len_max: usize,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Errno> {
        let parsed = self.file(entry, name, len_max, parse)?;
        self.lost += u64::from(matches!(parsed, Some(None)));
        Ok(parsed.flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_apart() {
        let mut buffer = [];
        let mut reading = Reading::new(&mut buffer);
        assert_eq!(reading.keep::<()>(Err(Errno::ESRCH)), Ok(None));
        assert_eq!((reading.denied, reading.lost), (false, 0));
        assert_eq!(reading.keep::<()>(Err(Errno::ENAMETOOLONG)), Ok(None));
        assert_eq!((reading.denied, reading.lost), (false, 1));
        assert_eq!(reading.keep::<()>(Err(Errno::EACCES)), Ok(None));
        assert_eq!((reading.denied, reading.lost), (true, 1));
        assert_eq!(reading.keep::<()>(Err(Errno::EMFILE)), Err(Errno::EMFILE));
        assert_eq!(reading.keep(Ok(7)), Ok(Some(7)));
    }
}
