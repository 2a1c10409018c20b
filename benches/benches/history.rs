//! Weeks of history: how fast is it recorded and sealed, how much room does it take, and how fast is it asked?
//!
//! A month of a made-up host (`past`), recorded snapshot by snapshot while a second thread seals, then asked beside
//! SQLite: the same rows, in the same run, with indexes on the columns that the questions name; and, given
//! `--duckdb PYTHON` (an interpreter that has the packages duckdb and pyarrow), DuckDB on one thread. Every answer is
//! compared with SQLite's before anything is timed. A first, cold answer is that of a store just opened, of whose file
//! the system holds nothing in memory.
//!
//! `history -- N` takes N versions instead of five million. With `--keep FOLDER` the files stay there, and what is there
//! already is not recorded again. `--only TEXT` asks only questions whose name has it, `--rounds N` times; with `--alone`
//! the others answer once, so that a profile shows what is ours.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use daemoneye_benches::measure::{Samples, number, size_or};
use daemoneye_benches::past::{ALIVE, BEGIN, DAYS, NEEDLE, NEEDLES, Past};
use daemoneye_benches::{duckdb, sqlite};
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Value};
use daemoneye_planner::{Plan, execute, plan};
use daemoneye_storage::{ReadStore, Reader, Scan, Store};
use rusqlite::Connection;

/// Versions of a month.
const VERSIONS: usize = 5_000_000;
/// Processes that come and go between two snapshots.
const CHURN: usize = 1_000;
/// How often a question is asked.
const ROUNDS: usize = 5;

/// As a number to calculate with, which is exact below 2^53.
fn size(bytes: u64) -> anyhow::Result<f64> {
    Ok(f64::from(u32::try_from(bytes >> 20)?) * f64::from(1 << 20) + f64::from(u32::try_from(bytes % (1 << 20))?))
}

fn main() -> anyhow::Result<()> {
    let versions = size_or(VERSIONS).max(2 * ALIVE);
    let temporary = tempfile::tempdir()?;
    let kept = after("--keep").map(PathBuf::from);
    let folder = kept.as_deref().unwrap_or(temporary.path());
    std::fs::create_dir_all(folder)?;
    let path = folder.join("events.redb");
    if !path.exists() {
        record(&path, versions)?;
        for (batch, rows) in [(10_000, 300_000), (100, 30_000)] {
            ingest(&temporary.path().join(format!("{batch}.redb")), batch, rows)?;
        }
    }
    let began = Instant::now();
    let store = ReadStore::open(&path)?;
    let contents = store.read()?.contents()?;
    println!("opened in {:.1} ms", began.elapsed().as_secs_f64() * 1e3);
    ensure!(contents.versions == versions as u64, "{contents:?}");
    ensure!(contents.exits == (versions - ALIVE) as u64, "{contents:?}");
    println!(
        "{} segments, {} blocks; {:.1} bytes a sealed version",
        contents.segments,
        contents.blocks,
        size(contents.segment_bytes)? / size(contents.sealed)?
    );
    let peer = in_sqlite(&store, &folder.join("peer.sqlite"))?;
    let only = after("--only");
    let mut questions = questions();
    questions.retain(|question| only.as_ref().is_none_or(|only| question.name.contains(only)));
    let found: Vec<_> = questions.iter().map(|it| ask(&path, &store, &peer, it)).collect::<anyhow::Result<_>>()?;
    let third = after("--duckdb").map(|python| in_duckdb(&python, &store, folder, &questions)).transpose()?;
    println!("\n{:32} {:>9} {:>9} {:>9} {:>7} {:>9} {:>7}", "ms", "ours", "cold", "SQLite", "ratio", "DuckDB", "ratio");
    for (at, (question, found)) in questions.iter().zip(&found).enumerate() {
        let Found { own, cold, other, answer } = found;
        print!("{:32} {:>9.2} {cold:>9.2} {:>9.2} {:>6.2}×", question.name, own / 1e3, other / 1e3, other / own);
        match third.as_ref().map(|third| &third[at]) {
            Some(third) => {
                let said: Vec<Vec<String>> = third.rows.iter().map(|row| row.iter().map(shown).collect()).collect();
                ensure!(same(said.clone(), answer), "{}: DuckDB says {said:?}, not {answer:?}", question.name);
                println!(" {:>9.2} {:>6.2}×", third.micros / 1e3, third.micros / own);
            }
            None => println!(),
        }
    }
    Ok(())
}

