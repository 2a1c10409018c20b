//! The crash law with a real process on a real file: a writer that records, raises alerts and delivers them while a
//! thread of it seals is killed at random moments. Whatever was acknowledged is there once, and the next goes on.
//!
//! `STORE_KILLS` sets how often it is killed, `STORE_SEED` replays a failure.

use std::io::{BufRead, BufReader, Write};
use std::ops::{ControlFlow, Range};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use daemoneye_dsl::alert::{ALERT_SCHEMA, Alert, AlertStatus, Dedup, Handling, Level, RuleRef, SnapshotRef};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Process, version_columns};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, MatchState, ProcessChange, Reader, Sampler, Scan, Store, View};

const KILLS: u64 = 200;
/// Kills that one store lives through: what is checked after each grows with it.
const KILLS_OF_A_STORE: u64 = 50;
/// Processes that each transaction starts; the next changes them, the one after ends them.
const ROWS: u64 = 4;
/// The longest that a writer lives on after its first commit.
const LIFE_MAX_MICROS: u64 = 60_000;
/// Names the store to a child of this test; the child runs [`writer`].
const PATH: &str = "DAEMONEYE_TEST_STORE";

fn snapshot(n: u64, version: u32) -> RecordBatch {
    let process = |row: u64| Process {
        proc_id: format!("{:016x}", n * ROWS + row),
        name: "x".to_owned(),
        command_line: Some(format!("transaction {n} row {row} v{version}")),
        cpu_usage: Some(1.0),
        accessible: true,
        ..Process::default()
    };
    Process::batch(&(0..ROWS).map(process).collect::<Vec<_>>())
}

fn rows(n: u64, version: u32) -> RecordBatch {
    let batch = snapshot(n, version);
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).unwrap()).collect();
    batch.project(&columns).unwrap()
}

fn alert(id: u64, time: Timestamp) -> Alert {
    Alert {
        schema: ALERT_SCHEMA,
        id,
        time,
        snapshot: SnapshotRef::default(),
        level: Level::High,
        title: format!("alert {id}"),
        rule: RuleRef { id: "r".to_owned(), name: "x".to_owned(), rev: "1".to_owned() },
        tags: vec![],
        status: AlertStatus::Open,
        handling: Handling::New,
        handled: vec![],
        silenced: None,
        initial: false,
        dedup: Dedup { key: serde_json::Map::new(), count: 1, first_seen: time, last_seen: time },
        row: serde_json::Map::new(),
        process: None,
        ancestors: vec![],
        completeness: Completeness::default().into(),
        sources: vec![],
    }
}

/// Transaction `n`, counted from 1.
fn commit(store: &Store, n: u64) -> Result<(), Error> {
    let none = rows(0, 0).slice(0, 0);
    let time = Timestamp(i64::try_from(n).unwrap());
    let mut txn = store.begin()?;
    txn.record_processes(&ProcessChange {
        time,
        previous_time: Some(Timestamp(time.0 - 1)),
        baseline: false,
        started: &rows(n, 1),
        changed: &if n > 1 { rows(n - 1, 2) } else { none.clone() },
        exited: &if n > 2 { rows(n - 2, 2) } else { none },
    })?;
    // Whoever samples for the first time has a row of every process.
    let round = Sampler::default().round(&snapshot(n, 1), time, 1)?;
    txn.record_samples(&round.expect("it is due"))?;
    let alert_id = txn.next_alert_id()?;
    txn.put_alert(&alert(alert_id, time))?;
    txn.enqueue_delivery(alert_id)?;
    txn.put_match_state("r", &n.to_be_bytes(), &MatchState { alert_id, weight: 1, first_raised: time })?;
    txn.set_offset("procmond", n)?;
    txn.commit()
}

/// Not a test of its own: the process that the other starts and kills.
#[test]
#[ignore = "runs as a child of the other test"]
fn writer() {
    let Ok(path) = std::env::var(PATH) else { return };
    let store = Arc::new(Store::open(path).unwrap());
    let sealing = store.clone();
    std::thread::spawn(move || {
        loop {
            match sealing.seal(true) {
                Ok(Some(_)) => {}
                Ok(None) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => {
                    writeln!(std::io::stdout(), "\ncannot seal: {error}").unwrap();
                    std::process::exit(1);
                }
            }
        }
    });
    let mut out = std::io::stdout();
    let first = store.read().unwrap().offset("procmond").unwrap().unwrap_or(0) + 1;
    for n in first.. {
        commit(&store, n).unwrap();
        writeln!(out, "\ncommitted {n}").unwrap();
        if n.is_multiple_of(3) {
            store.delivered(&[n]).unwrap();
            writeln!(out, "\ndelivered {n}").unwrap();
        }
        out.flush().unwrap();
    }
}

