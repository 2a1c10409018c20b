//! What is kept beside the rows: offsets, alerts, matches, rules, deliveries; and what opening says when it cannot.

use daemoneye_dsl::types::Timestamp;
use redb::{Database, TableDefinition};

use super::{Delta, alert, count, scan, version};
use crate::tables::{FORMAT_KEY, META};
use crate::{DELIVERIES_MAX, Error, MatchState, ReadStore, Reader, Store};

fn state(alert_id: u64) -> MatchState {
    MatchState { alert_id, weight: 1, first_raised: Timestamp(5) }
}

#[test]
fn rules_take_their_keys_along_and_no_others() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    for rule in ["a", "ab", "b"] {
        txn.set_rule_revision(rule, "1").unwrap();
        txn.put_match_state(rule, b"", &state(1)).unwrap();
        txn.put_match_state(rule, b"k\xff", &state(2)).unwrap();
    }
    assert_eq!(txn.match_states("a").unwrap(), [(vec![], state(1)), (b"k\xff".to_vec(), state(2))]);
    txn.remove_rule("a").unwrap();
    txn.remove_match_state("b", b"").unwrap();
    txn.commit().unwrap();

    let txn = store.begin().unwrap();
    assert_eq!(txn.installed_rules().unwrap(), [("ab".into(), "1".into()), ("b".into(), "1".into())]);
    assert_eq!(txn.rule_revision("a").unwrap(), None);
    assert_eq!(txn.match_states("a").unwrap(), []);
    assert_eq!(txn.match_states("ab").unwrap().len(), 2);
    assert_eq!(txn.match_state("b", b"").unwrap(), None);
    assert_eq!(txn.match_state("b", b"k\xff").unwrap(), Some(state(2)));
}

#[test]
fn the_sources_heard_last_are_remembered() {
    let store = Store::in_memory().unwrap();
    for number in 0..70u64 {
        let mut txn = store.begin().unwrap();
        txn.set_offset("steady", number).unwrap();
        txn.set_offset(&format!("once-{number}"), 1).unwrap();
        txn.commit().unwrap();
    }
    let view = store.read().unwrap();
    assert_eq!(view.offset("steady").unwrap(), Some(69));
    assert_eq!(view.offset("once-69").unwrap(), Some(1));
    assert_eq!(view.offset("once-7").unwrap(), Some(1));
    assert_eq!(view.offset("once-6").unwrap(), None, "64 sources: the steady one and the last 63");
}

#[test]
fn alerts_are_numbered_replaced_and_scanned() {
    let store = Store::in_memory().unwrap();
    let mut txn = store.begin().unwrap();
    let ids: Vec<_> = (0..2000).map(|_| txn.next_alert_id().unwrap()).collect();
    assert_eq!(ids, (1..=2000).collect::<Vec<_>>());
    for id in &ids {
        txn.put_alert(&alert(*id, i64::try_from(*id).unwrap())).unwrap();
        txn.enqueue_delivery(*id).unwrap();
    }
    let mut again = alert(7, 7);
    again.dedup.count = 9;
    txn.put_alert(&again).unwrap();
    assert_eq!(txn.alert(7).unwrap(), Some(again.clone()));
    txn.commit().unwrap();

    let view = store.read().unwrap();
    assert_eq!(view.alert(7).unwrap(), Some(again));
    assert_eq!(view.alert(2001).unwrap(), None);
    assert_eq!(count(&scan(&view, "alerts", &["id"])), 2000);

    let first = store.deliveries().unwrap();
    assert_eq!(first.len(), DELIVERIES_MAX);
    store.delivered(&first).unwrap();
    assert_eq!(store.deliveries().unwrap(), ids[DELIVERIES_MAX..]);
}

