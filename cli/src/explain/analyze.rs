//! `explain --analyze`: what each operation of the plan did in one evaluation over what is there now.

use std::ops::ControlFlow;
use std::time::Duration;

use anstyle::Style as Paint;
use anyhow::Context;
use daemoneye_broker::payload::Statement;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Analysis, Measured, Plan, analyze};
use daemoneye_storage::Tally;
use serde_json::{Value, json};

use crate::agent::{Asking, statement};
use crate::page::Page;
use crate::render::{Cell, bytes};
use crate::screen::count;
use crate::sources::{Sources, describe};
use crate::timeout::TimeoutArgument;

/// Spaces before the table of operations.
const INDENT: usize = 2;
/// Where operations begin there.
const BESIDE: usize = 37;

/// One evaluation.
pub(super) struct Analyzed {
    lines: Vec<(String, String)>,
    measured: Vec<Measured>,
    /// The rows of the result, or why there is none.
    rows: Result<usize, String>,
    read: String,
    pub(super) completeness: Completeness,
}

impl Analyzed {
    pub(super) fn of(plan: &Plan, sources: &Sources<'_>, patience: TimeoutArgument) -> Self {
        sources.ask(|reader| {
            let Analysis { answer, measured } = analyze(plan, reader, sources.now, &patience.begin());
            let completeness = answer.as_ref().map(|answer| answer.completeness.clone()).unwrap_or_default();
            let rows = answer.map(|answer| answer.rows.num_rows()).map_err(|error| error.to_string());
            Self { lines: plan.outline(), measured, rows, read: describe(&reader.by_table()), completeness }
        })
    }

    /// The same by the agent, and where it looked; nothing where it has seen no snapshot yet.
    pub(super) fn by(
        asking: &Asking,
        (rule, plan): (&CheckedRule, &Plan),
        (now, patience): (Option<Timestamp>, TimeoutArgument),
    ) -> anyhow::Result<Option<(Self, String)>> {
        let statement = Statement { analyze: true, ..statement(rule, patience.limit(), now) };
        let reply = asking.ask(&rule.query, statement, &mut |_| ControlFlow::Break(()))?;
        let Some(answered) = reply.answered()? else { return Ok(None) };
        let origin = answered.origin();
        let (rows, measured) = answered.analysis.context("the agent does not say what each operation did")?;
        let (read, completeness) = (describe(&answered.read), answered.completeness);
        Ok(Some((Self { lines: plan.outline(), measured, rows, read, completeness }, origin)))
    }

    /// Why there is no result, if there is none.
    pub(super) fn failed(&self) -> anyhow::Result<()> {
        match &self.rows {
            Ok(_) => Ok(()),
            Err(error) => Err(anyhow::anyhow!("{error}")).context("the evaluation ended without an answer"),
        }
    }

    fn total(&self) -> Duration {
        self.measured.iter().map(|it| it.own).sum()
    }

    pub(super) fn fields(&self) -> Vec<(&'static str, String)> {
        let rows = self.rows.as_ref().map_or("no result".to_owned(), |rows| count(*rows, "row", "rows"));
        let read = if self.read.is_empty() { String::new() } else { format!(" of {}", self.read) };
        vec![("measured", format!("{rows}{read} in {}", shown(self.total())))]
    }

    pub(super) fn write(&self, page: &mut Page<'_>) {
        let head = line(["own time", "rows in", "rows out", "times"].map(str::to_owned));
        page.line(INDENT, &[Cell::painted(format!("{head}  operation"), Paint::new().dimmed())]);
        for ((stem, text), it) in self.lines.iter().zip(&self.measured) {
            let numbers = match it.times {
                0 => line(["-", "-", "-", "never"].map(str::to_owned)),
                times => line([shown(it.own), it.rows_in.to_string(), it.rows_out.to_string(), times.to_string()]),
            };
            let paint = if self.is_slowest(it) { Paint::new().bold() } else { Paint::new() };
            page.outline_beside(INDENT, &[Cell::painted(numbers, paint)], (stem, text));
            if let Some(tally) = &it.tally {
                page.line(INDENT + BESIDE, &[Cell::painted(scanned(tally), Paint::new().dimmed())]);
            }
        }
    }

    fn is_slowest(&self, one: &Measured) -> bool {
        self.measured.len() > 1 && self.measured.iter().all(|other| other.own <= one.own)
    }

    pub(super) fn to_json(&self) -> Value {
        let operations = self.lines.iter().zip(&self.measured).map(|((stem, text), it)| {
            json!({
                "operation": text,
                "depth": stem.chars().count() / 3,
                "times": it.times,
                "rows_in": it.rows_in,
                "rows_out": it.rows_out,
                "own_us": micros(it.own),
                "scan": it.tally.as_ref().map(|tally| json!({
                    "indexes": tally.indexes,
                    "segments": tally.segments,
                    "segments_pruned": tally.segments_pruned,
                    "blocks": tally.blocks,
                    "versions": tally.rows,
                    "versions_pruned": tally.rows_pruned,
                    "bytes_read": tally.bytes,
                })),
            })
        });
        json!({
            "rows": self.rows.as_ref().ok(),
            "error": self.rows.as_ref().err(),
            "took_us": micros(self.total()),
            "operations": operations.collect::<Vec<_>>(),
        })
    }
}

/// What a scan of the store's history read, and what its indexes spared it.
fn scanned(tally: &Tally) -> String {
    let by = match tally.indexes.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        [] => "no index".to_owned(),
        columns => format!("by {}", columns.join(", ")),
    };
    let read = tally.segments - tally.segments_pruned;
    let looked = tally.rows - tally.rows_pruned;
    format!(
        "{by}: {read} of {}, {} not sealed; {looked} of {}; {} read",
        count(usize::try_from(tally.segments).unwrap_or(usize::MAX), "segment", "segments"),
        count(usize::try_from(tally.blocks).unwrap_or(usize::MAX), "block", "blocks"),
        count(usize::try_from(tally.rows).unwrap_or(usize::MAX), "version", "versions"),
        bytes(tally.bytes),
    )
}

fn line([own, rows_in, rows_out, times]: [String; 4]) -> String {
    format!("{own:>8}  {rows_in:>8}  {rows_out:>8}  {times:>5}")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// `1.25 ms`, `640 us`.
fn shown(time: Duration) -> String {
    match time.as_micros() {
        ..1000 => format!("{} us", time.as_micros()),
        1000..1_000_000 => format!("{:.2} ms", time.as_secs_f64() * 1e3),
        _ => format!("{:.2} s", time.as_secs_f64()),
    }
}
