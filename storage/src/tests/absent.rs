//! A part that is missing as a whole is told from one that retention took out, and the rest answers.

use daemoneye_dsl::completeness::Reason;

use super::{Delta, Version, id_text, scan, texts, version};
use crate::history::{self, Part};
use crate::seal::Bounds;
use crate::tables::{BLOCKS, HOLES, SEGMENTS, Tables};
use crate::{Error, Reader, Retention, Store, absent};

/// Every block is a segment of its own until there are many.
const APART: Bounds =
    Bounds { due_rows: u64::MAX, due_blocks: 1, merged: 20, tier_rows: 1, stretches: 2, len: u64::MAX };

fn record(store: &Store, time: i64, started: Vec<Version>, exited: Vec<Version>) {
    let mut txn = store.begin().unwrap();
    Delta { started, exited, ..Delta::default() }
        .at(time, (time > 1).then_some(time - 1), |change| txn.record_processes(change))
        .unwrap();
    txn.commit().unwrap();
}

/// Rows 1 to 120, ten from each snapshot, each in a part of its own; the last two are blocks. Of some segments nothing is
/// left, of others the first, the last or some rows in the middle are not; row n is process n.
fn filled() -> Store {
    let store = Store::in_memory().unwrap();
    let ten = |part: u64| part * 10 + 1..=part * 10 + 10;
    for part in 0..12 {
        record(&store, i64::try_from(part).unwrap() + 1, ten(part).map(|id| version(id, 1)).collect(), vec![]);
        if part < 10 {
            while store.seal_within(&APART, true).unwrap().is_some() {}
        }
    }
    let gone = [1..=10, 25..=30, 31..=37, 43..=46, 71..=80, 81..=90];
    record(&store, 13, vec![], gone.into_iter().flatten().map(|id| version(id, 1)).collect());
    record(&store, 1000, vec![], vec![]);
    while store.keep(Retention { age_micros: 100, bytes: u64::MAX }).unwrap().is_some() {}
    store
}

fn holes(store: &Store) -> Vec<(u64, u64)> {
    let read = store.reading().unwrap();
    let holes = read.table(HOLES).unwrap();
    redb::ReadableTable::iter(&holes)
        .unwrap()
        .map(|hole| hole.map(|(start, end)| (start.value(), end.value())).unwrap())
        .collect()
}

fn parts(store: &Store) -> Vec<Part> {
    history::parts(&store.reading().unwrap()).unwrap()
}

fn remove(store: &Store, part: Part) {
    let txn = store.begin().unwrap();
    match part {
        Part::Block(first) => drop(txn.txn.open_table(BLOCKS).unwrap().remove(first).unwrap()),
        Part::Segment(first) => {
            txn.txn.open_table(SEGMENTS).unwrap().retain_in((first, 0)..=(first, u32::MAX), |_, _| false).unwrap();
        }
    }
    txn.commit().unwrap();
}

#[test]
fn what_retention_took_out_is_not_missing() {
    let store = filled();
    assert_eq!(holes(&store), [(1, 11), (25, 38), (71, 91)]);
    let scanned = scan(&store.read().unwrap(), "processes_history", &["proc_id"]);
    assert!(scanned.completeness.is_complete(), "{:?}", scanned.completeness);
    assert!(store.read().unwrap().process(&id_text(5)).unwrap().is_none());
    // Where parts become one, what was between them is inside.
    while store.seal_within(&Bounds { merged: 2, ..APART }, true).unwrap().is_some() {}
    assert_eq!((parts(&store).len(), holes(&store)), (1, vec![(1, 11)]));
    assert!(store.read().unwrap().check(&mut |_| {}).unwrap().is_whole());
}

#[test]
fn a_part_that_is_missing_is_named_and_takes_nothing_else_along() {
    let all = texts(&scan(&filled().read().unwrap(), "processes_history", &["proc_id"]).batches);
    let places = parts(&filled());
    for (at, gone) in places.iter().enumerate() {
        let store = filled();
        remove(&store, *gone);
        let view = store.read().unwrap();
        let scanned = scan(&view, "process_starts", &["pid"]);
        assert_eq!(scanned.completeness.reasons, [Reason::SegmentQuarantined], "{gone:?}");
        let left = texts(&scan(&view, "processes_history", &["proc_id"]).batches);
        let end = places.get(at + 1).map_or(121, |next| next.first());
        let lost: Vec<_> = (gone.first()..end).map(id_text).filter(|id| all.contains(id)).collect();
        assert_eq!(all.iter().filter(|id| !lost.contains(id)).cloned().collect::<Vec<_>>(), left, "{gone:?}");
        // Of the living, those that are still there; where one may have been, nobody says that it is unknown.
        let live = view.live().unwrap().unwrap();
        assert_eq!(live.completeness.reasons, [Reason::SegmentQuarantined]);
        assert_eq!(live.versions.num_rows(), left.len());
        let unknown = view.process(&id_text(5000)).unwrap_err();
        assert!(matches!(&unknown, Error::Damaged(why) if why.contains(absent::WHY)), "{unknown}");
        let checked = view.check(&mut |_| {}).unwrap();
        let named = format!("rows {} to ", gone.first());
        assert!(checked.damaged.iter().any(|damage| damage.part.starts_with(&named)), "{:?}", checked.damaged);
        drop(view);
        // What is left is sealed on, and stays told from what is missing.
        while store.seal_within(&Bounds { merged: 2, ..APART }, true).unwrap().is_some() {}
        let scanned = scan(&store.read().unwrap(), "processes_history", &["proc_id"]);
        assert_eq!(scanned.completeness.reasons, [Reason::SegmentQuarantined], "{gone:?}");
        assert_eq!((texts(&scanned.batches), parts(&store).len() <= 2), (left, true), "{gone:?}");
    }
}
