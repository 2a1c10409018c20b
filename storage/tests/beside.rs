//! The store's file between processes: a reader beside the writer, and what is left when the writer is killed.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::tables::{Catalog, Process, version_columns};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, ProcessChange, ReadStore, Reader, Scan, Store};

/// Rows that each transaction starts.
const ROWS: u64 = 50;
/// Names the store to a child of this test; the child runs [`writer`].
const PATH: &str = "DAEMONEYE_TEST_STORE";

/// The processes that transaction `n` starts.
fn started(n: u64) -> RecordBatch {
    let process = |row: u64| Process {
        proc_id: format!("{:016x}", n * ROWS + row),
        name: "x".to_owned(),
        command_line: Some(format!("transaction {n} row {row}")),
        accessible: true,
        ..Process::default()
    };
    let batch = Process::batch(&(0..ROWS).map(process).collect::<Vec<_>>());
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).unwrap()).collect();
    batch.project(&columns).unwrap()
}

/// Records transaction `n` without committing it.
fn record(store: &Store, n: u64) -> daemoneye_storage::Transaction {
    let mut txn = store.begin().unwrap();
    let started = started(n);
    let none = started.slice(0, 0);
    let time = Timestamp(i64::try_from(n).unwrap());
    let change = ProcessChange {
        time,
        previous_time: Some(Timestamp(time.0 - 1)),
        baseline: false,
        started: &started,
        changed: &none,
        exited: &none,
    };
    txn.record_processes(&change).unwrap();
    txn.set_offset("procmond", n).unwrap();
    txn
}

fn starts(reader: &impl Reader) -> u64 {
    let table = Catalog::builtin().table("process_starts").unwrap().clone();
    let scanned = reader.scan(&Scan::all(&table, &[0])).unwrap();
    assert!(scanned.completeness.is_complete());
    scanned.batches.iter().map(|batch| batch.num_rows() as u64).sum()
}

/// Not a test of its own: the process that the others start and kill.
#[test]
#[ignore = "runs as a child of the other tests"]
fn writer() {
    let Ok(path) = std::env::var(PATH) else { return };
    let store = Store::open(path).unwrap();
    let mut out = std::io::stdout();
    let first = store.read().unwrap().offset("procmond").unwrap().unwrap_or(0) + 1;
    for n in first.. {
        record(&store, n).commit().unwrap();
        writeln!(out, "\ncommitted {n}").unwrap();
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

fn committed(line: &str) -> Option<u64> {
    line.strip_prefix("committed ")?.parse().ok()
}

#[test]
fn a_reader_sees_what_is_committed_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    let store = Store::open(&path).unwrap();
    let reader = ReadStore::open(&path).unwrap();
    assert_eq!(starts(&reader), 0);
    for n in 1..=5 {
        let before = reader.read().unwrap();
        let txn = record(&store, n);
        assert_eq!(starts(&txn), n * ROWS);
        assert_eq!(starts(&reader), (n - 1) * ROWS);
        txn.commit().unwrap();
        assert_eq!(starts(&reader), n * ROWS);
        assert_eq!(starts(&before), (n - 1) * ROWS, "a view does not move");
        assert_eq!(starts(&ReadStore::open(&path).unwrap()), n * ROWS);
    }
}

#[test]
fn a_killed_writer_leaves_every_transaction_it_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.redb");
    let mut acknowledged = 0;
    let mut needed_repair = 0;
    for round in 0..8 {
        let mut child = spawn_writer(&path);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut numbers = lines.map_while(Result::ok).filter_map(|line| committed(&line));
        for number in numbers.by_ref().take(3) {
            acknowledged = number;
        }
        // Beside it, a reader in another process sees whole transactions only.
        let reader = ReadStore::open(&path).unwrap();
        let seen = starts(&reader);
        assert!(seen >= acknowledged * ROWS && seen.is_multiple_of(ROWS), "{seen} rows of {acknowledged} transactions");
        // Into the middle of whatever it does.
        std::thread::sleep(Duration::from_micros(700 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().unwrap_or(acknowledged);
        drop(reader);

        match ReadStore::open(&path) {
            Ok(reader) => assert!(starts(&reader) >= acknowledged * ROWS),
            Err(error) => {
                assert!(matches!(error, Error::NeedsRepair(_)), "{error}");
                needed_repair += 1;
            }
        }
        let store = Store::open(&path).unwrap();
        let view = store.read().unwrap();
        let found = view.offset("procmond").unwrap().unwrap();
        assert!(found == acknowledged || found == acknowledged + 1, "{acknowledged} acknowledged, {found} found");
        assert_eq!(starts(&view), found * ROWS);
        assert_eq!(view.live().unwrap().unwrap().versions.num_rows() as u64, found * ROWS);
        drop((view, store));
        assert_eq!(starts(&ReadStore::open(&path).unwrap()), found * ROWS);
    }
    assert!(needed_repair > 0, "a reader after a kill is told to repair");
}
