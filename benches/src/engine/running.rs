//! Rules as the engine runs them, and the tables that it reads.

use std::hint::black_box;

use anyhow::{Context, anyhow, ensure};
use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use daemoneye_dsl::check::check_rule;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::lints::EXAMPLE_HEADER;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};
use daemoneye_planner::{Answer, Batch, Changes, Dataflow, Error, Plan, RuleId, plan};
use daemoneye_storage::{Each, Reader, Scan, StoredProcess};

use crate::engine::material::Series;

/// When all this happens: after the last of the snapshots. No rule here asks.
pub const NOW: Timestamp = Timestamp(1_760_000_600 * MICROS_PER_SEC);

/// A rule, compiled.
#[derive(Debug)]
pub struct Rule {
    /// What was written, without a header.
    pub sql: String,
    /// What is installed.
    pub plan: Plan,
    /// The names of the result's columns.
    pub columns: Vec<String>,
    /// Columns that it asks for and that no record has: NULL, always.
    pub absent: Vec<String>,
}

impl Rule {
    /// Compiles a statement below a header.
    pub fn compile(sql: &str, catalog: &Catalog) -> anyhow::Result<Self> {
        let source = Source { path: "rules/generated.sql".to_owned(), text: format!("{EXAMPLE_HEADER}{sql}\n") };
        let checked = check_rule(&source, catalog);
        let rule = checked.rule.ok_or_else(|| anyhow!("`{sql}` does not compile: {:?}", checked.diagnostics))?;
        let columns = rule.query.output.iter().map(|output| output.name.clone()).collect();
        let absent = rule.absent.iter().map(|absent| absent.column.clone()).collect();
        Ok(Self { sql: sql.to_owned(), plan: plan(&rule.query), columns, absent })
    }

    /// Compiles many.
    pub fn compile_all(statements: &[String], catalog: &Catalog) -> anyhow::Result<Vec<Self>> {
        statements.iter().map(|sql| Self::compile(sql, catalog)).collect()
    }
}

