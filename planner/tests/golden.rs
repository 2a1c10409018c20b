//! Runs the scripts in `tests/golden/{check,plan,dataflow}`. `UPDATE_GOLDENFILES=1` writes what comes out: read it.
//!
//! ```text
//! check:     query "SELECT …"        the diagnostics of a statement, as a terminal without Unicode shows them
//!            rule "-- @id: …"        the same for a rule file
//!            repeat 9000 " OR 1"     puts the text that many times in place of `{}` of the next query
//! plan:      explain "SELECT …"      the plan after each rewrite that changed it
//! dataflow:  install "SELECT …"      what the rule finds at first
//!            feed processes pid=7    a row appears, and what that changes; `"-processes"`: it leaves
//!            at 30s                  the time, from the beginning
//! ```

use std::error::Error;
use std::fmt::Write as _;

use arrow_array::RecordBatch;
use daemoneye_dsl::check::{Checked, check_query};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::convert;
use daemoneye_dsl::diagnostic::{Diagnostic, Source, Style, apply};
use daemoneye_dsl::lints::{EXAMPLE_HEADER, NOTHING_FURTHER, lint};
use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::{Catalog, Table, schema_of};
use daemoneye_dsl::types::{Timestamp, Type, Value, parse_interval};
use daemoneye_planner::{Batch, Changes, Dataflow, Outcome, RuleId, explain, plan};
use daemoneye_storage::{Each, Reader, Scan, StoredProcess};

#[derive(Default)]
struct Runner {
    filling: String,
    dataflow: Option<Dataflow>,
    /// What the tables hold: name and row, one batch each.
    rows: Vec<(String, RecordBatch)>,
    now: Timestamp,
}

impl goldenscript::Runner for Runner {
    type Command = goldenscript::Command;

    fn run(&mut self, command: &Self::Command, _: &goldenscript::Context) -> Result<String, Box<dyn Error>> {
        let catalog = Catalog::builtin();
        let mut args = command.consume_args();
        let mut next = || args.next_pos().ok_or("an argument is missing");
        Ok(match command.name.as_str() {
            "query" => {
                let source = Source::query(&next()?.replace("{}", &self.filling));
                drawn(&source, &check_query(&source, &catalog))
            }
            "rule" => {
                let source = Source { path: "rules/it.sql".to_owned(), text: next()?.to_owned() };
                drawn(&source, &lint(&source, &catalog, NOTHING_FURTHER))
            }
            "lint" => linted(&format!("{}{}", EXAMPLE_HEADER, next()?), &catalog),
            "lint-windows" => {
                let header = EXAMPLE_HEADER.replace("@platform: linux", "@platform: windows");
                linted(&format!("{header}{}", next()?), &catalog)
            }
            "repeat" => {
                let times = next()?.parse()?;
                self.filling = next()?.repeat(times);
                String::new()
            }
            "explain" => explained(&compiled(next()?, &catalog)?),
            "install" => {
                let mut dataflow = Dataflow::default();
                dataflow.install(&plan(&compiled(next()?, &catalog)?));
                let answers = dataflow.load(self, self.now)?;
                self.dataflow = Some(dataflow);
                listed(answers)?
            }
            "at" => {
                self.now = Timestamp(parse_interval(next()?).ok_or("not a duration")?);
                self.step(&Changes::default())?
            }
            "feed" => {
                let table = next()?;
                let mut cells = Vec::new();
                while let Some((column, cell)) = args.next_key() {
                    cells.push((column, cell));
                }
                self.feed(&catalog, table, &cells)?
            }
            other => return Err(format!("no command {other}").into()),
        })
    }
}

impl Runner {
    fn feed(&mut self, catalog: &Catalog, name: &str, cells: &[(&str, &str)]) -> Result<String, Box<dyn Error>> {
        let (weight, name) = name.strip_prefix('-').map_or((1, name), |name| (-1, name));
        let table = catalog.table(name).ok_or("no such table")?;
        let row = row(table, cells)?;
        if weight > 0 {
            self.rows.push((table.name.to_string(), row.clone()));
        } else {
            let at = self.rows.iter().position(|(other, it)| *other == *table.name && *it == row);
            self.rows.remove(at.ok_or("no such row")?);
        }
        let mut changes = Changes::default();
        changes.add(table.name.clone(), Batch { rows: row, weights: vec![weight] });
        self.step(&changes)
    }

    fn step(&mut self, changes: &Changes) -> Result<String, Box<dyn Error>> {
        let Some(mut dataflow) = self.dataflow.take() else { return Ok(String::new()) };
        let answers = dataflow.step(self, changes, self.now);
        self.dataflow = Some(dataflow);
        listed(answers)
    }
}

