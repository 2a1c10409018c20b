//! sqllogictest files, as `sqllogictest::parse` reads them.
//!
//! Two things of SQLite's own files are unknown to that reader and cut off before: comments behind a condition, and a
//! condition before `halt`, which is honoured here.

use std::time::Instant;

use daemoneye_dsl::types::Value;
use sqllogictest::{Condition, DefaultColumnType, QueryExpect, Record, SortMode, StatementExpect};

use super::Extent;
use super::database::{Database, Row, words};
use super::format::{Bits, hashed, typed};
use super::report::{Report, Verdict};

/// What this engine answers as.
const ENGINE: &str = "sqlite";

pub(super) fn run(text: &str, extent: Extent) -> anyhow::Result<Report> {
    let lines: Vec<_> = text.lines().map(plain_line).collect();
    let records = sqllogictest::parse::<DefaultColumnType>(&lines.join("\n"))?;
    let mut run = Run { database: Database::default(), report: Report::default(), extent, number: 0 };
    let mut conditions = Vec::new();
    for record in records {
        if let Record::Condition(condition) = record {
            conditions.push(condition);
            continue;
        }
        let skipped = !conditions.iter().all(holds);
        match record {
            Record::Newline | Record::Comment(_) => continue,
            Record::Halt { .. } if !skipped => break,
            Record::Statement { loc, sql, expected, .. } => run.statement(&place(loc.line()), &sql, &expected, skipped),
            Record::Query { loc, sql, expected, .. } => run.query(&place(loc.line()), &sql, &expected, skipped),
            _ => {}
        }
        conditions.clear();
    }
    Ok(run.report)
}

fn place(line: u32) -> String {
    format!("line {line}")
}

/// A directive without the comment behind it.
fn plain_line(line: &str) -> &str {
    let line = line.trim_end_matches('\r');
    let directive = ["onlyif ", "skipif ", "halt", "hash-threshold "].iter().any(|word| line.starts_with(word));
    match line.split_once('#') {
        Some((before, _)) if directive => before.trim_end(),
        _ if line.chars().all(char::is_whitespace) => "",
        _ => line,
    }
}

fn holds(condition: &Condition) -> bool {
    match condition {
        Condition::OnlyIf { label } => label == ENGINE,
        Condition::SkipIf { label } => label != ENGINE,
    }
}

struct Run {
    database: Database,
    report: Report,
    extent: Extent,
    number: usize,
}

impl Run {
    fn statement(&mut self, place: &str, sql: &str, expected: &StatementExpect, skipped: bool) {
        let fails = matches!(expected, StatementExpect::Error(_));
        if is_query(sql) {
            if let Some(verdict) = self.turn(skipped) {
                let verdict = verdict.unwrap_or_else(|| match (self.database.rows(sql), fails) {
                    // A table that is not there may be the error that is expected.
                    (Ok(_), false) | (Err(Verdict::Refused(_) | Verdict::NotApplicable(_)), true) => Verdict::Passed,
                    (Ok(_), true) => Verdict::Failed("an error was expected".to_owned()),
                    (Err(verdict), _) => verdict,
                });
                self.report.add(place, sql, verdict);
            }
        } else if !skipped && !fails {
            // What fails changes nothing, and how writing fails is not this engine's matter.
            if let Err(reason) = self.database.write(sql) {
                let reason = format!("the harness could not do: {reason}");
                self.report.add(place, sql, Verdict::NotApplicable(reason));
            }
        }
    }

    fn query(&mut self, place: &str, sql: &str, expected: &QueryExpect<DefaultColumnType>, skipped: bool) {
        let Some(verdict) = self.turn(skipped) else { return };
        let begin = Instant::now();
        let verdict = verdict.unwrap_or_else(|| match (self.database.rows(sql), expected) {
            (Ok(rows), QueryExpect::Results { types, sort_mode, results, .. }) => {
                let types: Vec<_> = types.iter().map(sqllogictest::ColumnType::to_char).collect();
                compare(sql, &rows, &types, *sort_mode, results)
            }
            (Ok(_), QueryExpect::Error(_)) => Verdict::Failed("an error was expected".to_owned()),
            (Err(Verdict::Refused(_)), QueryExpect::Error(_)) => Verdict::Passed,
            (Err(verdict), _) => verdict,
        });
        self.report.took(begin.elapsed(), place);
        self.report.add(place, sql, verdict);
    }

    /// Whether the next SELECT is one to look at, and what is already known of it.
    fn turn(&mut self, skipped: bool) -> Option<Option<Verdict>> {
        if skipped {
            return Some(Some(Verdict::NotApplicable("for another engine".to_owned())));
        }
        self.number += 1;
        self.extent.has(self.number).then_some(None)
    }
}

pub(super) fn is_query(sql: &str) -> bool {
    let sql = sql.trim_start_matches(|c: char| c == '(' || c.is_whitespace());
    let word = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default().to_ascii_uppercase();
    matches!(word.as_str(), "SELECT" | "WITH" | "VALUES")
}

fn compare(sql: &str, rows: &[Row], types: &[char], sort: Option<SortMode>, expected: &[String]) -> Verdict {
    if let Some(row) = rows.first()
        && row.len() != types.len()
    {
        return Verdict::Failed(format!("{} columns, expected {}", row.len(), types.len()));
    }
    if expected.is_empty()
        && let [row] = rows
        && row.iter().all(Value::is_null)
        && words(sql).contains("sum")
    {
        return Verdict::Refused("a sum beyond 64 bits, which is NULL here and an error in SQLite".to_owned());
    }
    let all = Shown::new(rows, types, sort, Bits::All);
    if all.is(expected) || Shown::new(rows, types, sort, Bits::Lower32).is(expected) {
        return Verdict::Passed;
    }
    let values = &all.values;
    let got = if expected.iter().any(|line| line.contains(HASHED)) && values.len() > SHOWN {
        hashed(values)
    } else {
        values[..values.len().min(SHOWN)].join(" | ")
    };
    Verdict::Failed(format!("expected {}, got {got}", expected[..expected.len().min(SHOWN)].join(" | ")))
}

/// A result in the order in which it is compared.
struct Shown {
    rows: Vec<Vec<String>>,
    values: Vec<String>,
}

impl Shown {
    fn new(rows: &[Row], types: &[char], sort: Option<SortMode>, bits: Bits) -> Self {
        let row = |row: &Row| row.iter().zip(types).map(|(value, ty)| typed(value, *ty, bits)).collect();
        let mut rows: Vec<Vec<String>> = rows.iter().map(row).collect();
        if sort == Some(SortMode::RowSort) {
            rows.sort();
        }
        let mut values: Vec<String> = rows.concat();
        if sort == Some(SortMode::ValueSort) {
            values.sort();
        }
        Self { rows, values }
    }

    /// Whether it is what the file has: a hash, one value on a line, or, as some write it, one row.
    fn is(&self, expected: &[String]) -> bool {
        let words = |line: &String| line.split_whitespace().collect::<Vec<_>>().join(" ");
        match expected {
            [one] if one.contains(HASHED) => *one == hashed(&self.values),
            _ if expected.len() == self.values.len() => expected == self.values,
            _ => expected.iter().map(words).eq(self.rows.iter().map(|row| words(&row.join(" ")))),
        }
    }
}

/// What stands between the number of values and their hash.
const HASHED: &str = " values hashing to ";
/// Values that a failure shows.
const SHOWN: usize = 24;
