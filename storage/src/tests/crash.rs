//! The crash law: fail at any operation, lose any part of what was not synced; after reopening every acknowledged
//! transaction is there and no half one, each alert is there once, and recording, sealing, dropping and compacting go
//! on. Of history that is missing which retention took out, and when: all that it had to leave is there. A disk that
//! only fails is no worse than one that dies: the store answers with errors, and one that is opened again is right.

use daemoneye_dsl::audit::Action;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;

use super::disk::{Disk, Fails};
use super::outbox::fact;
use super::samples::using;
use super::{Delta, alert, everything, version};
use crate::history::{self, Part};
use crate::memory::Memory;
use crate::seal::{self, Bounds};
use crate::{Cause, Error, Kept, MatchState, Retention, Sampler, Store};

const SNAPSHOTS: u64 = 8;
/// What ended so long ago may be dropped.
const AGE: i64 = 2;
/// The snapshot after which there is no room for anything.
const FULL_AFTER: u64 = SNAPSHOTS - 1;
/// Two blocks make a segment, two segments a larger one.
const SMALL: Bounds =
    Bounds { due_rows: u64::MAX, due_blocks: 2, merged: 2, tier_rows: 1, stretches: 2, len: u64::MAX };

/// Commits the n-th snapshot, counted from 1, in one transaction with all that goes with it.
fn commit(store: &Store, n: u64) -> Result<(), Error> {
    // Snapshot n starts process n, changes the one before and ends the one before that. The first version lives on.
    let delta = Delta {
        started: if n == 1 { vec![version(100, 1), version(1, 1)] } else { vec![version(n, 1)] },
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
    txn.put_event(&fact(&n.to_string()))?;
    txn.enqueue_delivery(id)?;
    let state = MatchState { alert_id: id, weight: 1, first_raised: Timestamp(time) };
    txn.put_match_state("r", &n.to_be_bytes(), &state)?;
    txn.set_offset("procmond", n)?;
    txn.commit()
}

/// What happens besides in a life with that many snapshots, the last of them committed here: the alerts before are
/// delivered, and what is due is sealed, once while the snapshot is being recorded.
fn live_on(store: &Store, n: u64, seen: &mut Seen) -> Result<(), Error> {
    let draft = if n.is_multiple_of(3) { seal::draft(&store.reading()?, &SMALL, true)? } else { None };
    commit(store, n)?;
    seen.committed = n;
    if let Some(draft) = draft {
        store.exchange(draft)?;
        seen.sealed_meanwhile = true;
    }
    let bounds = if n.is_multiple_of(4) { SMALL } else { Bounds { merged: usize::MAX, ..SMALL } };
    while n.is_multiple_of(2) && store.seal_within(&bounds, false)?.is_some() {}
    while n > 4 && keep(store, Retention { age_micros: AGE, bytes: u64::MAX }, seen)? {}
    if n == FULL_AFTER {
        // Samples and versions, the older first.
        for _ in 0..2 {
            keep(store, Retention { age_micros: i64::MAX, bytes: 0 }, seen)?;
        }
        store.compact()?;
    }
    seen.sent = n - 1;
    store.delivered(&(1..n).collect::<Vec<_>>())?;
    seen.delivered = n - 1;
    Ok(())
}

/// Drops what is not to be kept, in one step; whether there was something.
fn keep(store: &Store, retention: Retention, seen: &mut Seen) -> Result<bool, Error> {
    let segments = || -> Result<Vec<_>, Error> {
        let parts = history::parts(&store.reading()?)?;
        Ok(parts.into_iter().filter(|part| matches!(part, Part::Segment(_))).collect())
    };
    let before = segments()?;
    if store.keep(retention)?.is_none() {
        return Ok(false);
    }
    let after = segments()?;
    seen.went_whole |= after.len() < before.len();
    seen.written_again |= after == before;
    Ok(true)
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
    /// Something was sealed while a snapshot was recorded.
    sealed_meanwhile: bool,
    /// Retention took out all of a segment.
    went_whole: bool,
    /// It took out some rows of one, which was written again under its number.
    written_again: bool,
}

/// All that a store holds but its outbox and what retention noted.
struct Held {
    /// Rows of every table, the living, the matches.
    all: Vec<String>,
    /// Versions: id and command, when they were seen first, and when they ended.
    versions: Vec<(String, i64, Option<i64>)>,
}

impl Held {
    fn by(store: &Store) -> Self {
        let view = store.read().unwrap();
        let mut all = everything(&view);
        let live = view.live().unwrap();
        all.extend(live.iter().flat_map(|live| super::texts([&live.versions])));
        let txn = store.begin().unwrap();
        all.push(format!("{:?}", txn.match_states("r").unwrap()));
        let stored = super::scan(&view, "processes_history", &["proc_id", "command_line", "seen_from", "seen_to"]);
        let versions = super::texts(&stored.batches).into_iter().map(|row| {
            let mut cells = row.rsplitn(3, '|');
            let (to, from) = (cells.next().unwrap(), cells.next().unwrap());
            (cells.next().unwrap().to_owned(), from.parse().unwrap(), to.parse().ok())
        });
        let versions: Vec<_> = versions.collect();
        let contents = view.contents().unwrap();
        assert_eq!((contents.versions, contents.damaged), (versions.len() as u64, 0));
        Self { all, versions }
    }

    /// Holds a store to be this one without what retention noted to have taken out, which it may have.
    fn is_held_by(&self, store: &Store, context: &str) {
        let (found, drops) = (Self::by(store), store.read().unwrap().drops().unwrap());
        let is_left = |name: &str| found.versions.iter().any(|(left, _, _)| left == name);
        let gone: Vec<_> = self.versions.iter().filter(|(name, _, _)| !is_left(name)).collect();
        for (name, from, to) in &gone {
            let to = to.unwrap_or_else(|| panic!("{context}: {name} is alive"));
            let noted = drops.iter().any(|drop| {
                let due = drop.cause == Cause::Size || to <= drop.at.0 - AGE;
                drop.of == Kept::Versions && drop.from.0 <= *from && to <= drop.to.0 && due
            });
            assert!(noted, "{context}: {name} is gone, and nothing says so: {drops:?}");
        }
        let of = |kept| drops.iter().filter(move |drop| drop.of == kept);
        let noted: u64 = of(Kept::Versions).map(|drop| drop.rows).sum();
        assert_eq!(gone.len() as u64, noted, "{context}: {drops:?}");
        let stays = |row: &&String| {
            if let Some(sample) = row.strip_prefix("process_samples: ") {
                let taken = sample.split('|').nth(2).and_then(|time| time.parse().ok()).expect("a sample has a time");
                return !of(Kept::Samples).any(|drop| (drop.from.0..=drop.to.0).contains(&taken));
            }
            let Some((_, row)) = row.strip_prefix("process").and_then(|row| row.split_once(": ")) else { return true };
            !gone.iter().any(|(name, _, _)| {
                let (id, command) = name.split_once('|').expect("a version has both");
                row.starts_with(id) && row.contains(&format!("|{command}|"))
            })
        };
        let left: Vec<_> = self.all.iter().filter(stays).collect();
        assert_eq!(found.all.iter().collect::<Vec<_>>(), left, "{context}");
    }
}

/// An empty store; one is created aside and moved into place whole, so every disk starts with it.
fn created() -> Vec<u8> {
    let file = Memory::default();
    drop(Store::on(file.open_again()).unwrap());
    file.bytes()
}

/// What a store that drops nothing holds after each snapshot.
fn expected() -> Vec<Held> {
    let clean = Store::in_memory().unwrap();
    let mut expected = vec![Held::by(&clean)];
    for n in 1..=SNAPSHOTS {
        commit(&clean, n).unwrap();
        expected.push(Held::by(&clean));
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
fn holds(bytes: Vec<u8>, seen: Seen, expected: &[Held], until: Until, context: &str) {
    let store = Store::on(Memory::of(bytes)).unwrap_or_else(|error| panic!("{context}: {error}"));
    let found = store.read().unwrap().offset("procmond").unwrap().unwrap_or(0);
    assert!(found == seen.committed || found == seen.committed + 1, "{context}: {seen:?}, {found} found");
    expected[usize::try_from(found).unwrap()].is_held_by(&store, context);
    let events = store.read().unwrap().events(0).unwrap();
    assert!(events.iter().zip(1..).all(|(event, number)| event.id.number == number), "{context}: numbers have gaps");
    let told: Vec<_> = events.iter().filter(|it| it.action == Action::AlertRaised).map(|it| &it.subject).collect();
    assert_eq!(told, (1..=found).map(|n| n.to_string()).collect::<Vec<_>>().iter().collect::<Vec<_>>(), "{context}");
    let waiting = store.deliveries().unwrap();
    let at_least: Vec<u64> = (seen.sent + 1..=found).collect();
    let at_most: Vec<u64> = (seen.delivered + 1..=found).collect();
    assert!(waiting == at_least || waiting == at_most, "{context}: {seen:?}, {waiting:?} wait");

    let mut seen = Seen { committed: found, ..seen };
    let last = if until == Until::End { SNAPSHOTS } else { SNAPSHOTS.min(found + 1) };
    (found + 1..=last).try_for_each(|n| live_on(&store, n, &mut seen)).unwrap();
    while store.seal_within(&SMALL, true).unwrap().is_some() {}
    expected[usize::try_from(last).unwrap()].is_held_by(&store, &format!("{context}, at the end"));
    let view = store.read().unwrap();
    let contents = view.contents().unwrap();
    assert_eq!((contents.blocks, contents.segments), (0, 1), "{context}: {contents:?}");
    let drops = view.drops().unwrap();
    let dropped: u64 = drops.iter().filter(|drop| drop.of == Kept::Samples).map(|drop| drop.rows).sum();
    let left = 2 * last - dropped;
    assert_eq!((contents.rounds, contents.samples), (left / 2, left), "{context}: {contents:?}");
    assert!(store.read().unwrap().check(&mut |_| {}).unwrap().is_whole(), "{context}");
}

#[test]
fn committed_is_committed_and_half_is_nothing() {
    let (created, expected) = (created(), expected());
    let disk = Disk::new(created.clone(), Fails::default());
    let seen = until_it_fails(&disk);
    assert_eq!(seen.delivered, SNAPSHOTS - 1);
    assert!(seen.sealed_meanwhile && seen.went_whole && seen.written_again, "{seen:?}");
    let (changes, _) = disk.operations();
    assert!(changes > 100, "the workload writes: {changes} operations");

    for at in 1..=changes {
        let disk = Disk::new(created.clone(), Fails::all_from(at));
        let seen = until_it_fails(&disk);
        // Nothing of what was not synced; then all, or by chance some.
        for seed in [0, if at.is_multiple_of(2) { 1 } else { 2 + at as u64 }] {
            let until = if seed > 1 && at % 4 == 1 { Until::End } else { Until::Next };
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
