//! How many rows a second are recorded durably, and how many bytes does each take on the disk?
//!
//! New versions of processes go through the store's transaction (block, summaries, the index of the living) in batches
//! of 10,000 rows and then of 100, in turns with SQLite (WAL, `synchronous=FULL`, one table, indexes on `proc_id` and
//! `seen_from`) and with a bare file to which the same rows are appended, encoded, and synced. Both stores are then
//! opened anew and every `proc_id` and command line is compared with what was given; only then are figures printed.
//! Times are on the wall, medians of the batches.
//!
//! What the hardware allows: the bare append is the estimate, measured beside the others. The store commits in two
//! phases, so it waits for the disk twice where the bare file waits once. The floor is 1,000 rows/s.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, ensure};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use daemoneye_benches::host::{FIRST, process, versions};
use daemoneye_benches::measure::{Samples, Verdict, number};
use daemoneye_benches::sqlite;
use daemoneye_dsl::ipc;
use daemoneye_dsl::tables::{Catalog, Column, version_columns};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type};
use daemoneye_storage::{ProcessChange, ReadStore, Reader, Scan, Store};
use rusqlite::Connection;

/// Rows of a batch, and how many of them.
const ROUNDS: [(usize, usize); 2] = [(10_000, 16), (100, 200)];
const FLOOR_ROWS_PER_SEC: f64 = 1_000.0;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    println!("median of the batches; a row is one version of a process\n");
    println!("{:18} {:>12} {:>12} {:>12} {:>10}", "", "ms a batch", "rows/s", "bytes a row", "ours is");
    let mut verdict = Verdict::default();
    for (rows, batches) in ROUNDS {
        let folder = folder.path().join(rows.to_string());
        fs::create_dir(&folder)?;
        let figures = measure(&folder, rows, batches)?;
        println!("{batches} batches of {rows}");
        let ours = &figures[0].1;
        for (name, figure) in &figures {
            println!("  {name:16} {}", figure.line(ours));
        }
        verdict.expect(ours.rows_per_sec() >= FLOOR_ROWS_PER_SEC, || {
            format!("{:.0} rows/s in batches of {rows}", ours.rows_per_sec())
        });
    }
    verdict.finish()
}

struct Figure {
    batch_rows: usize,
    batch_micros: f64,
    bytes_per_row: f64,
}

impl Figure {
    fn rows_per_sec(&self) -> f64 {
        number(self.batch_rows) * 1e6 / self.batch_micros
    }

    fn line(&self, ours: &Self) -> String {
        let ratio = self.batch_micros / ours.batch_micros;
        format!(
            "{:12.2} {:12.0} {:12.0} {ratio:8.2}× as fast",
            self.batch_micros / 1e3,
            self.rows_per_sec(),
            self.bytes_per_row
        )
    }
}

fn measure(folder: &Path, rows: usize, batches: usize) -> anyhow::Result<[(&'static str, Figure); 3]> {
    let paths = ["events.redb", "events.sqlite", "bare"].map(|name| folder.join(name));
    let store = Store::open(&paths[0])?;
    let mut connection = open_sqlite(&paths[1])?;
    let mut bare = File::create(&paths[2])?;
    let mut samples: [Samples; 3] = Default::default();
    let mut given = Given::new();
    for batch in 0..batches {
        let processes: Vec<_> = (batch * rows..(batch + 1) * rows).map(process).collect();
        let versions = versions(&processes);
        note(&mut given, &versions);
        let time = Timestamp(FIRST.0 + i64::try_from(batch)? * 30 * MICROS_PER_SEC);
        samples[0].wall(|| record(&store, &versions, time))?;
        // Cells are made beforehand: the peer is measured, not the way to it.
        let cells = with_time(sqlite::rows_of(&versions), time);
        samples[1].wall(|| insert(&mut connection, &cells))?;
        let encoded = ipc::encode(&versions);
        samples[2].wall(|| bare.write_all(&encoded).and_then(|()| bare.sync_data()))?;
    }
    drop(store);
    connection.close().map_err(|(_, error)| error)?;
    ensure!(stored(&paths[0])? == given, "the store does not have the rows that were given");
    ensure!(in_sqlite(&paths[1])? == given, "SQLite does not have the rows that were given");
    let figure = |at: usize| {
        let bytes = usize::try_from(fs::metadata(&paths[at])?.len())?;
        Ok::<_, anyhow::Error>(Figure {
            batch_rows: rows,
            batch_micros: samples[at].median_micros(),
            bytes_per_row: number(bytes) / number(rows * batches),
        })
    };
    Ok([("ours", figure(0)?), ("SQLite", figure(1)?), ("bare append", figure(2)?)])
}

/// The command line of each process.
type Given = BTreeMap<String, Option<String>>;

fn note(given: &mut Given, rows: &RecordBatch) {
    let text = |name| rows.column_by_name(name).expect("a column").as_string::<i32>().clone();
    let (ids, commands) = (text("proc_id"), text("command_line"));
    given.extend(ids.iter().flatten().map(str::to_owned).zip(commands.iter().map(|text| text.map(str::to_owned))));
}

fn record(store: &Store, started: &RecordBatch, time: Timestamp) -> Result<(), daemoneye_storage::Error> {
    let nothing = started.slice(0, 0);
    let mut transaction = store.begin()?;
    transaction.record_processes(&ProcessChange {
        time,
        previous_time: None,
        baseline: false,
        started,
        changed: &nothing,
        exited: &nothing,
    })?;
    transaction.commit()
}

fn stored(path: &Path) -> anyhow::Result<Given> {
    let catalog = Catalog::builtin();
    let table = catalog.table("processes_history").context("no such table")?;
    let columns = ["proc_id", "command_line"].map(|name| table.column(name).expect("a column").0);
    let found = ReadStore::open(path)?.scan(&Scan::all(table, &columns))?;
    ensure!(found.completeness.is_complete(), "the store does not answer completely");
    let mut rows = Given::new();
    found.batches.iter().for_each(|batch| note(&mut rows, batch));
    let count: usize = found.batches.iter().map(RecordBatch::num_rows).sum();
    ensure!(count == rows.len(), "the store has {count} rows of {} processes", rows.len());
    Ok(rows)
}

fn open_sqlite(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    ensure!(mode == "wal", "SQLite keeps journal mode {mode}");
    connection.execute_batch("PRAGMA synchronous = FULL")?;
    let mut columns = version_columns();
    columns.push(Column::new("seen_from", Type::Timestamp, false, "The first snapshot that had this version."));
    sqlite::create(&connection, "versions", &columns, None)?;
    connection.execute_batch("CREATE INDEX by_id ON versions(proc_id); CREATE INDEX by_time ON versions(seen_from)")?;
    Ok(connection)
}

fn with_time(mut rows: Vec<Vec<sqlite::Stored>>, time: Timestamp) -> Vec<Vec<sqlite::Stored>> {
    for row in &mut rows {
        row.push(sqlite::Stored::from(time));
    }
    rows
}

fn insert(connection: &mut Connection, rows: &[Vec<sqlite::Stored>]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let columns = rows.first().map_or(0, Vec::len);
    let mut statement = transaction.prepare_cached(&sqlite::insertion("versions", columns))?;
    sqlite::insert(&mut statement, rows)?;
    drop(statement);
    transaction.commit()
}

fn in_sqlite(path: &Path) -> anyhow::Result<Given> {
    let connection = Connection::open(path)?;
    let mut statement = connection.prepare("SELECT proc_id, command_line FROM versions")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}
