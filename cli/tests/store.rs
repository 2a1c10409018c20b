//! The program over an agent's store: history, alerts, and a store that cannot be used.

use std::process::{Command, Output};

use daemoneye_dsl::alert::{ALERT_SCHEMA, Alert, AlertStatus, Dedup, Handling, Level, RuleRef, SnapshotRef};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Process, version_columns};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{ProcessChange, Store};
use serde_json::{Map, Value};
use tempfile::TempDir;

fn run(data: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_daemoneye-cli"));
    command.args(arguments).args(["--data", data.path().to_str().unwrap()]);
    command.env("LANG", "C.UTF-8").env("TERM", "xterm").env_remove("LC_ALL").output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn err(output: &Output) -> &str {
    str::from_utf8(&output.stderr).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = str::from_utf8(&output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn alert(id: u64, level: Level, rule: &str, status: AlertStatus) -> Alert {
    let seen = Timestamp(1_000_000 * i64::try_from(id).unwrap());
    Alert {
        schema: ALERT_SCHEMA,
        id,
        time: seen,
        snapshot: SnapshotRef::default(),
        level,
        title: format!("\u{1b}[2J alert {id}"),
        rule: RuleRef { id: "id".to_owned(), name: rule.to_owned(), rev: "0123456789ab".to_owned() },
        tags: vec!["attack.t1059.004".to_owned()],
        status,
        handling: Handling::New,
        handled: vec![],
        silenced: None,
        initial: false,
        dedup: Dedup { key: Map::new(), count: 1, first_seen: seen, last_seen: seen },
        row: Map::new(),
        process: None,
        ancestors: vec![],
        completeness: Completeness::default().into(),
        sources: vec![],
    }
}

/// A store in which one process started and two rules raised four alerts. It stays open, as the agent's does.
fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path().join("events.redb")).unwrap();
    let row = Process {
        proc_id: format!("{:016x}", 7),
        pid: 1,
        name: "remembered".to_owned(),
        start_time: Some(Timestamp(5)),
        ..Process::default()
    };
    let columns = Process::columns();
    let kept: Vec<_> = (0..columns.len()).filter(|at| !columns[*at].volatile).collect();
    assert_eq!(kept.len(), version_columns().len());
    let started = Process::batch(&[row]).project(&kept).unwrap();
    let nothing = started.slice(0, 0);
    let mut transaction = store.begin().unwrap();
    let time = Timestamp(10);
    let previous_time = Some(Timestamp(4));
    let change =
        ProcessChange { time, previous_time, baseline: false, started: &started, changed: &nothing, exited: &nothing };
    transaction.record_processes(&change).unwrap();
    for (level, rule, status) in [
        (Level::Low, "one", AlertStatus::Open),
        (Level::High, "two", AlertStatus::Resolved),
        (Level::Critical, "two", AlertStatus::Open),
        (Level::Medium, "one", AlertStatus::Open),
    ] {
        let id = transaction.next_alert_id().unwrap();
        transaction.put_alert(&alert(id, level, rule, status)).unwrap();
    }
    transaction.commit().unwrap();
    (dir, store)
}

fn ids(output: &Output) -> Vec<u64> {
    assert_eq!(code(output), 0, "{}", err(output));
    lines(output).iter().map(|alert| alert["id"].as_u64().unwrap()).collect()
}

#[test]
fn alerts_come_newest_first_and_filtered() {
    let (dir, _agent) = store();
    let list = |more: &[&str]| run(&dir, &[&["alerts", "list"], more].concat());
    assert_eq!(ids(&list(&[])), [4, 3, 2, 1]);
    assert_eq!(ids(&list(&["--limit", "2"])), [4, 3]);
    assert_eq!(ids(&list(&["--level", "high"])), [3, 2]);
    assert_eq!(ids(&list(&["--rule", "one"])), [4, 1]);
    assert_eq!(ids(&list(&["--status", "open", "--level", "medium"])), [4, 3]);
    let limited = list(&["--limit", "1", "--status", "open"]);
    assert!(err(&limited).starts_with("1 of 3 alerts that match, 4 in all (--limit 1) · store "), "{}", err(&limited));
    assert_eq!(code(&list(&["--exit-code"])), 1);
    assert_eq!(code(&list(&["--exit-code", "--rule", "none"])), 0);
    assert_eq!(lines(&list(&[]))[0]["title"], "\u{1b}[2J alert 4");
    let table = list(&["-o", "table", "--utc", "--full"]);
    let drawn = str::from_utf8(&table.stdout).unwrap();
    assert!(drawn.contains("time +00:00") && drawn.contains("1970-01-01 00:00:04  medium"), "{drawn}");
    assert!(drawn.contains("⟦\\e⟧[2J alert 4"), "{drawn}");
    let csv = list(&["-o", "csv", "--limit", "1"]);
    let expected =
        "id,time,level,status,handling,rule,title\r\n4,1970-01-01T00:00:04Z,medium,open,new,one,⟦\\e⟧[2J alert 4\r\n";
    assert_eq!(str::from_utf8(&csv.stdout).unwrap(), expected);
    assert!(list(&["-o", "box"]).stdout.starts_with("┌".as_bytes()));
}

#[test]
fn history_comes_from_the_store_and_joins_the_present() {
    let (dir, _agent) = store();
    let starts = run(&dir, &["query", "SELECT name, observed_by, start_time FROM process_starts"]);
    assert_eq!(lines(&starts)[0]["name"], "remembered");
    assert_eq!(lines(&starts)[0]["start_time"], "1970-01-01T00:00:00.000005Z");
    assert!(err(&starts).starts_with("1 row of 1 process start · store "), "{}", err(&starts));
    let joined = "SELECT now.pid, then.name AS was FROM processes now JOIN process_starts then ON then.pid = now.pid";
    let both = run(&dir, &["query", joined]);
    assert_eq!(lines(&both)[0]["was"], "remembered", "{}", err(&both));
    assert!(err(&both).contains("live snapshot") && err(&both).contains("store "), "{}", err(&both));
    assert_eq!(lines(&run(&dir, &["query", "SELECT count(*) AS n FROM alerts"]))[0]["n"], 4);
}

#[test]
fn a_hunt_takes_history_where_there_is_some() {
    let (dir, _agent) = store();
    let rule = dir.path().join("started.sql");
    let header = "-- @id: 00000000-0000-4000-8000-000000000001\n-- @title: {name} started\n-- @level: low\n\
                  -- @status: test\n-- @description: d\n-- @tags: attack.execution\n\
                  -- @platform: linux, macos, windows\n";
    std::fs::write(&rule, format!("{header}SELECT proc_id, name FROM process_starts\n")).unwrap();
    let hunt = run(&dir, &["hunt", "--rules", rule.to_str().unwrap()]);
    assert_eq!(lines(&hunt)[0]["title"], "remembered started", "{}", err(&hunt));
    assert!(err(&hunt).contains("store ") && !err(&hunt).contains("need"), "{}", err(&hunt));
    assert_eq!(code(&hunt), 0);
}

#[test]
fn a_store_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for arguments in [&["alerts", "list"][..], &["query", "SELECT name FROM process_starts"]] {
        let none = run(&dir, arguments);
        assert_eq!(code(&none), 2);
        assert!(err(&none).contains("events.redb") && err(&none).contains("agent"), "{}", err(&none));
    }
    std::fs::write(dir.path().join("events.redb"), "no store").unwrap();
    let foreign = run(&dir, &["alerts", "list"]);
    assert_eq!(code(&foreign), 2);
    assert!(err(&foreign).contains("move it away"), "{}", err(&foreign));
}

