//! How long does one rule take on a snapshot of 10,000 processes, whole and for a 2 % change?
//!
//! Every rule of the product and some typical queries, each in turns with SQLite (prepared statement, the same rows in
//! an in-memory table with `proc_id` as its key, every cell of the answer fetched). Counts are checked against what was
//! planted, answers against SQLite's, and steps against the difference of two whole answers, before anything is timed.
//! Figures are processor time, the median of the rounds; SQLite's answer to a change is to run again.
//!
//! What the hardware allows: a predicate on `command_line` cannot be faster than reading its 1.5 MB once, which the
//! first line of the output measures (40 µs where it lies in the cache); one on `name` reads 80 kB. A 2 % change is a
//! fiftieth of that, about 1 µs: what a step takes beyond it is its own fixed cost. The floor is 100 ms for each rule.

#![expect(clippy::print_stdout, reason = "printing is what this does")]

use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use daemoneye_benches::host::{self, CROWD, FIRST, Host, PROCESSES, SECOND, versions};
use daemoneye_benches::measure::{Samples, Verdict};
use daemoneye_benches::rows::{self, Rows};
use daemoneye_benches::sqlite;
use daemoneye_dsl::check::{Checked, check_query, check_rule};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::{Catalog, Process};
use daemoneye_dsl::types::MICROS_PER_SEC;
use daemoneye_planner::{Batch, Changes, Dataflow, Outcome, Plan, RuleId, View, execute, plan};
use daemoneye_settings::paths::rule_sources;
use daemoneye_storage::{ProcessChange, Recorded, Store};
use rusqlite::Connection;

const ROUNDS: usize = 15;
const FLOOR_MICROS: f64 = 100_000.0;
/// Queries that are typical and that the rules do not have, named as what was planted for them.
const TYPICAL: &[(&str, &str)] = &[
    ("equality", "SELECT proc_id, pid, name FROM processes WHERE name = 'odd-agent'"),
    ("like", "SELECT proc_id, pid, command_line FROM processes WHERE command_line LIKE '%--exfil-to%'"),
    ("glob", "SELECT proc_id, pid, executable_path FROM processes WHERE executable_path GLOB '/opt/unusual/*'"),
    ("regexp", "SELECT proc_id, pid, command_line FROM processes WHERE command_line REGEXP '--token=[0-9a-f]{32}\\b'"),
    (
        "parent_join",
        "SELECT c.proc_id, c.command_line, p.name FROM processes c JOIN processes p ON p.proc_id = c.parent_id \
         WHERE c.name <> 'odd-parent' AND p.name = 'odd-parent'",
    ),
    (
        "ancestors",
        "SELECT p.proc_id, p.name, a.proc_id AS ancestor_id, a.depth FROM processes p \
         JOIN ancestors(p.proc_id) AS a ON a.name = 'odd-root' WHERE p.name = 'python3'",
    ),
];

fn main() -> anyhow::Result<()> {
    let scene = Scene::new(&Host::made_up())?;
    println!(
        "{PROCESSES} processes, then {} changes; median of {ROUNDS} rounds, µs of processor time",
        scene.changes.1
    );
    println!("reading every command line once takes {:.0} µs\n", bare_read(&scene.first));
    println!("{:28} {:>4} {:>9} {:>9} {:>7} {:>9} {:>8}", "rule", "rows", "whole", "SQLite", "ratio", "step", "ratio");
    let mut verdict = Verdict::default();
    let mut step_total = 0.0;
    for question in questions()? {
        let figures = scene.ask(&question).with_context(|| format!("`{}`", question.name))?;
        println!("{}", figures.line(&question.name));
        step_total += figures.step;
        let slowest = figures.whole.max(figures.step);
        verdict.expect(slowest < FLOOR_MICROS, || format!("`{}` took {slowest:.0} µs", question.name));
    }
    println!("\nall steps together: {step_total:.0} µs");
    verdict.finish()
}

/// What reading the text of one column takes, whoever does it.
fn bare_read(snapshot: &RecordBatch) -> f64 {
    let column = snapshot.column_by_name("command_line").expect("a column of the table").as_string::<i32>();
    let mut samples = Samples::default();
    for _ in 0..ROUNDS {
        samples.cpu(|| black_box(black_box(column.value_data()).iter().fold(0, |sum: u8, byte| sum ^ byte)));
    }
    samples.median_micros()
}

/// One query in both languages.
struct Question {
    name: String,
    plan: Plan,
    /// Columns of the answer.
    width: usize,
    sqlite: String,
}