/// The argument after this one.
fn after(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// A cell of DuckDB's as SQLite's are shown.
fn shown(cell: &serde_json::Value) -> String {
    match cell {
        serde_json::Value::String(text) => format!("{:?}", rusqlite::types::Value::Text(text.clone())),
        serde_json::Value::Number(number) => format!("Integer({number})"),
        serde_json::Value::Null => "Null".to_owned(),
        other => other.to_string(),
    }
}

/// Whether an answer has these rows, in any order.
fn same(mut rows: Vec<Vec<String>>, answer: &[Vec<rusqlite::types::Value>]) -> bool {
    let mut answer: Vec<Vec<String>> =
        answer.iter().map(|row| row.iter().map(|cell| format!("{cell:?}")).collect()).collect();
    rows.sort();
    answer.sort();
    rows == answer
}

/// How fast batches of so many changes are recorded, durably, while another thread seals.
fn ingest(path: &Path, batch: usize, rows: usize) -> anyhow::Result<()> {
    let store = Store::open(path)?;
    // Half of a batch starts, half exits.
    let (mut past, mut steps) = (Past::of(ALIVE + rows / 2), vec![]);
    while let Some(step) = past.next(batch / 2) {
        steps.push(step);
    }
    steps[0].record(&store)?;
    let mut commits = Samples::default();
    while_sealing(&store, || steps[1..].iter().try_for_each(|step| Ok(commits.wall(|| step.record(&store))?)))?;
    println!(
        "recording {rows} changes, {batch} at a time: {:.0} a second",
        number(rows) / (commits.sum_micros() / 1e6)
    );
    Ok(())
}

/// Works while a thread seals until nothing is left to seal; gives for how many seconds that was busy.
fn while_sealing(store: &Store, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sealer = scope.spawn(|| -> Result<f64, daemoneye_storage::Error> {
            let mut busy = 0.0;
            loop {
                let last = over.load(Ordering::Acquire);
                let began = Instant::now();
                let step = store.seal(false)?;
                if step.is_some() {
                    busy += began.elapsed().as_secs_f64();
                }
                match step {
                    None if last => return Ok(busy),
                    None => std::thread::sleep(std::time::Duration::from_millis(2)),
                    Some(_) => {}
                }
            }
        });
        let worked = work();
        over.store(true, Ordering::Release);
        let sealed = sealer.join().expect("sealing does not panic").context("cannot seal")?;
        worked.map(|()| sealed)
    })
}

/// Records it all while another thread seals.
fn record(path: &Path, versions: usize) -> anyhow::Result<()> {
    let store = Store::open(path)?;
    let mut past = Past::of(versions);
    let mut commits = Samples::default();
    let began = Instant::now();
    let sealed = while_sealing(&store, || {
        while let Some(step) = past.next(CHURN) {
            commits.wall(|| step.record(&store))?;
        }
        Ok(())
    })?;
    let rate = |secs: f64| number(versions) / secs;
    println!("{versions} versions in batches of {CHURN}, as many exits with them");
    println!("  recording them           {:>10.0} versions/s", rate(commits.sum_micros() / 1e6));
    println!("  sealing them             {:>10.0} versions/s beside it", rate(sealed));
    println!("  all, made up and sealed  {:>10.1} s", began.elapsed().as_secs_f64());
    println!("  most memory ever         {:>10.1} MB", most_memory()?);
    let room = store.read()?.room()?;
    let of_each = |bytes: u64| Ok::<_, anyhow::Error>(size(bytes)? / number(versions));
    println!("  in use in the file       {:>10.1} bytes a version", of_each(room.history)?);
    println!("  all of the file          {:>10.1} bytes a version", of_each(std::fs::metadata(path)?.len())?);
    Ok(())
}

