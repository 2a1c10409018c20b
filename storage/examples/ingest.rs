//! How fast durable batches of 10,000 rows are recorded. Checks every row first, then prints rows per second.
//!
//! ```text
//! cargo run --release -p daemoneye-storage --example ingest
//! ```

use std::io::Write;
use std::time::Instant;

use arrow_array::RecordBatch;
use daemoneye_dsl::tables::{Catalog, Process, version_columns};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{ProcessChange, ReadStore, Reader, Scan, Store};

const ROWS: i64 = 10_000;
const BATCHES: i64 = 20;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut out = std::io::stdout();
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.redb");
    let store = Store::open(&path)?;
    let none = versions(0..0, 0);
    let generations: Vec<_> = (0..BATCHES).map(|batch| versions(batch * ROWS..(batch + 1) * ROWS, 0)).collect();
    let changes: Vec<_> = (0..BATCHES).map(|version| versions(0..ROWS, version + 1)).collect();

    let mut time = 0;
    let mut commit = |started: &RecordBatch, changed: &RecordBatch, exited: &RecordBatch| {
        time += 30_000_000;
        let previous_time = Some(Timestamp(time - 30_000_000));
        let mut txn = store.begin()?;
        let time = Timestamp(time);
        txn.record_processes(&ProcessChange { time, previous_time, baseline: false, started, changed, exited })?;
        txn.commit()
    };
    let mut measure = |what: &str, batches: &mut dyn FnMut(usize) -> Result<(), daemoneye_storage::Error>| {
        let start = Instant::now();
        (0..generations.len()).try_for_each(batches)?;
        let secs = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "rates for the eye")]
        let (rate, millis) = ((ROWS * BATCHES) as f64 / secs, secs * 1e3 / BATCHES as f64);
        writeln!(out, "{what}: {rate:.0} rows/s ({millis:.1} ms a batch)")?;
        Ok::<_, Box<dyn std::error::Error>>(())
    };
    measure("starts", &mut |at| commit(&generations[at], &none, &none))?;
    measure("changes", &mut |at| commit(&none, &changes[at], &none))?;
    measure("exits", &mut |at| commit(&none, &none, &generations[at]))?;
    drop(store);

    let reader = ReadStore::open(&path)?;
    let start = Instant::now();
    for (table, rows) in [("process_starts", ROWS), ("process_exits", ROWS), ("processes_history", 2 * ROWS)] {
        let table = Catalog::builtin().table(table).ok_or("no such table")?.clone();
        let found = reader.scan(&Scan::all(&table, &[0, 6]))?;
        let found: usize = found.batches.iter().map(RecordBatch::num_rows).sum();
        assert_eq!(found, usize::try_from(rows * BATCHES)?, "rows of {}", table.name);
    }
    let secs = start.elapsed().as_secs_f64();
    let bytes = std::fs::metadata(&path)?.len();
    writeln!(out, "every row is there; scan of {} rows in {:.0} ms", 4 * ROWS * BATCHES, secs * 1e3)?;
    writeln!(out, "{} bytes per version and event stored", bytes / u64::try_from(4 * ROWS * BATCHES)?)?;
    Ok(())
}

/// Processes of these numbers as a collector would see them.
fn versions(numbers: std::ops::Range<i64>, version: i64) -> RecordBatch {
    let process = |n: i64| Process {
        // Ids are hashes: spread over the whole range.
        proc_id: format!("{:016x}", n.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        parent_id: Some(format!("{:016x}", (n / 8).cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15))),
        pid: n % 4_194_304,
        ppid: Some(n / 8),
        name: format!("worker-{}", n % 97),
        executable_path: Some(format!("/usr/lib/service-{}/bin/worker", n % 97)),
        command_line: Some(format!("/usr/lib/service-{}/bin/worker --slot {n} --generation {version}", n % 97)),
        argv: Some(format!(r#"["/usr/lib/service-{}/bin/worker","--slot","{n}","--generation","{version}"]"#, n % 97)),
        cwd: Some("/var/lib/service".to_owned()),
        user_id: Some(1000 + n % 5),
        user_name: Some(format!("user{}", n % 5)),
        group_id: Some(1000),
        session_id: Some(n / 100),
        start_time: Some(Timestamp(n * 10_000)),
        accessible: true,
        ..Process::default()
    };
    let batch = Process::batch(&numbers.map(process).collect::<Vec<_>>());
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).expect("a column")).collect();
    batch.project(&columns).expect("columns of the batch")
}