fn questions() -> anyhow::Result<Vec<Question>> {
    let catalog = Catalog::builtin();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../rules");
    let mut questions = Vec::new();
    for source in rule_sources(&[rules]) {
        let source = source?;
        questions.push(Question::new(source.stem(), &source, check_rule(&source, &catalog))?);
    }
    ensure!(!questions.is_empty(), "there are no rules beside this folder");
    let crowded = format!(
        "SELECT parent_id, count(*) AS children FROM processes GROUP BY parent_id HAVING count(*) > {}",
        CROWD / 2
    );
    for (name, text) in TYPICAL.iter().copied().chain([(host::CROWDED, crowded.as_str())]) {
        let source = Source::query(text);
        questions.push(Question::new(name, &source, check_query(&source, &catalog))?);
    }
    Ok(questions)
}

impl Question {
    fn new(name: &str, source: &Source, checked: Checked) -> anyhow::Result<Self> {
        let Checked { rule, diagnostics, .. } = checked;
        let rule = rule.ok_or_else(|| anyhow!("`{name}` does not compile: {diagnostics:?}"))?;
        let sqlite = said_in_sqlite(name, &source.text);
        Ok(Self { name: name.to_owned(), plan: plan(&rule.query), width: rule.query.output.len(), sqlite })
    }
}

/// The text as it is, except for what SQLite has other words for. That they mean the same is checked by the answers.
fn said_in_sqlite(name: &str, text: &str) -> String {
    let recent = (SECOND.0 - 300 * MICROS_PER_SEC).to_string();
    match name {
        "tool_below_document_reader" => lineage(
            "p.proc_id, p.pid, p.name, p.command_line, p.user_name, a.proc_id, a.name, l.depth",
            "name IN ('nc', 'ncat', 'netcat', 'socat', 'curl', 'wget', 'python3', 'perl', 'ruby', 'base64', 'ssh')",
            "a.name IN ('soffice.bin', 'libreoffice', 'evince', 'okular', 'atril', 'thunderbird', 'evolution', \
             'firefox', 'firefox-esr', 'chrome', 'chromium')",
            6,
        ),
        "ancestors" => lineage("p.proc_id, p.name, a.proc_id, l.depth", "name = 'python3'", "a.name = 'odd-root'", 64),
        _ => text.replace("now() - INTERVAL '5 minutes'", &recent),
    }
}

fn lineage(columns: &str, process: &str, ancestor: &str, depth: usize) -> String {
    format!(
        "WITH RECURSIVE l(of, ancestor, depth) AS (
             SELECT proc_id, parent_id, 1 FROM processes WHERE {process}
             UNION ALL
             SELECT l.of, p.parent_id, l.depth + 1 FROM l JOIN processes p ON p.proc_id = l.ancestor
             WHERE l.depth < {depth})
         SELECT {columns} FROM l JOIN processes p ON p.proc_id = l.of JOIN processes a ON a.proc_id = l.ancestor
         WHERE {ancestor}"
    )
}

/// Both snapshots and the way from one to the other, for us and for SQLite.
struct Scene {
    first: RecordBatch,
    second: RecordBatch,
    /// What the second snapshot changes, and how many processes that are.
    changes: (Changes, usize),
    /// The way back, so that a step can be taken again.
    back: Changes,
    store: Store,
    sqlite: [Connection; 2],
}

impl Scene {
    fn new(host: &Host) -> anyhow::Result<Self> {
        let (first, second) = (Process::batch(&host.first), Process::batch(&host.second));
        let store = Store::in_memory()?;
        let nothing = versions(&[]);
        let (old, new): (Vec<_>, Vec<_>) = host.changed.iter().cloned().unzip();
        let before = record(
            &store,
            &ProcessChange {
                time: FIRST,
                previous_time: None,
                baseline: false,
                started: &versions(&host.first),
                changed: &nothing,
                exited: &nothing,
            },
        )?;
        let after = record(
            &store,
            &ProcessChange {
                time: SECOND,
                previous_time: Some(FIRST),
                baseline: false,
                started: &versions(&host.started),
                changed: &versions(&new),
                exited: &versions(&host.exited),
            },
        )?;
        let leaving = Process::batch(&[host.exited.as_slice(), &old].concat());
        let appearing = Process::batch(&[host.started.as_slice(), &new].concat());
        let mut changes = Changes::default();
        changes.add_with_samples(
            "processes",
            Batch::replacing(&leaving, &appearing),
            Batch::replacing(&first, &second),
        );
        changes.add("process_starts", Batch::appearing(after.starts.clone()));
        let mut back = Changes::default();
        back.add_with_samples("processes", Batch::replacing(&appearing, &leaving), Batch::replacing(&second, &first));
        let weights = vec![-1; after.starts.num_rows()];
        back.add("process_starts", Batch { rows: after.starts.clone(), weights });
        let sqlite = [
            in_sqlite(&first, std::slice::from_ref(&before.starts))?,
            in_sqlite(&second, &[before.starts, after.starts])?,
        ];
        let changed = host.started.len() + host.changed.len() + host.exited.len();
        Ok(Self { first, second, changes: (changes, changed), back, store, sqlite })
    }