#[test]
fn an_alert_is_shown_with_its_lineage_and_nothing_hostile_takes_effect() {
    let (dir, agent) = store();
    let process = |name: &str, pid: u32| {
        let object = serde_json::json!({"name": name, "pid": pid, "user_name": "www", "command_line": null});
        object.as_object().unwrap().clone()
    };
    let mut shown = alert(9, Level::High, "two", AlertStatus::Open);
    shown.process = Some(process("b\u{1b}[2J\nsh", 200));
    shown.ancestors = vec![process("nginx", 100), process("systemd", 1)];
    shown.row = process("row\n  next  rm -rf", 200);
    shown.dedup.count = 3;
    let mut transaction = agent.begin().unwrap();
    transaction.put_alert(&shown).unwrap();
    transaction.commit().unwrap();
    let text = run(&dir, &["alerts", "show", "9", "-o", "table", "--utc"]);
    assert_eq!(code(&text), 0, "{}", err(&text));
    let drawn = str::from_utf8(&text.stdout).unwrap();
    assert!(drawn.starts_with("HIGH  ⟦\\e⟧[2J alert 9\n  #9  open  new  1970-01-01 00:00:09+00:00\n"), "{drawn}");
    assert!(drawn.contains("  two@0123456789ab  T1059.004\n"), "{drawn}");
    let tree = "  systemd[1]  www\n  └─ nginx[100]  www\n     └─ b⟦\\e⟧[2J⟦\\n⟧sh[200]  www  ◄ matched\n";
    assert!(drawn.contains(tree), "{drawn}");
    assert!(
        drawn.contains("row⟦\\n⟧")
            && drawn.contains("input  complete\n  ")
            && drawn.contains("entry  none in the ledger that is known\n")
            && drawn.contains("3 times"),
        "{drawn}"
    );
    assert!(drawn.contains("daemoneye-cli explain two"), "{drawn}");
    assert!(!drawn.contains('\u{1b}') && drawn.matches("\n  next").count() == 1, "{drawn}");
    let ascii = run(&dir, &["alerts", "show", "9", "-o", "table", "--ascii"]);
    assert!(ascii.stdout.is_ascii(), "{}", String::from_utf8_lossy(&ascii.stdout));
    assert_eq!(lines(&run(&dir, &["alerts", "show", "9"]))[0]["ancestors"][1]["name"], "systemd");
    let unknown = run(&dir, &["alerts", "show", "99"]);
    assert_eq!(code(&unknown), 2);
    assert!(err(&unknown).contains("no alert has the id 99") && err(&unknown).contains("alerts list"));
}