#[test]
fn contradictions_are_refused_and_change_nothing() {
    let store = Store::in_memory().unwrap();
    let refusal = |delta: &Delta, previous| {
        let mut txn = store.begin().unwrap();
        let before = super::everything(&txn);
        let error = delta.at(9, previous, |change| txn.record_processes(change)).unwrap_err();
        assert!(matches!(error, Error::Refused(_)));
        assert_eq!(super::everything(&txn), before);
        error.to_string()
    };
    let one = || vec![version(1, 1)];
    let none = Delta::default();
    let exited = Delta { exited: one(), ..none.clone() };
    assert_eq!(refusal(&exited, Some(1)), "refused: process 0000000000000001 exited, but is not known to be alive");
    let changed = Delta { changed: one(), ..none.clone() };
    assert_eq!(refusal(&changed, None), "refused: process 0000000000000001 changed, but is not known to be alive");
    let twice = Delta { started: [one(), one()].concat(), ..none.clone() };
    assert_eq!(refusal(&twice, None), "refused: process 0000000000000001 appears twice in one snapshot's changes");

    let started = Delta { started: one(), ..none };
    let mut txn = store.begin().unwrap();
    started.at(1, None, |change| txn.record_processes(change)).unwrap();
    txn.commit().unwrap();
    assert_eq!(refusal(&started, Some(1)), "refused: process 0000000000000001 started, but is alive already");
    assert_eq!(refusal(&exited, None), "refused: processes exited, but no snapshot before had them");
}

#[test]
fn a_lie_for_an_id_is_named_without_its_controls() {
    let store = Store::in_memory().unwrap();
    let mut rows = daemoneye_dsl::tables::Process { proc_id: "\u{1b}[2J".to_owned(), ..Default::default() };
    rows.name = "x".to_owned();
    let batch = daemoneye_dsl::tables::Process::batch(&[rows]);
    let columns: Vec<_> = daemoneye_dsl::tables::version_columns()
        .iter()
        .map(|column| batch.schema().index_of(&column.name).unwrap())
        .collect();
    let batch = batch.project(&columns).unwrap();
    let none = batch.slice(0, 0);
    let change = crate::ProcessChange {
        time: Timestamp(1),
        previous_time: None,
        baseline: true,
        started: &batch,
        changed: &none,
        exited: &none,
    };
    let error = store.begin().unwrap().record_processes(&change).unwrap_err().to_string();
    assert!(error.contains("is not 16 lower-case hex digits") && !error.contains('\u{1b}'), "{error}");
    assert!(store.read().unwrap().process("\u{1b}[2J").unwrap().is_none());
}

#[test]
fn the_present_and_the_unknown_are_refused() {
    let store = Store::in_memory().unwrap();
    let view = store.read().unwrap();
    let now = super::table("processes");
    let error = view.scan(&crate::Scan::all(&now, &[0])).unwrap_err();
    assert!(error.to_string().contains("never answered from a stored state"), "{error}");
    let starts = super::table("process_starts");
    assert!(view.scan(&crate::Scan::all(&starts, &[99])).is_err());
}

#[test]
fn opening_says_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    assert!(matches!(ReadStore::open(&path), Err(Error::NotFound(_))));
    assert!(matches!(Store::open(folder.path().join("no/such")), Err(Error::NotFound(_))));
    assert!(matches!(ReadStore::open(folder.path()), Err(Error::Foreign { .. } | Error::Open { .. })));

    let store = Store::open(&path).unwrap();
    assert!(matches!(Store::open(&path), Err(Error::Locked(_))));
    assert!(ReadStore::open(&path).is_ok());
    drop(store);

    let text = folder.path().join("text");
    std::fs::write(&text, "not a store ".repeat(1000)).unwrap();
    for error in [Store::open(&text).err(), ReadStore::open(&text).err()] {
        let error = error.unwrap().to_string();
        assert!(error.contains("text is not a file of this program; move it away"), "{error}");
    }
    let empty = folder.path().join("empty");
    std::fs::write(&empty, "").unwrap();
    assert!(matches!(ReadStore::open(&empty), Err(Error::Foreign { .. })));

    let other = folder.path().join("other.redb");
    let db = Database::create(&other).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(TableDefinition::<u64, u64>::new("x")).unwrap();
    txn.commit().unwrap();
    drop(db);
    assert!(Store::open(&other).err().unwrap().to_string().contains("is a redb file but not an event store"));

    let db = Database::create(&path).unwrap();
    let txn = db.begin_write().unwrap();
    txn.open_table(META).unwrap().insert(FORMAT_KEY, 99).unwrap();
    txn.commit().unwrap();
    drop(db);
    for error in [Store::open(&path).err(), ReadStore::open(&path).err()] {
        assert!(error.unwrap().to_string().contains("has format 99, and this version reads 8"));
    }
}

#[test]
fn an_interrupted_creation_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    std::fs::write(folder.path().join("events.redb.new"), [0; 8192]).unwrap();
    drop(Store::open(&path).unwrap());
    let names: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["events.redb"]);
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_new_store() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    Store::open(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}