fn spawn_writer(path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact", "--ignored", "--nocapture"])
        .env(PATH, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// How many rows a table has, each with another value of its columns.
fn different(view: &View, table: &str, columns: &[&str]) -> u64 {
    let table = Catalog::builtin().table(table).unwrap().clone();
    let columns: Vec<_> = columns.iter().map(|column| table.column(column).unwrap().0).collect();
    let mut seen = std::collections::HashSet::new();
    let completeness = view
        .visit(&Scan::all(&table, &columns), &mut |batch| {
            for row in 0..batch.num_rows() {
                let values: Vec<String> =
                    batch.columns().iter().map(|it| it.as_string::<i32>().value(row).to_owned()).collect();
                assert!(seen.insert(values), "a row of {} is there twice", table.name);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(completeness.is_complete());
    seen.len() as u64
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn a_killed_writer_that_seals_leaves_everything_once() {
    let (kills, mut random) = (number("STORE_KILLS", KILLS), number("STORE_SEED", 1));
    for from in (0..kills).step_by(usize::try_from(KILLS_OF_A_STORE).unwrap()) {
        lives(from..kills.min(from + KILLS_OF_A_STORE), &mut random);
    }
}

/// Kills the writers of one store.
fn lives(kills: Range<u64>, random: &mut u64) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    let mut segments = Vec::new();
    for kill in kills {
        let mut child = spawn_writer(&path);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = |line: &str, what: &str| line.strip_prefix(what).and_then(|number| number.parse::<u64>().ok());
        let first = lines.by_ref().find_map(|line| said(&line, "committed ")).expect("it commits");
        *random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        std::thread::sleep(Duration::from_micros((*random >> 33) % LIFE_MAX_MICROS));
        child.kill().unwrap();
        child.wait().unwrap();
        let lines: Vec<String> = lines.collect();
        assert!(!lines.iter().any(|line| line.starts_with("cannot")), "{lines:?}");
        let acknowledged = lines.iter().filter_map(|line| said(line, "committed ")).next_back().unwrap_or(first);
        let delivered: Vec<u64> = lines.iter().filter_map(|line| said(line, "delivered ")).collect();

        let store = Store::open(&path).unwrap();
        let view = store.read().unwrap();
        let found = view.offset("procmond").unwrap().unwrap();
        let context = format!("kill {kill}: {acknowledged} acknowledged, {found} found");
        assert!(found == acknowledged || found == acknowledged + 1, "{context}");
        assert_eq!(different(&view, "process_starts", &["proc_id"]), found * ROWS, "{context}");
        assert_eq!(different(&view, "process_exits", &["proc_id"]), found.saturating_sub(2) * ROWS, "{context}");
        assert_eq!(different(&view, "processes_history", &["command_line"]), (2 * found - 1) * ROWS, "{context}");
        assert_eq!(different(&view, "process_samples", &["proc_id"]), found * ROWS, "{context}");
        assert_eq!(different(&view, "alerts", &["title"]), found, "{context}");
        assert_eq!(store.begin().unwrap().match_states("r").unwrap().len() as u64, found, "{context}");
        let waiting = view.deliveries().unwrap();
        assert!(delivered.iter().all(|id| !waiting.contains(id)), "{context}: {delivered:?} of {waiting:?}");
        let live = view.live().unwrap().unwrap();
        assert!(live.completeness.is_complete());
        assert_eq!(live.versions.num_rows() as u64, found.min(2) * ROWS, "{context}");
        let contents = view.contents().unwrap();
        assert_eq!((contents.versions, contents.damaged), ((2 * found - 1) * ROWS, 0), "{context}");
        segments.push(contents.segments);
        // The outbox is read up to a bound.
        store.delivered(&waiting).unwrap();
    }
    let most = segments.iter().max();
    assert!(most.is_some_and(|most| (1..30).contains(most)), "it seals and merges: {segments:?}");
}
