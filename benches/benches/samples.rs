//! What do samples of what processes use cost: bytes on the disk, time when they are recorded, time when they are asked?
//!
//! A day of 10,000 processes, sampled every five minutes: a tenth of them works, with a share of a processor, memory,
//! threads and status that wander; the others idle. It is recorded as the agent does, with sealing in between, then
//! everything that held at some moments is compared with what was given; only then are figures printed. `busy` is the
//! same host with everybody at work, which no host is. Beside it: the same rows in SQLite (one table, an index on
//! `proc_id` and time).

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use daemoneye_benches::host::{FIRST, process, versions};
use daemoneye_benches::measure::{Samples, Verdict, number};
use daemoneye_dsl::tables::{Catalog, Process, processes_at};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};
use daemoneye_storage::{Probe, ProcessChange, Question, Reader, Retention, Sampler, Scan, Store};
use rusqlite::Connection;

const PROCESSES: usize = 10_000;
const INTERVAL: i64 = 300 * MICROS_PER_SEC;
const ROUNDS: i64 = 288;
/// Bytes of a sample that are not too many.
const CEILING: f64 = 4.0;

fn main() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut verdict = Verdict::default();
    for (name, every) in [("a tenth at work", 10), ("busy", 1)] {
        let path = folder.path().join(every.to_string());
        std::fs::create_dir(&path)?;
        let bytes = measure(name, every, &path)?;
        verdict.expect(bytes <= CEILING, || format!("{name}: {bytes:.2} bytes a sample"));
    }
    verdict.finish()
}

