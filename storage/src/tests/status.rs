//! What the agent notes of itself, and the order in which alerts were last written.

use daemoneye_dsl::alert::Level;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleState, RuleStats, RuleStatus};
use daemoneye_dsl::types::{Timestamp, Value};

use redb::ReadableTable;

use super::{Delta, alert, scan, version};
use crate::tables::STATUS;
use crate::transaction::SOURCES_MAX;
use crate::{CHANGES_MAX, Changed, Contents, MatchState, Store, View};

fn rule(path: &str, state: RuleState) -> RuleStatus {
    RuleStatus {
        name: path.to_owned(),
        state,
        detail: None,
        level: Some(Level::Low),
        id: Some(format!("id of {path}")),
        revision: None,
        path: path.to_owned(),
    }
}

fn collector(source: &str) -> CollectorStatus {
    CollectorStatus {
        source: source.to_owned(),
        pid: Some(7),
        first_snapshot: Timestamp(1),
        last_snapshot: Timestamp(2),
        interval_micros: None,
        sequence: 3,
        snapshots: 2,
        missed: 1,
        processes: 5,
        evaluation_micros: 9,
        completeness: Completeness::default(),
    }
}

/// Turns and ids after a turn.
fn changed(view: &View, after: u64) -> Vec<(u64, u64)> {
    let changed = view.changed_alerts(after).unwrap().into_iter();
    changed.map(|Changed { turn, alert }| (turn, alert.unwrap().id)).collect()
}

#[test]
fn each_alert_has_one_turn_and_a_cursor_misses_none() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.read().unwrap().last_turn().unwrap(), 0);
    let write = |ids: &[u64]| {
        let mut txn = store.begin().unwrap();
        for id in ids {
            txn.put_alert(&alert(*id, 1)).unwrap();
        }
        txn.commit().unwrap();
    };
    write(&[1, 2, 3]);
    let before = store.read().unwrap();
    assert_eq!(changed(&before, 0), [(1, 1), (2, 2), (3, 3)]);
    write(&[2, 4, 2]);
    assert_eq!(changed(&store.read().unwrap(), 3), [(5, 4), (6, 2)], "written twice, given once, last");
    assert_eq!(changed(&store.read().unwrap(), 0), [(1, 1), (3, 3), (5, 4), (6, 2)]);
    assert_eq!(changed(&before, 3), [], "a view is one moment");
    assert_eq!(store.read().unwrap().last_turn().unwrap(), 6);
    drop(store.begin().map(|mut txn| txn.put_alert(&alert(9, 1))));
    assert_eq!(store.read().unwrap().last_turn().unwrap(), 6, "what is not committed took no turn");
    write(&(10..2000).collect::<Vec<_>>());
    let view = store.read().unwrap();
    let (mut cursor, mut seen) = (6, Vec::new());
    loop {
        let batch = changed(&view, cursor);
        assert!(batch.len() <= CHANGES_MAX);
        let Some((turn, _)) = batch.last() else { break };
        cursor = *turn;
        seen.extend(batch.into_iter().map(|(_, id)| id));
    }
    assert_eq!(seen, (10..2000).collect::<Vec<_>>());
    assert_eq!(changed(&view, u64::MAX), []);
}

#[test]
fn rules_are_replaced_together_and_told_apart_by_path() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    txn.set_rules(&[rule("a.sql", RuleState::Running), rule("b.sql", RuleState::Limited)]).unwrap();
    txn.set_run(&AgentRun {
        version: "1".to_owned(),
        pid: 1,
        started: Timestamp(1),
        stopped: None,
        socket: "s".to_owned(),
    })
    .unwrap();
    txn.put_match_state("id of b.sql", b"k", &MatchState { alert_id: 1, weight: 2, first_raised: Timestamp(1) })
        .unwrap();
    txn.put_match_state("id of b.sql", b"l", &MatchState { alert_id: 2, weight: 1, first_raised: Timestamp(1) })
        .unwrap();
    txn.commit().unwrap();
    let view = store.read().unwrap();
    let scanned = scan(&view, "rules", &["name", "state", "matching"]);
    let cell = |column: usize, row: usize| Value::at(scanned.batches[0].column(column), row);
    assert_eq!((cell(0, 1), cell(1, 1)), (Value::Text("b.sql".to_owned()), Value::Text("limited".to_owned())));
    assert_eq!((cell(2, 0), cell(2, 1)), (Value::Integer(0), Value::Integer(3)));

    let mut txn = store.begin().unwrap();
    txn.set_rules(&[rule("c.sql", RuleState::Running)]).unwrap();
    txn.set_rule(&rule("c.sql", RuleState::Quarantined)).unwrap();
    txn.commit().unwrap();
    let view = store.read().unwrap();
    assert_eq!(view.rules().unwrap().0, [rule("c.sql", RuleState::Quarantined)]);
    assert_eq!(view.run().unwrap().unwrap().pid, 1, "the run is no rule");
}