/// The most that this process ever held, in megabytes.
fn most_memory() -> anyhow::Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("only Linux says it")?;
    Ok(f64::from(line.trim().trim_end_matches(" kB").parse::<u32>()?) / 1_024.0)
}

/// What is asked.
struct Question {
    name: &'static str,
    ours: String,
    sqlite: String,
    duckdb: String,
}

/// What was found, and how long it took, in microseconds.
struct Found {
    own: f64,
    /// The first time, in milliseconds.
    cold: f64,
    other: f64,
    answer: Vec<Vec<rusqlite::types::Value>>,
}

fn questions() -> Vec<Question> {
    let middle = BEGIN.0 + DAYS * 86_400 * MICROS_PER_SEC / 2;
    let moment = Value::Timestamp(middle).to_json().as_str().unwrap_or_default().to_owned();
    let hash = Past::hash("/usr/bin/socat");
    let same = [
        ("a process by its id", "SELECT name, command_line FROM processes_history WHERE proc_id = '9e3779b97f4a7c15'"),
        ("a pid", "SELECT count(*), min(proc_id), max(name) FROM processes_history WHERE pid = 4242"),
        (
            "a hash",
            &format!("SELECT count(*), min(pid), max(pid) FROM processes_history WHERE executable_hash = '{hash}'"),
        ),
        ("a name, counted", "SELECT count(*) FROM processes_history WHERE name = 'nc'"),
        (
            "a name, with its command lines",
            "SELECT count(*), max(command_line) FROM processes_history WHERE name = 'nc'",
        ),
        ("a name that is rare", "SELECT count(*), max(command_line) FROM processes_history WHERE name = 'nowhere'"),
        (
            "the prefix of a path",
            "SELECT count(*), max(name) FROM processes_history WHERE executable_path LIKE '/dev/shm/%'",
        ),
        (
            "a rare literal in command lines",
            &format!("SELECT count(*), min(pid) FROM processes_history WHERE command_line LIKE '%{NEEDLE}%'"),
        ),
        (
            "names, counted",
            "SELECT name, count(*) FROM processes_history GROUP BY name ORDER BY count(*) DESC, name LIMIT 20",
        ),
    ];
    let same =
        same.map(|(name, sql)| Question { name, ours: sql.to_owned(), sqlite: sql.to_owned(), duckdb: sql.to_owned() });
    let asked = "SELECT count(*), max(command_line), min(name) FROM";
    let then = |now: &str| {
        format!("{asked} processes_history WHERE seen_from <= {now} AND (seen_to > {now} OR seen_to IS NULL)")
    };
    let moment = Question {
        name: "a moment of a fortnight ago",
        ours: format!("{asked} processes FOR SYSTEM_TIME AS OF '{moment}'"),
        sqlite: then(&middle.to_string()),
        duckdb: then(&format!("make_timestamp({middle})")),
    };
    same.into_iter().chain([moment]).collect()
}

/// Compares the answer with SQLite's, and times both.
fn ask(path: &Path, store: &ReadStore, peer: &Connection, question: &Question) -> anyhow::Result<Found> {
    let Question { name, ours, sqlite, .. } = question;
    let plan = compiled(ours)?;
    let mut statement = peer.prepare(sqlite)?;
    let expected = sqlite::answer(&mut statement)?;
    let answer = |store: &ReadStore| -> anyhow::Result<_> {
        let view = store.read()?;
        let snapshotless = daemoneye_planner::View::new(None, Some(&view));
        Ok(execute(&plan, &snapshotless, Timestamp(BEGIN.0 + DAYS * 86_400 * MICROS_PER_SEC))?)
    };
    let found = answer(store)?;
    ensure!(found.completeness.is_complete(), "{name}: {:?}", found.completeness);
    let found = sqlite::as_sqlite(&found.rows, found.rows.num_columns());
    let said = found.iter().map(|row| row.iter().map(|cell| format!("{cell:?}")).collect()).collect();
    ensure!(same(said, &expected), "{name}: {found:?} is not {expected:?}");
    if ours.contains(NEEDLE) {
        ensure!(found[0][0] == rusqlite::types::Value::Integer(i64::try_from(NEEDLES)?), "{name}: {found:?}");
    }
    let (mut own, mut cold, mut other) = (Samples::default(), Samples::default(), Samples::default());
    let alone = std::env::args().any(|argument| argument == "--alone");
    for round in 0..after("--rounds").map_or(Ok(ROUNDS), |rounds| rounds.parse())? {
        own.wall(|| answer(store))?;
        if round == 0 || !alone {
            other.wall(|| sqlite::answer(&mut statement))?;
        }
    }
    forget(path)?;
    cold.wall(|| answer(&ReadStore::open(path)?))?;
    Ok(Found {
        own: own.median_micros(),
        cold: cold.median_micros() / 1e3,
        other: other.median_micros(),
        answer: expected,
    })
}