/// A number that looks made up by chance and is the same in every run.
fn chance(seed: u64) -> u64 {
    let mixed = (seed ^ (seed >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 17
}

/// What wanders from round to round.
fn work(process: &mut Process, at: usize, round: i64) {
    let seed = |what: u64| chance((at as u64 * 4 + what) ^ (round.cast_unsigned() << 40));
    let tenths = |of: u64| f64::from(u32::try_from(of).expect("small")) / 10.0;
    // Mostly a little, now and then much.
    let usual = 5 + chance(at as u64) % 60;
    process.cpu_usage = Some(tenths(if seed(0).is_multiple_of(16) { seed(1) % 1000 } else { usual + seed(1) % 16 }));
    let memory = process.memory_usage.unwrap_or(1 << 24);
    let step = i64::try_from(seed(2) % 2048).expect("small") - 1000;
    process.memory_usage = Some((memory + (step << 12)).max(1 << 20));
    if seed(3).is_multiple_of(32) {
        process.threads = Some(1 + i64::try_from(seed(3) % 20).expect("small"));
    }
    let status = if seed(3).is_multiple_of(8) { "running" } else { "sleeping" };
    process.status = Some(status.to_owned());
}

type Threads = HashMap<String, i64>;

fn measure(name: &str, every: usize, folder: &Path) -> anyhow::Result<f64> {
    let store = Store::open(folder.join("events.redb"))?;
    let mut snapshot: Vec<Process> = (0..PROCESSES).map(process).collect();
    let all = versions(&snapshot);
    let none = all.slice(0, 0);
    let mut sampler = Sampler::default();
    let (mut plain, mut recorded, mut look, mut sealing) = Default::default();
    let mut then: Vec<(i64, Threads)> = Vec::new();
    for round in 0..ROUNDS {
        let time = FIRST.0 + round * INTERVAL;
        (0..PROCESSES).step_by(every).for_each(|at| work(&mut snapshot[at], at, round));
        let batch = Process::batch(&snapshot);
        let started = if round == 0 { &all } else { &none };
        let change = ProcessChange {
            time: Timestamp(time),
            previous_time: (round > 0).then_some(Timestamp(time - INTERVAL)),
            baseline: round == 0,
            started,
            changed: &none,
            exited: &none,
        };
        Samples::wall(&mut plain, || {
            let mut txn = store.begin()?;
            txn.record_processes(&change)?;
            txn.commit()
        })?;
        let taken = Samples::wall(&mut look, || sampler.round(&batch, Timestamp(time), INTERVAL))?;
        let taken = taken.context("a round is due")?;
        Samples::wall(&mut recorded, || {
            let mut txn = store.begin()?;
            txn.record_samples(&taken)?;
            txn.commit()
        })?;
        sampler.took(taken);
        Samples::wall(&mut sealing, || -> Result<(), daemoneye_storage::Error> {
            while store.seal(false)?.is_some() {}
            Ok(())
        })?;
        if round % 50 == 7 {
            let threads = |process: &Process| (process.proc_id.clone(), process.threads.unwrap_or_default());
            then.push((time, snapshot.iter().map(threads).collect()));
        }
    }
    let view = store.read()?;
    for (time, threads) in &then {
        ensure!(&as_of(&view, *time)? == threads, "what held at {time} is not what was given");
    }
    let contents = view.contents()?;
    let bytes = number(usize::try_from(contents.sample_bytes)?) / number(usize::try_from(contents.samples)?);
    let catalog = Catalog::builtin();
    let table = catalog.table("process_samples").context("a table of the catalog")?;
    let column = |name: &str| table.column(name).expect("a column").0;
    let used = [column("proc_id"), column("collection_time"), column("memory_usage")];
    let one = Question::Equal(Value::Text(snapshot[every * 7].proc_id.clone()));
    let of_one = vec![vec![Probe { column: column("proc_id"), question: one }]];
    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact in a double")]
    let last = Question::AtLeast((FIRST.0 + (ROUNDS - 12) * INTERVAL) as f64);
    let last_hour = vec![vec![Probe { column: column("collection_time"), question: last }]];
    println!("\n{name}: {} samples in {ROUNDS} rounds of {PROCESSES} processes", contents.samples);
    println!("  {bytes:8.2} bytes a sample, of {} kB", contents.sample_bytes / 1024);
    println!("  {:8.2} bytes a sample in SQLite", in_sqlite(&view, folder)?);
    let line = |what: &str, samples: &Samples| println!("  {:8.2} ms {what}", samples.median_micros() / 1e3);
    line("to see what differs, a round", &look);
    line("to record it, a transaction of its own", &recorded);
    line("for a transaction that records nothing but that one looked", &plain);
    line("to seal, a round (mostly nothing)", &sealing);
    for (what, required) in [("one process", of_one), ("the last hour", last_hour), ("everything", vec![])] {
        let mut samples = Samples::default();
        let mut rows = 0;
        for _ in 0..5 {
            let scan = Scan { required: &required, dictionaries: &[0], ..Scan::all(table, &used) };
            rows = samples.wall(|| view.scan(&scan))?.batches.iter().map(arrow_array::RecordBatch::num_rows).sum();
        }
        line(&format!("to read {what}: {rows} rows"), &samples);
    }
    let mut samples = Samples::default();
    for (time, _) in &then {
        samples.wall(|| as_of(&view, *time))?;
    }
    line("for the threads of everybody at a moment", &samples);
    ensure!(store.keep(Retention { age_micros: i64::MAX, bytes: u64::MAX })?.is_none());
    Ok(bytes)
}

fn as_of(reader: &impl Reader, time: i64) -> anyhow::Result<Threads> {
    let table = processes_at();
    let columns = ["proc_id", "threads"].map(|name| table.column(name).expect("a column").0);
    let found = reader.scan(&Scan { as_of: Some(Timestamp(time)), ..Scan::all(&table, &columns) })?;
    let mut threads = Threads::new();
    for batch in &found.batches {
        let ids = batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned);
        threads.extend(ids.zip(batch.column(1).as_primitive::<Int64Type>().iter().map(Option::unwrap_or_default)));
    }
    Ok(threads)
}

/// Bytes of a sample there.
fn in_sqlite(reader: &impl Reader, folder: &Path) -> anyhow::Result<f64> {
    let path = folder.join("events.sqlite");
    let mut connection = Connection::open(&path)?;
    connection.execute_batch(
        "CREATE TABLE samples (proc_id TEXT, at INTEGER, memory INTEGER, threads INTEGER, status TEXT, cpu REAL); \
         CREATE INDEX by_id ON samples (proc_id, at)",
    )?;
    let catalog = Catalog::builtin();
    let table = catalog.table("process_samples").context("a table of the catalog")?;
    let names = ["proc_id", "collection_time", "memory_usage", "threads", "status", "cpu_usage"];
    let columns = names.map(|name| table.column(name).expect("a column").0);
    let transaction = connection.transaction()?;
    let mut insert = transaction.prepare("INSERT INTO samples VALUES (?, ?, ?, ?, ?, ?)")?;
    let mut rows = 0_usize;
    for batch in reader.scan(&Scan::all(table, &columns))?.batches {
        let (ids, times) =
            (batch.column(0).as_string::<i32>(), batch.column(1).as_primitive::<TimestampMicrosecondType>());
        let number = |at: usize| batch.column(at).as_primitive::<Int64Type>();
        let (memory, threads, status) = (number(2), number(3), batch.column(4).as_string::<i32>());
        let cpu = batch.column(5).as_primitive::<arrow_array::types::Float64Type>();
        for row in 0..batch.num_rows() {
            let values = (ids.value(row), times.value(row), memory.value(row), threads.value(row), status.value(row));
            insert.execute((values.0, values.1, values.2, values.3, values.4, cpu.value(row)))?;
            rows += 1;
        }
    }
    drop(insert);
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(number(usize::try_from(std::fs::metadata(path)?.len())?) / number(rows))
}
