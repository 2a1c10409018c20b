//! What a hunt comes to: findings, and what could not be looked at.

use std::collections::{BTreeMap, BTreeSet};

use arrow_array::RecordBatch;
use daemoneye_dsl::alert::Level;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::convert::to_text;
use daemoneye_dsl::query::{Absent, CheckedRule};
use daemoneye_dsl::tables::Access;
use daemoneye_dsl::types::Value;
use serde_json::Map;

use crate::sources;

/// One match of one rule.
pub(super) struct Finding<'a> {
    /// Only a header gives one.
    pub(super) level: Option<Level>,
    pub(super) rule: &'a str,
    pub(super) title: Option<String>,
    pub(super) tags: &'a [String],
    pub(super) row: Map<String, serde_json::Value>,
    /// The process that it is about, as far as the row says.
    pub(super) subject: Subject,
    pub(super) completeness: Completeness,
}

/// A process as a row names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) proc_id: Option<String>,
    /// Where there is no `proc_id`.
    pub(crate) pid: Option<i64>,
}

/// What a hunt came to.
#[derive(Default)]
pub(super) struct Report<'a> {
    pub(super) findings: Vec<Finding<'a>>,
    /// Rules that ran.
    pub(super) ran: usize,
    pub(super) completeness: Completeness,
    pub(super) need_history: Vec<&'a str>,
    pub(super) elsewhere: Vec<&'a str>,
    pub(super) stopped: Vec<(&'a str, String)>,
    /// Rules and columns that this user may not read of every process.
    pub(super) hidden: Limits<'a>,
    /// Rules and columns that nobody collects yet.
    pub(super) uncollected: Limits<'a>,
    /// Columns of files that no record has, and the rules that ask for them.
    pub(super) absent: BTreeMap<Absent, Vec<&'a str>>,
    /// What `-v` adds.
    pub(super) timings: Vec<String>,
    /// The rows of the tables that were read.
    pub(super) rows: usize,
}

#[derive(Default)]
pub(super) struct Limits<'a> {
    pub(super) rules: Vec<&'a str>,
    pub(super) columns: BTreeSet<String>,
}

impl<'r> Report<'r> {
    /// Takes what a rule found.
    pub(super) fn take(&mut self, rule: &'r CheckedRule, rows: &RecordBatch, mut completeness: Completeness) {
        let header = rule.header.as_ref();
        self.ran += 1;
        if completeness.reasons.contains(&Reason::StatementTimedOut) {
            self.stopped.push((rule.name(), "its time was over: make it narrower, or --timeout longer".to_owned()));
        }
        if !rule.absent.is_empty() {
            completeness.add(Reason::ColumnAbsentInData);
        }
        self.completeness = std::mem::take(&mut self.completeness).and(&completeness);
        let names: Vec<_> = rule.query.output.iter().map(|output| output.name.as_str()).collect();
        self.findings.extend((0..rows.num_rows()).map(|row| {
            let cells: Vec<_> = rows.columns().iter().map(|column| Value::at(column, row)).collect();
            let value = |name: &str| names.iter().position(|it| *it == name).map(|at| &cells[at]);
            let overriding = value("alert_level").and_then(Value::as_text).and_then(Level::parse);
            Finding {
                level: overriding.or(header.map(|header| header.level)),
                rule: rule.name(),
                title: header.map(|it| it.title.render(|name| value(name).map(to_text).unwrap_or_default())),
                tags: header.map(|header| header.tags.as_slice()).unwrap_or_default(),
                subject: Subject {
                    proc_id: value("proc_id")
                        .or_else(|| Some(&cells[rule.query.output.iter().position(|output| output.identity)?]))
                        .and_then(Value::as_text)
                        .map(str::to_owned),
                    pid: value("pid").and_then(Value::as_integer),
                },
                row: names.iter().zip(&cells).map(|(name, cell)| ((*name).to_owned(), cell.to_json())).collect(),
                completeness: completeness.clone(),
            }
        }));
    }

    /// Notes which columns the rule asks for in vain; `hides` says whether some of this system cannot be read.
    pub(super) fn note_limits(&mut self, rule: &'r CheckedRule, hides: bool) {
        for absent in &rule.absent {
            self.absent.entry(absent.clone()).or_default().push(rule.name());
        }
        for (table, column) in rule.query.columns_read() {
            let of_now = sources::is_present(&table.table);
            let limits = match column.access {
                Access::Owner if of_now && hides => &mut self.hidden,
                Access::Uncollected => &mut self.uncollected,
                Access::Owner | Access::Open | Access::Absent => continue,
            };
            limits.columns.insert(column.name.to_string());
            if limits.rules.last() != Some(&rule.name()) {
                limits.rules.push(rule.name());
            }
        }
    }
}
