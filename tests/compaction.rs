//! Why: a store that was once large gives the disk back without anybody's help, and neither whoever reads it nor whoever
//! kills the agent in the middle of that loses anything.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;
use std::time::Duration;

use daemoneye_dsl::alert::{ALERT_SCHEMA, Alert, AlertStatus, Dedup, Handling, Level, RuleRef, SnapshotRef};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{ReadStore, Store};
use daemoneye_tests::{Program, Stage, program, until};

/// Alerts of nearly a mebibyte each: those that made the file large, and those behind them that stay.
const GONE: u64 = 130;
const KEPT: u64 = 30;
const LARGE: usize = (1 << 20) - (8 << 10);

fn alert(id: u64, bytes: usize) -> Alert {
    let mut row = serde_json::Map::new();
    row.insert("text".to_owned(), "x".repeat(bytes).into());
    let time = Timestamp(1);
    Alert {
        schema: ALERT_SCHEMA,
        id,
        time,
        snapshot: SnapshotRef::default(),
        level: Level::Low,
        title: "large".to_owned(),
        rule: RuleRef { id: "r".to_owned(), name: "r".to_owned(), rev: "1".to_owned() },
        tags: vec![],
        status: AlertStatus::Resolved,
        handling: Handling::New,
        handled: vec![],
        silenced: None,
        initial: false,
        dedup: Dedup { key: serde_json::Map::new(), count: 1, first_seen: time, last_seen: time },
        row,
        process: None,
        ancestors: vec![],
        completeness: Completeness::default().into(),
        sources: vec![],
    }
}

fn put(store: &Store, ids: impl Iterator<Item = u64>, bytes: usize) {
    let mut txn = store.begin().unwrap();
    for id in ids {
        assert!(bytes == 1 || txn.next_alert_id().unwrap() == id);
        txn.put_alert(&alert(id, bytes)).unwrap();
    }
    txn.commit().unwrap();
}

#[test]
fn what_is_free_is_given_back_beside_readers_and_through_a_crash() {
    let stage = Stage::new();
    fs::create_dir(stage.data()).unwrap();
    let path = stage.data().join("events.redb");
    let store = Store::open(&path).unwrap();
    for first in (1..=GONE + KEPT).step_by(10) {
        put(&store, first..first + 10, LARGE);
    }
    put(&store, 1..=GONE, 1);
    drop(store);
    let len = || fs::metadata(&path).unwrap().len();
    let before = len();
    assert!(before >= (GONE + KEPT) << 20, "{before}");

    let agent = || {
        let mut command = Command::new(program("daemoneye-agent"));
        command.arg("--data").arg(stage.data()).arg("--rules").arg(stage.rules());
        command.args(["--interval", "5s", "--output", "ndjson", "-v"]).env("XDG_CONFIG_HOME", stage.path());
        Program::start(command)
    };
    // Somebody reads a state for a while: it is put off.
    let first = agent();
    first.says("snapshot committed");
    let reader = ReadStore::open(&path).unwrap();
    let view = reader.read().unwrap();
    first.says("the store is being read");
    assert_eq!(view.alerts().unwrap(), GONE + KEPT);
    assert_eq!(len(), before);
    drop((view, reader));
    let begun = first.said("giving back what is free");
    first.says_times("giving back what is free", begun + 1);
    std::thread::sleep(Duration::from_millis(30));
    first.kill();

    let second = agent();
    let small = until(Duration::from_mins(1), || (len() < before / 3).then_some(()));
    small.unwrap_or_else(|| panic!("{} bytes, {}", len(), second.log()));
    // It goes on as if nothing had been.
    let _suspect = stage.suspect("suspect");
    second.alert("the suspect", |_| true);
    second.stop();
    let store = Store::open(&path).unwrap();
    let view = store.read().unwrap();
    let checked = view.check(&mut |_| {}).unwrap();
    assert!(checked.is_whole() && checked.alerts == GONE + KEPT + 1, "{checked:?}");
    for id in 1..=GONE + KEPT {
        let bytes = if id > GONE { LARGE } else { 1 };
        assert_eq!(view.alert(id).unwrap(), Some(alert(id, bytes)), "alert {id}");
    }
}
