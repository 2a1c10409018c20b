//! The crash law of the ledger: whatever fails, what was acknowledged is there, in its order and once, and for no size
//! are two roots ever handed out.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use daemoneye_dsl::audit::{Action, Event};
use daemoneye_dsl::types::Timestamp;

use super::{entries, events};
use crate::file::File;
use crate::ledger::tables::LEDGER;
use crate::ledger::{Against, Ledger, SignedCheckpoint};
use crate::memory::Memory;
use crate::tests::disk::{Disk, Fails};
use crate::{Error, ledger::Hash};

const BATCHES: u64 = 8;
/// Events of a batch; the entries of all fill more than a block and more than a chunk of nodes.
const BATCH: u64 = 40;

/// What whoever drove the ledger was given.
#[derive(Default)]
struct Seen {
    /// Events that were acknowledged.
    events: u64,
    checkpoints: Vec<SignedCheckpoint>,
}

fn open(disk: Disk, keys: &Path) -> Result<Ledger, Error> {
    let disk = Mutex::new(Some(disk));
    let handle = move || disk.lock().unwrap().take().expect("it is opened once");
    Ledger::beside(File::on_each(handle, LEDGER)?, keys)
}

fn live_on(ledger: &Ledger, batch: u64, seen: &mut Seen) -> Result<(), Error> {
    let now = Timestamp(i64::try_from(batch).unwrap());
    // The last of the batch before comes again, as from an outbox that was not emptied.
    let from = (batch * BATCH).saturating_sub(1);
    ledger.append(&events(from..(batch + 1) * BATCH), now)?;
    seen.events = (batch + 1) * BATCH;
    if batch % 2 == 1 {
        seen.checkpoints.extend(ledger.checkpoint(now)?);
    }
    if batch == 4 {
        seen.checkpoints.push(ledger.rotate(now)?);
    }
    Ok(())
}

fn until_it_fails(disk: &Disk, keys: &Path) -> Seen {
    let mut seen = Seen::default();
    let Ok(ledger) = open(disk.clone(), keys) else { return seen };
    let _first_error = (0..BATCHES).try_for_each(|batch| live_on(&ledger, batch, &mut seen));
    seen
}

fn holds(bytes: Vec<u8>, keys: &Path, mut seen: Seen, context: &str) {
    let disk = Disk::new(bytes, Fails::default());
    let ledger = open(disk, keys).unwrap_or_else(|error| panic!("{context}: {error}"));
    let own = |ledger: &Ledger| -> Vec<Event> {
        let entries = entries(&ledger.read().unwrap());
        entries.into_iter().map(|entry| entry.event).filter(|event| event.action != Action::KeyRotated).collect()
    };
    let found = own(&ledger);
    assert!(found.len() as u64 >= seen.events, "{context}: {} of {}", found.len(), seen.events);
    assert_eq!(found, events(0..found.len() as u64), "{context}");
    verified(&ledger, &seen, context);
    (found.len() as u64 / BATCH..BATCHES).try_for_each(|batch| live_on(&ledger, batch, &mut seen)).unwrap();
    assert_eq!(own(&ledger), events(0..BATCHES * BATCH), "{context}, at the end");
    seen.checkpoints.extend(ledger.checkpoint(Timestamp(99)).unwrap());
    verified(&ledger, &seen, context);
    let mut roots: BTreeMap<u64, Hash> = BTreeMap::new();
    for signed in seen.checkpoints.iter().map(SignedCheckpoint::checkpoint) {
        assert_eq!(*roots.entry(signed.size).or_insert(signed.root), signed.root, "{context}");
    }
}

fn verified(ledger: &Ledger, seen: &Seen, context: &str) {
    let view = ledger.read().unwrap();
    let against = Against { checkpoint: seen.checkpoints.last().cloned(), ..Against::default() };
    let verified = view.verify(&against, 1, &|_| {}).unwrap();
    verified.unwrap_or_else(|mismatch| panic!("{context}: {mismatch:?}"));
    for signed in seen.checkpoints.iter().map(SignedCheckpoint::checkpoint) {
        assert_eq!(view.root(signed.size).unwrap(), Some(signed.root), "{context}: {}", signed.size);
    }
}

/// An empty ledger and its key.
fn created(keys: &Path) -> Vec<u8> {
    let file = Memory::default();
    let handle = file.open_again();
    drop(Ledger::beside(File::on_each(move || handle.open_again(), LEDGER).unwrap(), keys).unwrap());
    file.bytes()
}

/// Lives a life with the same key each time, and gives what it left.
fn each_life(
    fails: impl IntoIterator<Item = Fails>,
    mut look: impl FnMut(&Disk, Seen, &Path, usize),
) -> (usize, usize) {
    let dir = tempfile::tempdir().unwrap();
    let first = dir.path().join("first.redb");
    let created = created(&first);
    let disk = Disk::new(created.clone(), Fails::default());
    for (n, fails) in fails.into_iter().enumerate() {
        let path = dir.path().join(format!("{n}.redb"));
        std::fs::copy(first.with_extension("key"), path.with_extension("key")).unwrap();
        let disk = Disk::new(created.clone(), fails);
        let seen = until_it_fails(&disk, &path);
        look(&disk, seen, &path, n + 1);
        for file in ["key", "key.next", "pub"] {
            let _not_always_there = std::fs::remove_file(path.with_extension(file));
        }
    }
    let seen = until_it_fails(&disk, &first);
    assert_eq!((seen.events, seen.checkpoints.len()), (BATCHES * BATCH, 5));
    disk.operations()
}

#[test]
fn acknowledged_is_there_and_no_size_has_two_roots() {
    let (changes, _) = each_life([], |_, _, _, _| {});
    assert!(changes > 100, "the workload writes: {changes} operations");
    each_life((1..=changes).map(Fails::all_from), |disk, seen, keys, at| {
        // Which of the writes that were not synced the disk keeps.
        let seed = [0, 1, 2 + at as u64][at % 3];
        holds(disk.after_power_loss(seed), keys, seen, &format!("operation {at}, seed {seed}"));
    });
}

#[test]
fn an_operation_that_fails_leaves_nothing_half() {
    let (changes, reads) = each_life([], |_, _, _, _| {});
    each_life((1..=changes).step_by(3).map(Fails::one), |disk, seen, keys, at| {
        holds(disk.bytes(), keys, seen, &format!("change {at}"));
    });
    each_life((1..=reads).step_by(3).map(Fails::one_read), |disk, seen, keys, at| {
        holds(disk.bytes(), keys, seen, &format!("read {at}"));
    });
}
