//! Scans of any columns, block by block.

use std::cell::RefCell;
use std::ops::ControlFlow;

use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;
use proptest::prelude::*;

use super::samples::using;
use super::{Delta, Version, count, scan, table, version};
use crate::block::BLOCK_ROWS_MAX;
use crate::{Reader, Sampler, Scan, Store, Tally};

/// A store of `snapshots`, each of which starts one process; every third goes in the next snapshot.
fn filled(snapshots: u64) -> Store {
    let store = Store::in_memory().unwrap();
    for n in 1..=snapshots {
        let time = i64::try_from(n).unwrap() * 10;
        let exited = if n % 3 == 1 && n > 1 { vec![version(n - 1, 1)] } else { vec![] };
        let delta = Delta { started: vec![version(n, 1)], exited, ..Delta::default() };
        let mut txn = store.begin().unwrap();
        delta.at(time, (n > 1).then_some(time - 10), |change| txn.record_processes(change)).unwrap();
        let (mut sampler, using) = (Sampler::default(), Process::batch(&[using(n, 7 * time), using(n + 1, 7 * time)]));
        txn.record_samples(&sampler.round(&using, Timestamp(time), 1).unwrap().unwrap()).unwrap();
        txn.commit().unwrap();
    }
    store
}

#[test]
fn a_visit_goes_block_by_block_and_stops_when_told() {
    let store = Store::in_memory().unwrap();
    let many: Vec<_> = (0..BLOCK_ROWS_MAX as u64 * 2 + 5).map(|id| version(id, 1)).collect();
    let mut txn = store.begin().unwrap();
    Delta { started: many, ..Delta::default() }.at(1, Some(0), |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    let view = store.read().unwrap();
    let table = table("process_starts");
    // No column at all is a count.
    let scan = Scan::all(&table, &[]);
    let mut sizes = Vec::new();
    let _complete = view.visit(&scan, &mut |batch| {
        sizes.push(batch.num_rows());
        if sizes.len() == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!(sizes, [BLOCK_ROWS_MAX, BLOCK_ROWS_MAX]);
    assert_eq!(count(&view.scan(&scan).unwrap()), BLOCK_ROWS_MAX * 2 + 5);
}

#[test]
fn of_blocks_without_starts_only_the_keys_are_read_for_starts() {
    let store = Store::in_memory().unwrap();
    let changes = [
        (Delta { started: (0..100).map(|id| version(id, 1)).collect(), ..Delta::default() }, None),
        (Delta { started: vec![version(100, 1)], changed: vec![version(7, 2)], ..Delta::default() }, Some(1)),
        (Delta { changed: vec![version(8, 2)], ..Delta::default() }, Some(2)),
    ];
    for (time, (delta, previous)) in (1..).zip(changes) {
        let mut txn = store.begin().unwrap();
        delta.at(time, previous, |change| txn.record_processes(change)).unwrap();
        txn.commit().unwrap();
    }
    let (table, tally) = (table("process_starts"), RefCell::default());
    let scanned = store.read().unwrap().scan(&Scan { tally: Some(&tally), ..Scan::all(&table, &[0]) }).unwrap();
    let Tally { blocks, rows, rows_pruned, .. } = tally.into_inner();
    assert_eq!((count(&scanned), blocks, rows, rows_pruned), (1, 3, 103, 101));
}

#[test]
fn long_rows_make_small_blocks() {
    let store = Store::in_memory().unwrap();
    let long = |id| Version { command: "x".repeat(3 << 20), ..version(id, 1) };
    let mut txn = store.begin().unwrap();
    let delta = Delta { started: (0..7).map(long).collect(), ..Delta::default() };
    delta.at(1, Some(0), |change| txn.record_processes(change)).unwrap();
    let scanned = scan(&txn, "process_starts", &["command_line"]);
    assert_eq!(count(&scanned), 7);
    assert!(scanned.batches.len() > 2, "{} blocks", scanned.batches.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]
    #[test]
    fn any_columns_in_any_order(picks in prop::collection::vec(any::<prop::sample::Index>(), 0..6)) {
        let store = filled(4);
        for name in ["process_starts", "process_exits", "processes_history", "process_samples", "alerts"] {
            let table = table(name);
            let columns: Vec<_> = picks.iter().map(|pick| pick.index(table.columns.len())).collect();
            let view = store.read().unwrap();
            let all: Vec<_> = (0..table.columns.len()).collect();
            let whole = view.scan(&Scan::all(&table, &all)).unwrap();
            let part = view.scan(&Scan::all(&table, &columns)).unwrap();
            let projected: Vec<_> = whole.batches.iter().map(|batch| batch.project(&columns).unwrap()).collect();
            prop_assert_eq!(part.batches, projected);
        }
    }
}
