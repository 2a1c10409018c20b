//! The crash law: fail at any operation, lose any part of what was not synced; after reopening every acknowledged
//! transaction is there and no half one, each alert is there once, and recording and sealing go on. A disk that only
//! fails is no worse than one that dies: the store answers with errors, and one that is opened again is right.

use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;

use super::disk::{Disk, Fails};
use super::samples::using;
use super::{Delta, alert, everything, version};
use crate::memory::Memory;
use crate::seal::{self, Bounds};
use crate::{Error, MatchState, Sampler, Store};

const SNAPSHOTS: u64 = 7;
/// Two blocks make a segment, two segments a larger one.
const SMALL: Bounds =
    Bounds { due_rows: u64::MAX, due_blocks: 2, merged: 2, tier_rows: 1, stretches: 2, len: u64::MAX };

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
    let using = [n, n + 100].map(|id| using(id, 7 * time));
    let round = Sampler::default().round(&Process::batch(&using), Timestamp(time), 1)?;
    txn.record_samples(&round.expect("the first is due"))?;
    let id = txn.next_alert_id()?;
    txn.put_alert(&alert(id, time))?;
    txn.enqueue_delivery(id)?;
    let state = MatchState { alert_id: id, weight: 1, first_raised: Timestamp(time) };
    txn.put_match_state("r", &n.to_be_bytes(), &state)?;
    txn.set_offset("procmond", n)?;
    txn.commit()
}

/// What happens besides in a life with that many snapshots, the last of them committed here: the alerts before are
/// delivered, and what is due is sealed, once while the snapshot is being recorded.
fn live_on(store: &Store, n: u64, seen: &mut Seen) -> Result<(), Error> {
    let draft = if n.is_multiple_of(3) { seal::draft(&store.reading()?, &SMALL, false)? } else { None };
    commit(store, n)?;
    seen.committed = n;
    if let Some(draft) = draft {
        store.exchange(draft)?;
    }
    while n.is_multiple_of(2) && store.seal_within(&SMALL, false)?.is_some() {}
    seen.sent = n - 1;
    store.delivered(&(1..n).collect::<Vec<_>>())?;
    seen.delivered = n - 1;
    Ok(())
}

/// What whoever drove the store knows.
#[derive(Debug, Default, Clone, Copy)]
struct Seen {
    /// Snapshots that were acknowledged.
    committed: u64,
    /// The alerts up to this one were perhaps taken from the outbox.
    sent: u64,
    /// These surely.
    delivered: u64,
}

/// All that a store holds but its outbox, and how many snapshots that is.
fn dump(store: &Store) -> (u64, Vec<String>) {
    let view = store.read().unwrap();
    let mut all = everything(&view);
    let live = view.live().unwrap();
    all.extend(live.iter().flat_map(|live| super::texts([&live.versions])));
    let txn = store.begin().unwrap();
    all.push(format!("{:?}", txn.match_states("r").unwrap()));
    let contents = view.contents().unwrap();
    all.push(format!("{} versions, {} exits, {} damaged", contents.versions, contents.exits, contents.damaged));
    (view.offset("procmond").unwrap().unwrap_or(0), all)
}

/// An empty store; one is created aside and moved into place whole, so every disk starts with it.
fn created() -> Vec<u8> {
    let file = Memory::default();
    drop(Store::on(file.open_again()).unwrap());
    file.bytes()
}

/// What a store holds after each snapshot.
fn expected() -> Vec<Vec<String>> {
    let clean = Store::in_memory().unwrap();
    let mut expected = vec![dump(&clean).1];
    for n in 1..=SNAPSHOTS {
        commit(&clean, n).unwrap();
        expected.push(dump(&clean).1);
    }
    expected
}

/// A life until the first error.
fn until_it_fails(disk: &Disk) -> Seen {
    let mut seen = Seen::default();
    let Ok(store) = Store::on(disk.clone()) else { return seen };
    let _first_error = (1..=SNAPSHOTS).try_for_each(|n| live_on(&store, n, &mut seen));
    seen
}