    /// Checks, then measures.
    fn ask(&self, question: &Question) -> anyhow::Result<Figures> {
        let mut theirs = [self.sqlite[0].prepare(&question.sqlite)?, self.sqlite[1].prepare(&question.sqlite)?];
        let before = Rows::of(sqlite::answer(&mut theirs[0])?);
        let after = Rows::of(sqlite::answer(&mut theirs[1])?);
        let stored = self.store.read()?;
        let view = |snapshot| View::new(Some(snapshot), Some(&stored));
        let rows_of = |rows: &RecordBatch| sqlite::as_sqlite(rows, question.width);
        let whole = execute(&question.plan, &view(&self.second), SECOND)?;
        let ours = Rows::of(rows_of(&whole.rows));
        ensure!(whole.completeness.is_complete(), "the answer is not complete");
        ensure!(ours == after, "the answer differs from SQLite's:\n{}", ours.against(&after));
        if let Some((first, second)) = host::planted(&question.name) {
            ensure!(
                (before.len(), after.len()) == (first, second),
                "{} and {} rows, where {first} and {second} were planted",
                before.len(),
                after.len()
            );
        }
        let mut dataflow = Dataflow::default();
        dataflow.install(&question.plan);
        let mut sum = Rows::default();
        // A rule over what happened has the starts of both snapshots in the store: it begins at the second, steps back
        // to the first, and from there on and back again.
        sum.add(&changed(dataflow.load(&view(&self.second), SECOND)?, question.width)?);
        for round in 0..4 {
            let (changes, snapshot, expected) = if round % 2 == 0 {
                (&self.back, &self.first, &before)
            } else {
                (&self.changes.0, &self.second, &after)
            };
            sum.add(&changed(dataflow.step(&view(snapshot), changes, SECOND), question.width)?);
            ensure!(sum == *expected, "the steps do not add up to the whole:\n{}", sum.against(expected));
        }

        let (mut whole, mut step, mut peer) = (Samples::default(), Samples::default(), Samples::default());
        for _ in 0..ROUNDS {
            whole.cpu(|| execute(&question.plan, &view(&self.second), SECOND).map(|answer| black_box(answer.rows)))?;
            peer.cpu(|| sqlite::answer(&mut theirs[1]).map(black_box))?;
            for (changes, snapshot) in [(&self.back, &self.first), (&self.changes.0, &self.second)] {
                step.cpu(|| anyhow::Ok(black_box(dataflow.step(&view(snapshot), changes, SECOND))))?;
            }
        }
        Ok(Figures {
            rows: after.len(),
            whole: whole.median_micros(),
            step: step.median_micros(),
            sqlite: peer.median_micros(),
        })
    }
}

/// What the only rule's result changed by.
fn changed(outcomes: Vec<(RuleId, Outcome)>, width: usize) -> anyhow::Result<Vec<(Vec<rusqlite::types::Value>, i64)>> {
    let mut all = Vec::new();
    for (_, outcome) in outcomes {
        all.extend(rows::weighted(&outcome?.rows, width));
    }
    Ok(all)
}

fn record(store: &Store, change: &ProcessChange<'_>) -> anyhow::Result<Recorded> {
    let mut transaction = store.begin()?;
    let recorded = transaction.record_processes(change)?;
    transaction.commit()?;
    Ok(recorded)
}

fn in_sqlite(snapshot: &RecordBatch, starts: &[RecordBatch]) -> anyhow::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    sqlite::add_functions(&connection)?;
    let catalog = Catalog::builtin();
    let tables = [("processes", std::slice::from_ref(snapshot), Some("proc_id")), ("process_starts", starts, None)];
    connection.execute_batch("BEGIN")?;
    for (name, batches, key) in tables {
        let columns = &catalog.table(name).expect("a table of the catalog").columns;
        sqlite::create(&connection, name, columns, key)?;
        let mut statement = connection.prepare(&sqlite::insertion(name, columns.len()))?;
        batches.iter().try_for_each(|rows| sqlite::insert(&mut statement, &sqlite::rows_of(rows)))?;
    }
    connection.execute_batch("COMMIT; ANALYZE")?;
    Ok(connection)
}

/// Medians in microseconds.
struct Figures {
    rows: usize,
    whole: f64,
    step: f64,
    sqlite: f64,
}

impl Figures {
    fn line(&self, name: &str) -> String {
        let Self { rows, whole, step, sqlite } = self;
        let flag = if host::planted(name).is_none() { "  (nothing planted for it)" } else { "" };
        let (ratio, step_ratio) = (sqlite / whole, sqlite / step);
        format!("{name:28} {rows:4} {whole:9.0} {sqlite:9.0} {ratio:6.1}× {step:9.0} {step_ratio:7.1}×{flag}")
    }
}
