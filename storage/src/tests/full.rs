//! A disk that is full and has room again: what was committed stays, and the store goes on.

use std::io;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::{BackendError, StorageBackend};

use super::{Delta, count, scan, version};
use crate::memory::Memory;
use crate::{Error, Store};

/// A file that does not grow beyond a limit.
#[derive(Debug)]
struct Limited {
    file: Memory,
    limit: Arc<AtomicU64>,
}

impl StorageBackend for Limited {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len > self.limit.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write(offset, data)
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

/// Records a thousand processes.
fn record(store: &Store, time: i64) -> Result<(), Error> {
    let first = time.unsigned_abs() * 1000;
    let started = (first..first + 1000).map(|id| version(id, 1)).collect();
    let mut txn = store.begin()?;
    let delta = Delta { started, ..Delta::default() };
    delta.at(time, (time > 1).then_some(time - 1), |change| txn.record_processes(change))?;
    txn.commit()
}

fn rows(store: &Store) -> usize {
    count(&scan(&store.read().unwrap(), "processes_history", &["proc_id"]))
}

#[test]
fn a_store_on_a_full_disk_goes_on_when_there_is_room() {
    let file = Memory::default();
    let limit = Arc::new(AtomicU64::new(u64::MAX));
    let given = limit.clone();
    let store = Store::on_each(move || Limited { file: file.open_again(), limit: given.clone() }).unwrap();
    record(&store, 1).unwrap();
    // There is no room for more than what there is; a view of before is open meanwhile.
    limit.store(0, Ordering::Relaxed);
    let before = store.read().unwrap();
    let mut time = 2;
    let error = loop {
        match record(&store, time) {
            Ok(()) => time += 1,
            Err(error) => break error,
        }
        assert!(time < 1000, "it never gets full");
    };
    assert!(matches!(error, Error::Full), "{error}");
    let committed = usize::try_from(time - 1).unwrap() * 1000;
    for _ in 0..3 {
        store.recover();
        let refused = record(&store, time);
        assert!(refused.as_ref().is_err_and(Error::is_of_the_disk), "{refused:?}");
    }
    store.recover();
    assert!(before.live().is_err(), "a view of before is of a file that was closed");
    limit.store(u64::MAX, Ordering::Relaxed);
    assert_eq!(rows(&store), committed);
    record(&store, time).unwrap();
    assert_eq!(rows(&store), committed + 1000);
    assert!(store.read().unwrap().check(&mut |_| {}).unwrap().is_whole());
    while store.seal(true).unwrap().is_some() {}
    assert_eq!(rows(&store), committed + 1000);
}