/// How far a life goes on after a failure.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    Next,
    End,
}

/// Opens what a disk holds: it is what was acknowledged, perhaps with one snapshot more, and life goes on.
fn holds(bytes: Vec<u8>, seen: Seen, expected: &[Vec<String>], until: Until, context: &str) {
    let store = Store::on(Memory::of(bytes)).unwrap_or_else(|error| panic!("{context}: {error}"));
    let (found, all) = dump(&store);
    assert!(found == seen.committed || found == seen.committed + 1, "{context}: {seen:?}, {found} found");
    assert_eq!(all, expected[usize::try_from(found).unwrap()], "{context}");
    let waiting = store.deliveries().unwrap();
    let at_least: Vec<u64> = (seen.sent + 1..=found).collect();
    let at_most: Vec<u64> = (seen.delivered + 1..=found).collect();
    assert!(waiting == at_least || waiting == at_most, "{context}: {seen:?}, {waiting:?} wait");

    let mut seen = Seen { committed: found, ..seen };
    let last = if until == Until::End { SNAPSHOTS } else { SNAPSHOTS.min(found + 1) };
    (found + 1..=last).try_for_each(|n| live_on(&store, n, &mut seen)).unwrap();
    while store.seal_within(&SMALL, true).unwrap().is_some() {}
    assert_eq!(dump(&store).1, expected[usize::try_from(last).unwrap()], "{context}, at the end");
    let contents = store.read().unwrap().contents().unwrap();
    assert_eq!((contents.blocks, contents.segments), (0, 1), "{context}: {contents:?}");
    assert_eq!((contents.rounds, contents.samples), (last, 2 * last), "{context}: {contents:?}");
    assert!(store.read().unwrap().check(&mut |_| {}).unwrap().is_whole(), "{context}");
}

#[test]
fn committed_is_committed_and_half_is_nothing() {
    let (created, expected) = (created(), expected());
    let disk = Disk::new(created.clone(), Fails::default());
    assert_eq!(until_it_fails(&disk).delivered, SNAPSHOTS - 1);
    let (changes, _) = disk.operations();
    assert!(changes > 100, "the workload writes: {changes} operations");
    for at in 1..=changes {
        let disk = Disk::new(created.clone(), Fails::all_from(at));
        let seen = until_it_fails(&disk);
        for seed in 0..4 {
            let until = if seed == 2 { Until::End } else { Until::Next };
            holds(disk.after_power_loss(seed), seen, &expected, until, &format!("operation {at}, seed {seed}"));
        }
    }
}

/// A life in which what fails is tried again, on the same store and then on one that is opened again.
fn in_spite_of_failures(disk: &Disk) -> Seen {
    let mut seen = Seen::default();
    for _ in 0..2 * SNAPSHOTS {
        let Ok(store) = Store::on(disk.clone()) else { continue };
        let last = SNAPSHOTS.min(seen.committed + 2);
        for _ in 0..2 {
            let _again = (seen.committed + 1..=last).try_for_each(|n| live_on(&store, n, &mut seen));
            let _either = store.seal_within(&SMALL, false);
            let _either = store.read().and_then(|view| view.live());
        }
    }
    seen
}

#[test]
fn a_disk_that_fails_is_no_worse_than_one_that_dies() {
    let (created, expected) = (created(), expected());
    let disk = Disk::new(created.clone(), Fails::default());
    assert_eq!(in_spite_of_failures(&disk).committed, SNAPSHOTS);
    let (changes, reads) = disk.operations();
    assert!(reads > 100, "{reads} reads");
    let fails = (1..=changes).step_by(5).map(Fails::one).chain((1..=reads).step_by(7).map(Fails::one_read));
    for fails in fails {
        let disk = Disk::new(created.clone(), fails.clone());
        let seen = in_spite_of_failures(&disk);
        holds(disk.bytes(), seen, &expected, Until::Next, &format!("{fails:?}, opened by the next process"));
        holds(disk.after_power_loss(2), seen, &expected, Until::Next, &format!("{fails:?}, after the power went too"));
    }
}