#[test]
fn what_rules_cost_is_one_record_that_is_written_anew() {
    let store = Store::in_memory().unwrap();
    let stats = |rule: &str, total_micros| RuleStats { rule: rule.to_owned(), total_micros, ..RuleStats::default() };
    for written in [&[stats("a", 1), stats("b", 2)][..], &[stats("b", 3)]] {
        let mut txn = store.begin().unwrap();
        txn.set_rule_stats(written).unwrap();
        txn.commit().unwrap();
        let (read, completeness) = store.read().unwrap().rule_stats().unwrap();
        assert!(read == written && completeness.is_complete(), "{read:?}");
    }
    let scanned = scan(&store.read().unwrap(), "rule_stats", &["rule", "total_micros"]);
    let cells: Vec<_> = scanned.batches[0].columns().iter().map(|column| Value::at(column, 0)).collect();
    assert_eq!(cells, [Value::Text("b".to_owned()), Value::Integer(3)]);

    let mut txn = store.begin().unwrap();
    txn.txn.open_table(STATUS).unwrap().insert(("stats", ""), b"damaged".as_slice()).unwrap();
    txn.set_rules(&[rule("c.sql", RuleState::Running)]).unwrap();
    txn.commit().unwrap();
    let (read, completeness) = store.read().unwrap().rule_stats().unwrap();
    assert!(read.is_empty() && completeness.reasons == [Reason::SegmentQuarantined], "{completeness:?}");
}

#[test]
fn collectors_are_forgotten_with_their_offsets() {
    let store = Store::in_memory().unwrap();
    let names: Vec<_> = (0..=SOURCES_MAX).map(|number| format!("c{number:03}")).collect();
    for name in &names {
        let mut txn = store.begin().unwrap();
        txn.set_offset(name, 3).unwrap();
        txn.set_collector(&collector(name)).unwrap();
        txn.commit().unwrap();
    }
    let (kept, _) = store.read().unwrap().collectors().unwrap();
    assert_eq!(kept, names[1..].iter().map(|name| collector(name)).collect::<Vec<_>>());
    assert_eq!(store.begin().unwrap().collector("c000").unwrap(), None);
}

#[test]
fn a_damaged_record_is_set_aside_and_said() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    txn.set_collector(&collector("good")).unwrap();
    txn.set_collector(&collector("bad")).unwrap();
    let sealed = txn.txn.open_table(STATUS).unwrap().get(("collector", "good")).unwrap().unwrap().value().to_vec();
    // Sealed for another name.
    txn.txn.open_table(STATUS).unwrap().insert(("collector", "bad"), sealed.as_slice()).unwrap();
    txn.commit().unwrap();
    let view = store.read().unwrap();
    let (kept, completeness) = view.collectors().unwrap();
    assert_eq!(kept, [collector("good")]);
    assert_eq!(completeness.reasons, [Reason::SegmentQuarantined]);
    assert_eq!(scan(&view, "collectors", &["source"]).completeness.reasons, [Reason::SegmentQuarantined]);
}

#[test]
fn contents_are_counted_without_reading_rows() {
    let store = Store::in_memory().unwrap();
    assert_eq!(store.read().unwrap().contents().unwrap(), Contents::default());
    let started = Delta { started: vec![version(1, 1), version(2, 1)], ..Delta::default() };
    let mut txn = store.begin().unwrap();
    started.at(5, None, |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    let gone = Delta { exited: vec![version(1, 1)], changed: vec![version(2, 2)], ..Delta::default() };
    let mut txn = store.begin().unwrap();
    gone.at(9, Some(5), |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    let contents = store.read().unwrap().contents().unwrap();
    assert!((1..16 << 10).contains(&contents.block_bytes), "{contents:?}");
    let block_bytes = contents.block_bytes;
    let expected =
        Contents { versions: 3, exits: 1, blocks: 2, block_bytes, oldest: Some(Timestamp(5)), ..Contents::default() };
    assert_eq!(contents, expected);
}
