//! Weeks of history: how fast is it recorded and sealed, how much room does it take, and how fast is it asked?
//!
//! A month of a made-up host (`past`), recorded snapshot by snapshot while a second thread seals, then asked beside
//! SQLite: the same rows, in the same run, with indexes on the columns that the questions name. Every answer is compared
//! with SQLite's before anything is timed. `history -- N` takes N versions instead of five million. With `--keep` both
//! files stay in target/bench-data, and `history_duckdb.py` there asks DuckDB the same questions of the same rows.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, ensure};
use daemoneye_benches::measure::{Samples, number, size_or};
use daemoneye_benches::past::{ALIVE, BEGIN, DAYS, NEEDLE, NEEDLES, Past};
use daemoneye_benches::sqlite;
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
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("events.redb");
    record(&path, versions)?;
    let store = ReadStore::open(&path)?;
    let contents = store.read()?.contents()?;
    ensure!(contents.versions == versions as u64, "{contents:?}");
    ensure!(contents.exits == (versions - ALIVE) as u64, "{contents:?}");
    println!(
        "{} segments, {} blocks; {:.1} bytes a sealed version",
        contents.segments,
        contents.blocks,
        size(contents.segment_bytes)? / size(contents.sealed)?
    );
    let peer = in_sqlite(&store, &folder.path().join("peer.sqlite"))?;
    println!("\n{:44} {:>10} {:>10} {:>8}", "", "ours", "SQLite", "ratio");
    for (name, ours, theirs) in questions() {
        ask(&store, &peer, name, &ours, &theirs)?;
    }
    Ok(())
}

/// Records it all while another thread seals.
fn record(path: &Path, versions: usize) -> anyhow::Result<()> {
    let store = Store::open(path)?;
    let mut past = Past::of(versions);
    let over = AtomicBool::new(false);
    let mut commits = Samples::default();
    let began = Instant::now();
    let sealed = std::thread::scope(|scope| {
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
        while let Some(step) = past.next(CHURN) {
            commits.wall(|| step.record(&store))?;
        }
        over.store(true, Ordering::Release);
        sealer.join().expect("sealing does not panic").context("cannot seal")
    })?;
    let rate = |secs: f64| number(versions) / secs;
    println!("{versions} versions in batches of {CHURN}, as many exits with them");
    println!("  recording them           {:>10.0} versions/s", rate(commits.sum_micros() / 1e6));
    println!("  sealing them             {:>10.0} versions/s beside it", rate(sealed));
    println!("  all, made up and sealed  {:>10.1} s", began.elapsed().as_secs_f64());
    drop(store);
    println!(
        "  on the disk              {:>10.1} bytes a version",
        size(std::fs::metadata(path)?.len())? / number(versions)
    );
    Ok(())
}

/// What is asked, of us and of SQLite.
fn questions() -> Vec<(&'static str, String, String)> {
    let same = |name, sql: String| (name, sql.clone(), sql);
    let middle = BEGIN.0 + DAYS * 86_400 * MICROS_PER_SEC / 2;
    let pid = "SELECT count(*), min(proc_id), max(name) FROM processes_history WHERE pid = 4242";
    let moment = Value::Timestamp(middle).to_json().as_str().unwrap_or_default().to_owned();
    vec![
        same(
            "a process by its id",
            "SELECT name, command_line FROM processes_history WHERE proc_id = '9e3779b97f4a7c15'".to_owned(),
        ),
        same("a pid", pid.to_owned()),
        same("a name, counted", "SELECT count(*) FROM processes_history WHERE name = 'nc'".to_owned()),
        same(
            "a name, with its command lines",
            "SELECT count(*), max(command_line) FROM processes_history WHERE name = 'nc'".to_owned(),
        ),
        same(
            "a name that is rare",
            "SELECT count(*), max(command_line) FROM processes_history WHERE name = 'nowhere'".to_owned(),
        ),
        same(
            "the prefix of a path",
            "SELECT count(*), max(name) FROM processes_history WHERE executable_path LIKE '/dev/shm/%'".to_owned(),
        ),
        same(
            "a rare literal in command lines",
            format!("SELECT count(*), min(pid) FROM processes_history WHERE command_line LIKE '%{NEEDLE}%'"),
        ),
        same(
            "names, counted",
            "SELECT name, count(*) FROM processes_history GROUP BY name ORDER BY count(*) DESC, name LIMIT 20"
                .to_owned(),
        ),
        (
            "a moment of a fortnight ago",
            format!("SELECT count(*), max(command_line), min(name) FROM processes FOR SYSTEM_TIME AS OF '{moment}'"),
            format!(
                "SELECT count(*), max(command_line), min(name) FROM processes_history WHERE seen_from <= {middle} AND (seen_to > {middle} OR seen_to IS NULL)"
            ),
        ),
    ]
}

fn ask(store: &ReadStore, peer: &Connection, name: &str, ours: &str, theirs: &str) -> anyhow::Result<()> {
    let plan = compiled(ours)?;
    let mut statement = peer.prepare(theirs)?;
    let mut expected = sqlite::answer(&mut statement)?;
    let answer = || -> anyhow::Result<_> {
        let view = store.read()?;
        let snapshotless = daemoneye_planner::View::new(None, Some(&view));
        Ok(execute(&plan, &snapshotless, Timestamp(BEGIN.0 + DAYS * 86_400 * MICROS_PER_SEC))?)
    };
    let found = answer()?;
    ensure!(found.completeness.is_complete(), "{name}: {:?}", found.completeness);
    let mut found = sqlite::as_sqlite(&found.rows, found.rows.num_columns());
    let key = |row: &Vec<rusqlite::types::Value>| format!("{row:?}");
    found.sort_by_key(key);
    expected.sort_by_key(key);
    ensure!(found == expected, "{name}: {found:?} is not {expected:?}");
    if ours.contains(NEEDLE) {
        ensure!(found[0][0] == rusqlite::types::Value::Integer(i64::try_from(NEEDLES)?), "{name}: {found:?}");
    }
    let (mut own, mut other) = (Samples::default(), Samples::default());
    for _ in 0..ROUNDS {
        own.wall(answer)?;
        other.wall(|| sqlite::answer(&mut statement))?;
    }
    let (own, other) = (own.median_micros(), other.median_micros());
    println!("{name:44} {:>7.2} ms {:>7.2} ms {:>7.2}×", own / 1e3, other / 1e3, other / own);
    Ok(())
}

fn compiled(sql: &str) -> anyhow::Result<Plan> {
    let source = Source::query(sql);
    let checked = check_query(&source, &Catalog::builtin());
    let rule = checked.rule.with_context(|| format!("{sql}: {:?}", checked.diagnostics))?;
    Ok(plan(&rule.query))
}

/// The same rows in SQLite.
fn in_sqlite(store: &ReadStore, path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
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
         CREATE INDEX by_path ON processes_history(executable_path COLLATE NOCASE);
         CREATE INDEX by_time ON processes_history(seen_from, seen_to);
         ANALYZE;",
    )?;
    println!(
        "SQLite: {:.1} bytes a version with five indexes",
        size(std::fs::metadata(path)?.len())?
            / number(usize::try_from(
                connection.query_row("SELECT count(*) FROM processes_history", [], |row| row.get::<_, i64>(0))?
            )?)
    );
    Ok(connection)
}
