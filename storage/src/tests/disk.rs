//! The disk that the crash law is tried on.

use std::io;
use std::ops::{Bound, Range};
use std::sync::{Arc, Mutex};

use redb::{BackendError, StorageBackend};

use crate::memory::Memory;

/// A disk of which some operations fail, and which knows what was not synced.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    file: Arc<Memory>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    changes: usize,
    reads: usize,
    fails: Fails,
}

/// Which operations fail, counted from 1: of those that change the disk, and of those that read it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fails {
    changes: Range<usize>,
    reads: Range<usize>,
}

impl Fails {
    /// The power goes in the middle of a change.
    pub(crate) fn all_from(change: usize) -> Self {
        Self { changes: change..usize::MAX, ..Self::default() }
    }

    /// One change fails and leaves half of itself; the next are made.
    pub(crate) fn one(change: usize) -> Self {
        Self { changes: change..change + 1, ..Self::default() }
    }

    /// One read fails.
    pub(crate) fn one_read(read: usize) -> Self {
        Self { reads: read..read + 1, ..Self::default() }
    }
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLen(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                let end = offset + data.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[*offset..end].copy_from_slice(data);
            }
        }
    }
}

impl Disk {
    pub(crate) fn new(bytes: Vec<u8>, fails: Fails) -> Self {
        let state = State { durable: bytes.clone(), fails, ..State::default() };
        Self { file: Arc::new(Memory::of(bytes)), state: Arc::new(Mutex::new(state)) }
    }

    /// How many changes and reads were asked for.
    pub(crate) fn operations(&self) -> (usize, usize) {
        let state = self.state.lock().unwrap();
        (state.changes, state.reads)
    }

    /// What the file holds, for a process that opens it next.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.file.bytes()
    }

    /// Makes a change; the first that fails leaves half of itself behind, those after it nothing.
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let fails = state.change_fails();
        let half = fails && state.changes == state.fails.changes.start;
        let change = match change {
            Change::Write(offset, data) if half => Change::Write(offset, data[..data.len() / 2].to_vec()),
            Change::SetLen(_) if fails => return Err(failed()),
            other => other,
        };
        if !fails || half {
            match &change {
                Change::Write(offset, data) => self.file.write(*offset as u64, data)?,
                Change::SetLen(len) => self.file.set_len(*len as u64)?,
            }
            state.unsynced.push(change);
        }
        if fails { Err(failed()) } else { Ok(()) }
    }

    /// What the platter holds after the power went: of what was not synced, what the seed picks.
    pub(crate) fn after_power_loss(&self, seed: u64) -> Vec<u8> {
        let state = self.state.lock().unwrap();
        let mut bytes = state.durable.clone();
        let mut random = seed;
        for change in &state.unsynced {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let kept = match seed {
                0 => false,
                1 => true,
                _ => random >> 63 == 1,
            };
            if kept {
                change.apply(&mut bytes);
            }
        }
        bytes
    }
}

impl State {
    fn change_fails(&mut self) -> bool {
        self.changes += 1;
        self.fails.changes.contains(&self.changes)
    }
}

fn failed() -> io::Error {
    io::Error::other("the disk failed")
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        state.reads += 1;
        if state.fails.reads.contains(&state.reads) {
            return Err(failed());
        }
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(usize::try_from(len).unwrap()))
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.change_fails() {
            return Err(failed());
        }
        let State { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.file.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.file.query_lock_range(start, end)
    }
}