impl Reader for Runner {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, daemoneye_storage::Error> {
        let own = self.rows.iter().filter(|(name, _)| *name == scan.table.name);
        let mut batches = own.map(|(_, rows)| rows.project(scan.columns).expect("columns of the table"));
        let _all_or_some = batches.try_for_each(each);
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, daemoneye_storage::Error> {
        Ok(None)
    }
}

fn compiled(sql: &str, catalog: &Catalog) -> Result<Query, Box<dyn Error>> {
    let source = Source::query(sql);
    let checked = check_query(&source, catalog);
    let drawn = drawn(&source, &checked);
    Ok(checked.rule.or(checked.unavailable).ok_or(drawn)?.query)
}

/// Each finding with the text that it points at, and the statement with every fix.
fn linted(text: &str, catalog: &Catalog) -> String {
    let source = Source { path: "rules/it.sql".to_owned(), text: text.to_owned() };
    let found = lint(&source, catalog, NOTHING_FURTHER).diagnostics;
    let mut out = String::new();
    for it in &found {
        let at = &text[it.span().clone()];
        let _ = writeln!(out, "{} {}: {}\n   at: {at}", it.severity.name(), it.code, it.message);
    }
    let (fixed, applied) = apply(text, found.iter().filter_map(Diagnostic::offered_fix));
    if applied > 0 {
        let _ = writeln!(
            out,
            "fixed: {}",
            fixed.lines().skip(EXAMPLE_HEADER.lines().count()).collect::<Vec<_>>().join("\n")
        );
    }
    if found.is_empty() { "clean".to_owned() } else { out }
}

fn explained(query: &Query) -> String {
    explain(query).into_iter().fold(String::new(), |mut out, (name, tree)| {
        writeln!(out, "{name}:").expect("a String takes every write");
        tree.lines().for_each(|line| writeln!(out, "   {line}").expect("a String takes every write"));
        out
    })
}

fn drawn(source: &Source, checked: &Checked) -> String {
    let mut out = String::new();
    for diagnostic in &checked.diagnostics {
        let drawn = diagnostic.render(source, Style { ascii: true, ..Style::default() });
        // A line of thousands of characters is cut: the message and the place are the point.
        for line in drawn.lines() {
            let cut: String = line.chars().take(160).collect();
            writeln!(out, "{}", cut.trim_end()).expect("a String takes every write");
        }
    }
    if checked.rule.is_some() { out + "compiles\n" } else { out }
}

fn listed(answers: Vec<(RuleId, Outcome)>) -> Result<String, Box<dyn Error>> {
    answers.into_iter().map(|(_, answer)| Ok(listed_one(&answer?.rows))).collect()
}

fn listed_one(change: &Batch) -> String {
    let shown = |value: Value| if value.is_null() { "NULL".to_owned() } else { convert::to_text(&value) };
    let mut lines: Vec<String> = (0..change.rows.num_rows())
        .map(|row| {
            let cells: Vec<_> = change.rows.columns().iter().map(|column| shown(Value::at(column, row))).collect();
            format!("{:+} ({})\n", change.weights[row], cells.join(", "))
        })
        .collect();
    // What leaves stands first.
    lines.sort_by(|a, b| b.cmp(a));
    lines.concat()
}

/// A row with these cells; what is not given is empty, zero or NULL.
fn row(table: &Table, cells: &[(&str, &str)]) -> Result<RecordBatch, Box<dyn Error>> {
    if let Some((unknown, _)) = cells.iter().find(|(name, _)| table.column(name).is_none()) {
        return Err(format!("no column {unknown}").into());
    }
    let value = |name: &str, ty: Type, nullable: bool| {
        let cell = cells.iter().find(|(own, _)| *own == name).map(|(_, text)| *text);
        match (cell, ty) {
            (None, _) if nullable => Value::Null,
            (text, Type::Timestamp) => Value::Timestamp(text.and_then(parse_interval).unwrap_or(0)),
            (text, Type::Boolean) => Value::Boolean(text == Some("true")),
            (text, ty) => convert::cast(Value::Text(text.unwrap_or_default().to_owned()), ty),
        }
    };
    let columns = table.columns.iter().map(|it| it.ty.array([value(&it.name, it.ty, it.nullable)])).collect();
    Ok(RecordBatch::try_new(schema_of(&table.columns), columns)?)
}

fn run(folder: &str) {
    let folder = format!("{}/../tests/golden/{folder}", env!("CARGO_MANIFEST_DIR"));
    #[expect(clippy::disallowed_methods, reason = "the scripts are files")]
    let entries = std::fs::read_dir(&folder).expect("a folder of scripts");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder} is empty");
    for path in paths {
        goldenscript::run(&mut Runner::default(), &path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn check() {
    run("check");
}

#[test]
fn plans() {
    run("plan");
}

#[test]
fn dataflow() {
    run("dataflow");
}
