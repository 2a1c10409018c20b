//! One size of the material with its peer: the same rows in SQLite, before all changes and after them.
//!
//! What SQLite answers and how long it takes is kept by statement, so that parts that share rules ask once.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use arrow_array::RecordBatch;
use daemoneye_planner::Batch;
use rusqlite::Connection;

use crate::engine::difference::difference;
use crate::engine::material::{DELTAS, Series};
use crate::engine::records::Records;
use crate::engine::running::{Rule, Running, change};
use crate::measure::{Samples, number};
use crate::rows::{Rows, weighted};
use crate::sqlite;

/// The indexes of the generator's own database.
const INDEXES: &str = "CREATE INDEX i1 ON processes(name); CREATE INDEX i2 ON processes(ppid); \
    CREATE INDEX i3 ON processes(executable_path COLLATE NOCASE); CREATE INDEX i4 ON processes(user_name, name); \
    CREATE INDEX i5 ON connections(pid); CREATE INDEX i6 ON connections(remote_port); \
    CREATE INDEX i7 ON processes(ppid, start_time); ANALYZE";
/// Statements that take less are run again, for a median.
const SHORT_MICROS: f64 = 2_000.0;
/// Rules whose cost is estimated together from those of them that SQLite was asked.
const BLOCK: usize = 1_000;

/// Snapshots, changes, and SQLite at both ends.
pub struct World {
    /// Where the rules are.
    pub folder: PathBuf,
    /// Ours.
    pub series: Series,
    last: RecordBatch,
    sqlite: [Connection; 2],
    asked: HashMap<String, [Asked; 2]>,
}

struct Asked {
    rows: Rows,
    micros: f64,
}

/// What a check found out about the peer.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// SQLite's processor time for every rule on the first snapshot.
    pub full: f64,
    /// And on the last: its answer to a change is to run again.
    pub again: f64,
    /// Both are estimates: not every rule was asked.
    pub estimated: bool,
    /// Rows that all rules have at the end.
    pub rows: usize,
}

impl World {
    /// Loads it.
    pub fn load(folder: PathBuf) -> anyhow::Result<Self> {
        let series = Series::load(&folder)?;
        let last = series.last()?;
        let written = Records::read(&folder.join(format!("snap{DELTAS}.jsonl")))?;
        ensure!(last == written.rows, "the changes do not lead to the last snapshot; delete {}", folder.display());
        let sqlite = [in_sqlite(&series, &series.processes.rows)?, in_sqlite(&series, &last)?];
        Ok(Self { folder, series, last, sqlite, asked: HashMap::new() })
    }

    /// The peer's connection to the first snapshot.
    pub fn sqlite(&self) -> &Connection {
        &self.sqlite[0]
    }

    /// What a statement gives on the first snapshot.
    pub fn expected(&mut self, sql: &str) -> anyhow::Result<&Rows> {
        Ok(&self.ask(sql)?[0].rows)
    }

    fn ask(&mut self, sql: &str) -> anyhow::Result<&[Asked; 2]> {
        if !self.asked.contains_key(sql) {
            let [before, after] = &self.sqlite;
            let asked = [ask(before, sql)?, ask(after, sql)?];
            self.asked.insert(sql.to_owned(), asked);
        }
        Ok(&self.asked[sql])
    }

    /// Whether the rules that `chosen` names give what SQLite gives: on the first snapshot, and after all changes as
    /// the sum of the steps. (The others only have to run.)
    pub fn check(&mut self, rules: &[Rule], chosen: impl Fn(usize) -> bool) -> anyhow::Result<Peer> {
        let mut running = Running::new(rules.iter().map(|rule| &rule.plan), &self.series.nothing())?;
        let mut sums: Vec<Rows> = rules.iter().map(|_| Rows::default()).collect();
        let first = self.series.processes.rows.clone();
        let stepped = running.step(&self.series.tables(&first), &self.series.everything());
        add(&mut sums, &running, stepped, rules)?;
        self.compare(rules, &sums, 0, &chosen)?;
        let mut before = first;
        for delta in &self.series.deltas {
            let after = self.series.after(&before, delta)?;
            let batch = difference(&before, &after)?;
            let changed = delta.leaving.num_rows() + delta.appearing.num_rows();
            ensure!(batch.rows.num_rows() == changed, "{} rows differ, not {changed}", batch.rows.num_rows());
            let stepped = running.step(&self.series.tables(&after), &change("processes", batch));
            add(&mut sums, &running, stepped, rules)?;
            before = after;
        }
        ensure!(before == self.last, "the changes do not lead to the last snapshot");
        self.compare(rules, &sums, 1, &chosen)?;
        self.peer(rules, &sums, chosen)
    }

    fn compare(
        &mut self,
        rules: &[Rule],
        sums: &[Rows],
        moment: usize,
        chosen: &impl Fn(usize) -> bool,
    ) -> anyhow::Result<()> {
        let when = ["on the first snapshot", "after the changes"][moment];
        let mut wrong = Vec::new();
        for (at, (rule, ours)) in rules.iter().zip(sums).enumerate().filter(|(at, _)| chosen(*at)) {
            let right = &self.ask(&rule.sql).with_context(|| format!("rule {at}"))?[moment].rows;
            if ours != right {
                wrong.push(format!("rule {at} {when}, `{}`:\n{}", rule.sql, ours.against(right)));
            }
        }
        let shown = wrong.iter().take(3).map(String::as_str).collect::<String>();
        ensure!(wrong.is_empty(), "{} of {} rules differ from SQLite:\n{shown}", wrong.len(), rules.len());
        Ok(())
    }