/// What is there at a moment.
#[derive(Debug)]
pub struct Tables(pub Vec<(&'static str, RecordBatch)>);

impl Tables {
    /// With other rows in the first of them.
    fn with_first(&self, rows: RecordBatch) -> Self {
        let mut tables = self.0.clone();
        tables[0].1 = rows;
        Self(tables)
    }
}

impl Reader for Tables {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, daemoneye_storage::Error> {
        let refused = daemoneye_storage::Error::Refused;
        let table = self.0.iter().find(|(name, _)| *name == scan.table.name);
        let (_, rows) = table.ok_or_else(|| refused(format!("there is no table `{}` here", scan.table.name)))?;
        let rows = rows.project(scan.columns).map_err(|error| refused(error.to_string()))?;
        let _only_one = each(rows);
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, daemoneye_storage::Error> {
        Ok(None)
    }
}

/// No rows of that layout.
pub fn none(rows: &RecordBatch) -> RecordBatch {
    rows.slice(0, 0)
}

/// A row that is nobody's: empty text and numbers below zero.
pub fn blank(rows: &RecordBatch) -> anyhow::Result<RecordBatch> {
    let array = |ty: Type| match ty {
        Type::Integer => ty.array([Value::Integer(-1)]),
        Type::Real => ty.array([Value::Real(-1.0)]),
        Type::Text => ty.array([Value::Text(String::new())]),
        _ => ty.array([Value::Null]),
    };
    let types = rows.columns().iter().map(|column| Type::from_arrow(column.data_type()).context("a type of ours"));
    let arrays: Result<Vec<_>, _> = types.map(|ty| Ok::<_, anyhow::Error>(array(ty?))).collect();
    Ok(RecordBatch::try_new(rows.schema(), arrays?)?)
}

impl Series {
    /// The tables with these processes.
    pub fn tables(&self, processes: &RecordBatch) -> Tables {
        Tables(vec![("processes", processes.clone()), ("connections", self.connections.rows.clone())])
    }

    /// The tables without a row.
    pub fn nothing(&self) -> Tables {
        Tables(vec![("processes", none(&self.processes.rows)), ("connections", none(&self.connections.rows))])
    }

    /// The change from nothing to the first snapshot.
    pub fn everything(&self) -> Changes {
        let mut changes = Changes::default();
        changes.add("processes", Batch::appearing(self.processes.rows.clone()));
        changes.add("connections", Batch::appearing(self.connections.rows.clone()));
        changes
    }
}

impl Series {
    /// The change from the first snapshot to nothing.
    pub fn everything_leaves(&self) -> Changes {
        let leaving = |rows: &RecordBatch| Batch { weights: vec![-1; rows.num_rows()], rows: rows.clone() };
        let mut changes = Changes::default();
        changes.add("processes", leaving(&self.processes.rows));
        changes.add("connections", leaving(&self.connections.rows));
        changes
    }
}

/// One table's change.
pub fn change(table: &'static str, batch: Batch) -> Changes {
    let mut changes = Changes::default();
    changes.add(table, batch);
    changes
}

/// What a step gave, not looked at yet.
pub type Stepped = Vec<(RuleId, Result<Answer<Batch>, Error>)>;

/// Rules that are installed and loaded.
#[derive(Default)]
pub struct Running {
    dataflow: Dataflow,
    /// In the order of the rules, which is their own.
    ids: Vec<RuleId>,
}

impl Running {
    /// Installs all and loads them from `tables`, where none of them may match.
    pub fn new<'p>(plans: impl IntoIterator<Item = &'p Plan>, tables: &Tables) -> anyhow::Result<Self> {
        let mut running = Self::default();
        for plan in plans {
            running.install(plan);
        }
        for (at, rows) in running.load(tables)? {
            ensure!(rows.is_empty(), "rule {at} matches where nothing is");
        }
        Ok(running)
    }

    /// Installs one more, not loaded yet; gives its number.
    pub fn install(&mut self, plan: &Plan) -> usize {
        self.ids.push(self.dataflow.install(plan));
        self.ids.len() - 1
    }

    /// Loads the rules that are not yet: their whole results.
    pub fn load(&mut self, tables: &Tables) -> anyhow::Result<Vec<(usize, Batch)>> {
        let loaded = self.dataflow.load(tables, NOW)?;
        self.answers(loaded)
    }

    /// One step, for the clock: nothing else happens here.
    pub fn step(&mut self, tables: &Tables, changes: &Changes) -> Stepped {
        black_box(self.dataflow.step(tables, changes, NOW))
    }

    /// What a step gave, by the numbers of the rules. A rule that stopped or that could not see all is an error.
    pub fn answers(&self, stepped: Stepped) -> anyhow::Result<Vec<(usize, Batch)>> {
        let answer = |(id, answer): (RuleId, Result<Answer<Batch>, Error>)| {
            let at = self.ids.binary_search(&id).map_err(|_| anyhow!("a rule answers that nobody installed"))?;
            let answer = answer.with_context(|| format!("rule {at} stops"))?;
            ensure!(answer.completeness.is_complete(), "the answer of rule {at} is not complete");
            Ok((at, answer.rows))
        };
        stepped.into_iter().map(answer).collect()
    }

    /// Lets a row that is nobody's come and go beside what is there: after this, whatever the engine prepares when it
    /// first has to is prepared.
    pub fn prime(&mut self, there: &Tables) -> anyhow::Result<()> {
        let (table, rows) = &there.0[0];
        let row = blank(rows)?;
        let with = there.with_first(concat_batches(&rows.schema(), [rows, &row])?);
        let stepped = self.step(&with, &change(table, Batch::appearing(row.clone())));
        self.answers(stepped)?;
        let stepped = self.step(there, &change(table, Batch { weights: vec![-1], rows: row }));
        self.answers(stepped)?;
        Ok(())
    }
}