/// Has the system forget what it holds of a file.
#[cfg(unix)]
fn forget(path: &Path) -> anyhow::Result<()> {
    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
    let file = std::fs::File::open(path)?;
    file.sync_all()?;
    Ok(posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
}

/// Elsewhere what is cold is not.
#[cfg(not(unix))]
fn forget(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

fn in_duckdb(
    python: &str,
    store: &ReadStore,
    folder: &Path,
    questions: &[Question],
) -> anyhow::Result<Vec<duckdb::Answer>> {
    let catalog = Catalog::builtin();
    let table = catalog.table("processes_history").context("a table of the catalog")?;
    let every: Vec<_> = (0..table.columns.len()).collect();
    let stream = folder.join("rows.arrows");
    if !stream.exists() {
        duckdb::write_stream(&stream, &table.schema(), |each| {
            Ok(store.visit(&Scan::all(table, &every), each).map(drop)?)
        })?;
    }
    let questions: Vec<String> = questions.iter().map(|it| it.duckdb.clone()).collect();
    duckdb::ask(python, &stream, &questions)
}

fn compiled(sql: &str) -> anyhow::Result<Plan> {
    let source = Source::query(sql);
    let checked = check_query(&source, &Catalog::builtin());
    let rule = checked.rule.with_context(|| format!("{sql}: {:?}", checked.diagnostics))?;
    Ok(plan(&rule.query))
}

/// The same rows in SQLite.
fn in_sqlite(store: &ReadStore, path: &Path) -> anyhow::Result<Connection> {
    let is_there = path.exists();
    let connection = Connection::open(path)?;
    if is_there {
        return Ok(connection);
    }
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")?;
    let catalog = Catalog::builtin();
    let table = catalog.table("processes_history").context("a table of the catalog")?;
    sqlite::create(&connection, "processes_history", &table.columns, None)?;
    let every: Vec<_> = (0..table.columns.len()).collect();
    connection.execute_batch("BEGIN")?;
    let mut insert = connection.prepare(&sqlite::insertion("processes_history", every.len()))?;
    let mut failed = None;
    store.visit(&Scan::all(table, &every), &mut |rows| match sqlite::insert(&mut insert, &sqlite::rows_of(&rows)) {
        Ok(()) => std::ops::ControlFlow::Continue(()),
        Err(error) => {
            failed = Some(error);
            std::ops::ControlFlow::Break(())
        }
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    drop(insert);
    connection.execute_batch(
        "COMMIT;
         CREATE INDEX by_id ON processes_history(proc_id);
         CREATE INDEX by_pid ON processes_history(pid);
         CREATE INDEX by_name ON processes_history(name);
         CREATE INDEX by_hash ON processes_history(executable_hash);
         CREATE INDEX by_path ON processes_history(executable_path COLLATE NOCASE);
         CREATE INDEX by_time ON processes_history(seen_from, seen_to);
         ANALYZE;",
    )?;
    println!(
        "SQLite: {:.1} bytes a version with six indexes",
        size(std::fs::metadata(path)?.len())?
            / number(usize::try_from(
                connection.query_row("SELECT count(*) FROM processes_history", [], |row| row.get::<_, i64>(0))?
            )?)
    );
    Ok(connection)
}