    fn peer(&mut self, rules: &[Rule], sums: &[Rows], chosen: impl Fn(usize) -> bool) -> anyhow::Result<Peer> {
        let mut peer = Peer { full: 0.0, again: 0.0, estimated: false, rows: sums.iter().map(Rows::len).sum() };
        for (block, rules) in rules.chunks(BLOCK).enumerate() {
            let asked: Vec<_> = (0..rules.len()).filter(|at| chosen(block * BLOCK + at)).collect();
            ensure!(!asked.is_empty(), "SQLite was asked for none of a thousand rules");
            let share = number(rules.len()) / number(asked.len());
            peer.estimated |= asked.len() < rules.len();
            for at in asked {
                let [before, after] = self.ask(&rules[at].sql)?;
                peer.full += before.micros * share;
                peer.again += after.micros * share;
            }
        }
        Ok(peer)
    }

    /// The times of one step in which everything appears: for engines that have seen nothing, and after everything
    /// left again, when patterns are compiled and it is known which of their parts are rare. A peer's statements are
    /// prepared, and its tables warm.
    pub fn full(&self, rules: &[Rule], rounds: usize) -> anyhow::Result<Full> {
        let first = &self.series.processes.rows;
        let (tables, everything) = (self.series.tables(first), self.series.everything());
        let (nothing, nothing_left) = (self.series.nothing(), self.series.everything_leaves());
        let mut full = Full::default();
        for _ in 0..rounds {
            let mut running = Running::new(rules.iter().map(|rule| &rule.plan), &nothing)?;
            running.prime(&nothing)?;
            let stepped = full.first.process_cpu(|| running.step(&tables, &everything));
            let found = rows_of(&running.answers(stepped)?);
            let stepped = running.step(&nothing, &nothing_left);
            running.answers(stepped)?;
            let stepped = full.again.process_cpu(|| running.step(&tables, &everything));
            ensure!(rows_of(&running.answers(stepped)?) == found, "the same rows are found again");
        }
        Ok(full)
    }

    /// The times of the steps that follow, one for each change and round.
    pub fn steps(&self, rules: &[Rule], rounds: usize) -> anyhow::Result<Steps> {
        let first = &self.series.processes.rows;
        let everything = self.series.everything();
        let mut steps = Steps::default();
        for _ in 0..rounds {
            let mut running = Running::new(rules.iter().map(|rule| &rule.plan), &self.series.nothing())?;
            let stepped = running.step(&self.series.tables(first), &everything);
            running.answers(stepped)?;
            let mut before = first.clone();
            for delta in &self.series.deltas {
                let after = self.series.after(&before, delta)?;
                let tables = self.series.tables(&after);
                let Steps { together, difference: compare, alone } = &mut steps;
                let stepped = together.process_cpu(|| {
                    let batch = compare.process_cpu(|| difference(&before, &after))?;
                    let changes = change("processes", batch);
                    Ok::<_, anyhow::Error>(alone.process_cpu(|| running.step(&tables, &changes)))
                })?;
                running.answers(stepped)?;
                before = after;
            }
        }
        Ok(steps)
    }
}

fn rows_of(answers: &[(usize, Batch)]) -> i64 {
    answers.iter().flat_map(|(_, batch)| &batch.weights).sum()
}

/// What everything takes.
#[derive(Debug, Default)]
pub struct Full {
    /// For engines that have seen nothing.
    pub first: Samples,
    /// For those that saw it come and go.
    pub again: Samples,
}

/// What a change takes.
#[derive(Debug, Default)]
pub struct Steps {
    /// Finding out what changed, and the step.
    pub together: Samples,
    /// Only finding out.
    pub difference: Samples,
    /// Only the step.
    pub alone: Samples,
}

fn add(
    sums: &mut [Rows],
    running: &Running,
    stepped: crate::engine::running::Stepped,
    rules: &[Rule],
) -> anyhow::Result<()> {
    for (at, batch) in running.answers(stepped)? {
        sums[at].add(&weighted(&batch, rules[at].columns.len()));
    }
    Ok(())
}

fn ask(connection: &Connection, sql: &str) -> anyhow::Result<Asked> {
    let mut statement = connection.prepare(sql)?;
    let mut samples = Samples::default();
    let rows = samples.process_cpu(|| sqlite::answer(&mut statement))?;
    if samples.median_micros() < SHORT_MICROS {
        for _ in 0..2 {
            drop(samples.process_cpu(|| sqlite::answer(&mut statement))?);
        }
    }
    Ok(Asked { rows: Rows::of(rows), micros: samples.median_micros() })
}

fn in_sqlite(series: &Series, processes: &RecordBatch) -> anyhow::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    sqlite::add_functions(&connection)?;
    connection.execute_batch("BEGIN")?;
    fill(&connection, "processes", "pid", &series.processes, processes)?;
    fill(&connection, "connections", "id", &series.connections, &series.connections.rows)?;
    connection.execute_batch("COMMIT")?;
    connection.execute_batch(INDEXES)?;
    Ok(connection)
}

fn fill(connection: &Connection, table: &str, key: &str, like: &Records, rows: &RecordBatch) -> anyhow::Result<()> {
    sqlite::create(connection, table, &like.columns, Some(key))?;
    let mut statement = connection.prepare(&sqlite::insertion(table, like.columns.len()))?;
    Ok(sqlite::insert(&mut statement, &sqlite::rows_of(rows))?)
}
