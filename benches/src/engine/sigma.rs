//! `SigmaHQ`'s rules for created processes over events that others recorded, in small batches as they would come.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use daemoneye_dsl::tables::{Catalog, Kind};
use daemoneye_planner::{Batch, Changes};
use rusqlite::Connection;
use serde_json::Value as Json;

use crate::engine::records::Records;
use crate::engine::report::{Bounds, Line, Unit};
use crate::engine::running::{Rule, Running, Tables, blank, change, none};
use crate::measure::{Samples, number};
use crate::rows::{Rows, weighted};
use crate::sqlite;

const TABLE: &str = "process_creation";
/// Events that come together.
const BATCH: usize = 256;

/// The corpus beside the checkout, if it is there.
pub fn corpus() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpora/sigma");
    folder.join(TABLE).is_dir().then_some(folder)
}

struct Sigma {
    names: Vec<String>,
    rules: Vec<Rule>,
    events: Records,
    steps: Vec<(Tables, Changes)>,
}

/// Checks against SQLite and against what the corpus says; then how many events a core takes in a second. Every `nth`
/// rule takes part.
pub fn measure(corpus: &Path, nth: usize, rounds: usize, bounds: Bounds) -> anyhow::Result<Line> {
    let sigma = Sigma::load(corpus, nth)?;
    let peer = sigma.check(corpus)?;
    let mut samples = Samples::default();
    for _ in 0..rounds {
        let mut running = sigma.running()?;
        samples.process_cpu(|| sigma.steps.iter().for_each(|(tables, changes)| drop(running.step(tables, changes))));
    }
    let events = number(sigma.events.rows.num_rows());
    let rate = |micros: f64| events / (micros / 1e6);
    let what = format!("{} Sigma rules over {events} events, in batches of {BATCH}", sigma.rules.len());
    Ok(Line::new(what, rate(samples.median_micros()), Unit::PerSecond, bounds).beside(rate(peer), false))
}

impl Sigma {
    fn load(corpus: &Path, nth: usize) -> anyhow::Result<Self> {
        let events = Records::read(&corpus.join(format!("{TABLE}.events.jsonl")))?;
        let catalog = Catalog::builtin().with(events.table(TABLE, Kind::Records));
        let mut files: Vec<_> = std::fs::read_dir(corpus.join(TABLE))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()?;
        files.sort();
        let (mut names, mut rules) = (Vec::new(), Vec::new());
        for file in files.iter().step_by(nth) {
            let name = file.file_stem().and_then(|stem| stem.to_str()).context("a rule without a name")?;
            rules.push(Rule::compile(&std::fs::read_to_string(file)?, &catalog)?);
            names.push(name.to_owned());
        }
        let all = &events.rows;
        let step = |from: usize| {
            let until = (from + BATCH).min(all.num_rows());
            let batch = all.slice(from, until - from);
            // What has happened stays in the table.
            (Tables(vec![(TABLE, all.slice(0, until))]), change(TABLE, Batch::appearing(batch)))
        };
        let steps = (0..all.num_rows()).step_by(BATCH).map(step).collect();
        Ok(Self { names, rules, events, steps })
    }

    /// All rules, and one event that is nobody's behind them.
    fn running(&self) -> anyhow::Result<Running> {
        let nothing = Tables(vec![(TABLE, none(&self.events.rows))]);
        let mut running = Running::new(self.rules.iter().map(|rule| &rule.plan), &nothing)?;
        let row = blank(&self.events.rows)?;
        let stepped = running.step(&Tables(vec![(TABLE, row.clone())]), &change(TABLE, Batch::appearing(row)));
        running.answers(stepped)?;
        Ok(running)
    }

    /// What SQLite takes for all events.
    fn check(&self, corpus: &Path) -> anyhow::Result<f64> {
        let mut running = self.running()?;
        let mut sums: Vec<Rows> = self.rules.iter().map(|_| Rows::default()).collect();
        let mut found: BTreeMap<usize, BTreeSet<i64>> = BTreeMap::new();
        let eid = self.events.place("eid")?;
        for (tables, changes) in &self.steps {
            let stepped = running.step(tables, changes);
            for (at, batch) in running.answers(stepped)? {
                sums[at].add(&weighted(&batch, self.rules[at].columns.len()));
                let place = self.rules[at].columns.iter().position(|name| name == "eid").unwrap_or(eid);
                let eids = batch.rows.column(place).as_primitive::<Int64Type>();
                found.entry(at).or_default().extend(eids.values());
            }
        }
        let expected = expected(corpus)?;
        for (at, name) in self.names.iter().enumerate() {
            ensure!(found.get(&at) == expected.get(name), "{name} finds other events than the corpus says");
        }
        let peer = self.in_sqlite()?;
        let mut total = Samples::default();
        for ((rule, ours), name) in self.rules.iter().zip(&sums).zip(&self.names) {
            let mut statement = peer.prepare(&rule.sql).with_context(|| format!("SQLite cannot read {name}"))?;
            let mut right = total.process_cpu(|| sqlite::answer(&mut statement))?;
            // What was added for columns that no event has stands behind all others.
            for row in &mut right {
                row.truncate(rule.columns.len());
            }
            let right = Rows::of(right);
            ensure!(*ours == right, "{name} differs from SQLite:\n{}", ours.against(&right));
        }
        Ok(total.sum_micros())
    }

    fn in_sqlite(&self) -> anyhow::Result<Connection> {
        let connection = Connection::open_in_memory()?;
        sqlite::add_functions(&connection)?;
        connection.execute_batch("BEGIN")?;
        sqlite::create(&connection, TABLE, &self.events.columns, None)?;
        let mut statement = connection.prepare(&sqlite::insertion(TABLE, self.events.columns.len()))?;
        sqlite::insert(&mut statement, &sqlite::rows_of(&self.events.rows))?;
        drop(statement);
        let absent: BTreeSet<_> = self.rules.iter().flat_map(|rule| &rule.absent).collect();
        for column in absent {
            connection.execute_batch(&format!("ALTER TABLE {TABLE} ADD COLUMN \"{column}\" TEXT"))?;
        }
        connection.execute_batch("COMMIT")?;
        Ok(connection)
    }
}

fn expected(corpus: &Path) -> anyhow::Result<BTreeMap<String, BTreeSet<i64>>> {
    let text = std::fs::read(corpus.join(format!("{TABLE}.expected.json")))?;
    let expected: Json = serde_json::from_slice(&text)?;
    let matches = expected["matches"].as_object().context("the corpus has no matches")?;
    let events = |events: &Json| events.as_array().into_iter().flatten().filter_map(Json::as_i64).collect();
    Ok(matches.iter().map(|(rule, of)| (rule.clone(), events(of))).collect())
}
