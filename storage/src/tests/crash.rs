//! The crash law: fail at any operation, lose any part of what was not synced; after reopening every committed
//! transaction is there and no half one.

use std::io;
use std::ops::Bound;
use std::sync::{Arc, Mutex};

use daemoneye_dsl::types::Timestamp;
use redb::{BackendError, StorageBackend};

use super::{Delta, alert, everything, version};
use crate::memory::Memory;
use crate::{Error, MatchState, Store};

/// A disk that fails from its n-th operation on and knows what was not synced.
#[derive(Debug, Clone)]
struct Disk {
    file: Arc<Memory>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    operations: usize,
    fails_at: Option<usize>,
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
    fn new(bytes: Vec<u8>, fails_at: Option<usize>) -> Self {
        let state = State { durable: bytes.clone(), fails_at, ..State::default() };
        Self { file: Arc::new(Memory::of(bytes)), state: Arc::new(Mutex::new(state)) }
    }

    fn operations(&self) -> usize {
        self.state.lock().unwrap().operations
    }

    /// Counts an operation that changes the disk; one that fails leaves half of its change behind.
    fn change(&self, change: Change) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        let fails = state.fails();
        let change = match change {
            Change::Write(offset, data) if fails => Change::Write(offset, data[..data.len() / 2].to_vec()),
            other => other,
        };
        if state.operations <= state.fails_at.unwrap_or(usize::MAX) {
            state.unsynced.push(change);
        }
        if fails { Err(io::Error::other("the disk failed")) } else { Ok(()) }
    }

    /// What the platter holds after the power went: of what was not synced, what the seed picks.
    fn after_power_loss(&self, seed: u64) -> Vec<u8> {
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
    fn fails(&mut self) -> bool {
        self.operations += 1;
        self.fails_at.is_some_and(|at| self.operations >= at)
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(usize::try_from(len).unwrap()))?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if state.fails() {
            return Err(io::Error::other("the disk failed"));
        }
        let State { durable, unsynced, .. } = &mut *state;
        unsynced.drain(..).for_each(|change| change.apply(durable));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()))?;
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

const SNAPSHOTS: u64 = 6;

/// Commits the n-th snapshot, counted from 1, in one transaction with all that goes with it.
fn commit(store: &Store, n: u64) -> Result<(), Error> {
    // Snapshot n starts process n, changes the one before and ends the one before that.
    let delta = Delta {
        started: vec![version(n, 1), version(n + 100, 1)],
        changed: if n > 1 { vec![version(n - 1, 2)] } else { vec![] },
        exited: if n > 2 { vec![version(n - 2, 2)] } else { vec![] },
    };
    let time = i64::try_from(n).unwrap();
    let mut txn = store.begin()?;
    delta.at(time, (n > 1).then_some(time - 1), |change| txn.record_processes(change))?;
    let id = txn.next_alert_id()?;
    txn.put_alert(&alert(id, time))?;
    txn.enqueue_delivery(id)?;
    let state = MatchState { alert_id: id, weight: 1, first_raised: Timestamp(time) };
    txn.put_match_state("r", &n.to_be_bytes(), &state)?;
    txn.set_offset("procmond", n)?;
    txn.commit()
}

/// All that a store holds, and how many snapshots that is.
fn dump(store: &Store) -> (u64, Vec<String>) {
    let view = store.read().unwrap();
    let mut all = everything(&view);
    let live = view.live().unwrap();
    all.extend(live.iter().flat_map(|live| super::texts([&live.versions])));
    all.push(format!("{:?}", view.deliveries().unwrap()));
    let txn = store.begin().unwrap();
    all.push(format!("{:?}", txn.match_states("r").unwrap()));
    (view.offset("procmond").unwrap().unwrap_or(0), all)
}

/// Runs the workload until the disk fails; the number of snapshots acknowledged.
fn workload(disk: &Disk) -> u64 {
    let Ok(store) = Store::on(disk.clone()) else { return 0 };
    (1..=SNAPSHOTS).take_while(|n| commit(&store, *n).is_ok()).last().unwrap_or(0)
}

#[test]
fn committed_is_committed_and_half_is_nothing() {
    let clean = Store::in_memory().unwrap();
    let mut expected = vec![dump(&clean).1];
    for n in 1..=SNAPSHOTS {
        commit(&clean, n).unwrap();
        expected.push(dump(&clean).1);
    }
    // A store is created aside and moved into place whole, so every disk starts with one.
    let file = Memory::default();
    drop(Store::on(file.open_again()).unwrap());
    let created = file.bytes();
    let disk = Disk::new(created.clone(), None);
    assert_eq!(workload(&disk), SNAPSHOTS);
    let operations = disk.operations();
    assert!(operations > 50, "the workload writes: {operations} operations");

    for fails_at in 1..=operations {
        let disk = Disk::new(created.clone(), Some(fails_at));
        let acknowledged = workload(&disk);
        for seed in 0..4 {
            let store = Store::on(Memory::of(disk.after_power_loss(seed)))
                .unwrap_or_else(|error| panic!("operation {fails_at}, seed {seed}: {error}"));
            let (found, all) = dump(&store);
            assert!(
                found == acknowledged || found == acknowledged + 1,
                "operation {fails_at}, seed {seed}: {acknowledged} acknowledged, {found} found"
            );
            assert_eq!(all, expected[usize::try_from(found).unwrap()], "operation {fails_at}, seed {seed}");
            // It goes on where it stopped.
            if found < SNAPSHOTS {
                commit(&store, found + 1).unwrap();
                assert_eq!(dump(&store).1, expected[usize::try_from(found).unwrap() + 1]);
            }
        }
    }
}
