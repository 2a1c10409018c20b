//! A file in memory, with the byte-range locks that a shared redb file needs.
//!
//! redb's own in-memory storage has no locks and would leave `SingleWriter`, the mode that the product runs in,
//! untested. Each
//! handle on a file owns its locks, as a file description does.

use std::io;
use std::ops::Bound;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use redb::{BackendError, StorageBackend};

/// One handle on a file in memory.
#[derive(Debug)]
pub(crate) struct Memory {
    file: Arc<File>,
    owner: u64,
}

impl Default for Memory {
    fn default() -> Self {
        Self::on(Arc::default())
    }
}

#[derive(Debug, Default)]
struct File {
    content: Mutex<Content>,
    unlocked: Condvar,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    locks: Vec<Lock>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Content").field("len", &self.bytes.len()).finish_non_exhaustive()
    }
}

/// First and last byte.
type Range = (u64, u64);

#[derive(Clone, Copy, PartialEq, Eq)]
struct Lock {
    owner: u64,
    range: Range,
    exclusive: bool,
}

impl Content {
    fn conflicts(&self, wanted: Lock) -> bool {
        self.locks.iter().any(|held| {
            held.owner != wanted.owner
                && (held.exclusive || wanted.exclusive)
                && held.range.0 <= wanted.range.1
                && wanted.range.0 <= held.range.1
        })
    }
}

impl Memory {
    fn on(file: Arc<File>) -> Self {
        static NEXT_OWNER: AtomicU64 = AtomicU64::new(0);
        Self { file, owner: NEXT_OWNER.fetch_add(1, Ordering::Relaxed) }
    }

    /// A file that holds these bytes.
    #[cfg(test)]
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let content = Content { bytes, ..Content::default() };
        Self::on(Arc::new(File { content: Mutex::new(content), unlocked: Condvar::new() }))
    }

    /// Another handle on the same file.
    pub(crate) fn open_again(&self) -> Self {
        Self::on(self.file.clone())
    }

    /// What the file holds.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.content().bytes.clone()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        // Every change to the content is complete before the guard is dropped, so a panic elsewhere does not matter.
        self.file.content.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self, start: Bound<u64>, end: Bound<u64>, exclusive: bool) -> Lock {
        Lock { owner: self.owner, range: range(start, end), exclusive }
    }

    fn try_lock(&self, wanted: Lock) -> bool {
        let mut content = self.content();
        let free = !content.conflicts(wanted);
        if free {
            content.locks.push(wanted);
        }
        free
    }

    fn wait_for(&self, wanted: Lock) {
        let mut content = self.content();
        while content.conflicts(wanted) {
            content = self.file.unlocked.wait(content).unwrap_or_else(PoisonError::into_inner);
        }
        content.locks.push(wanted);
    }
}

fn range(start: Bound<u64>, end: Bound<u64>) -> Range {
    let first = match start {
        Bound::Included(first) => first,
        Bound::Excluded(before) => before.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let last = match end {
        Bound::Included(last) => last,
        Bound::Excluded(after) => after.saturating_sub(1),
        Bound::Unbounded => u64::MAX,
    };
    (first, last)
}

/// The bytes from `offset`, `len` of them.
fn within(offset: u64, len: usize) -> io::Result<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok();
    let range = start.and_then(|start| Some(start..start.checked_add(len)?));
    range.ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

impl StorageBackend for Memory {
    fn len(&self) -> io::Result<u64> {
        Ok(self.content().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let content = self.content();
        let bytes = content.bytes.get(within(offset, out.len())?).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        self.content().bytes.resize(len, 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.content();
        let bytes = content.bytes.get_mut(within(offset, data.len())?).ok_or(io::ErrorKind::UnexpectedEof)?;
        bytes.copy_from_slice(data);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.content().locks.retain(|lock| lock.owner != self.owner);
        self.file.unlocked.notify_all();
        Ok(())
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.try_lock(self.lock(start, end, true)))
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.try_lock(self.lock(start, end, false)))
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.wait_for(self.lock(start, end, true));
        Ok(())
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.wait_for(self.lock(start, end, false));
        Ok(())
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        let mut content = self.content();
        let released = |lock: &Lock| lock.owner == self.owner && lock.range == range(start, end);
        let at = content.locks.iter().position(released).ok_or(BackendError::Io(io::ErrorKind::NotFound.into()))?;
        content.locks.swap_remove(at);
        self.file.unlocked.notify_all();
        Ok(())
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        Ok(self.content().conflicts(self.lock(start, end, true)))
    }
}
