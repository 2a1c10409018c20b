//! Matches as they go to standard output.

use anstyle::Style as Paint;
use daemoneye_dsl::convert::to_text;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::types::Value;
use serde_json::{Map, json};

use super::play::Match;
use crate::output::Format;
use crate::render::{Align, Cell, Column, Table};

/// A row as JSON has it.
pub(super) fn object(rule: &CheckedRule, row: &[Value]) -> Map<String, serde_json::Value> {
    let names = rule.query.output.iter().map(|output| output.name.clone());
    names.zip(row.iter().map(Value::to_json)).collect()
}

/// A match as a line for programs.
pub(super) fn line(found: &Match<'_>) -> Map<String, serde_json::Value> {
    let row = object(found.rule, &found.row);
    let line = json!({"at": found.at.spelled, "rule": found.rule.name(), "op": op(found), "row": row});
    line.as_object().cloned().unwrap_or_default()
}

fn op(found: &Match<'_>) -> &'static str {
    if found.appears { "+" } else { "-" }
}

/// Matches as rows; for people with the rule's title where it has one.
pub(super) fn table<'f>(matches: impl Iterator<Item = Match<'f>>, form: Format) -> Table {
    let row = |found: Match<'f>| {
        let at = found.at.spelled.as_str().map_or_else(|| found.at.spelled.to_string(), str::to_owned);
        let said =
            if form == Format::Csv { Cell::new(json_text(&found)) } else { Cell::painted(said(&found), paint(&found)) };
        vec![Cell::new(at), Cell::new(op(&found)), Cell::new(found.rule.name()), said]
    };
    let columns = vec![
        Column::new("at", Align::Left),
        Column::new("op", Align::Left),
        Column::new("rule", Align::Text),
        Column::new(if form == Format::Csv { "row" } else { "match" }, Align::Text),
    ];
    Table { columns, rows: matches.map(row).collect(), header: true, indent: 0 }
}

/// What is over stands back.
fn paint(found: &Match<'_>) -> Paint {
    if found.appears { Paint::new() } else { Paint::new().dimmed() }
}

fn json_text(found: &Match<'_>) -> String {
    serde_json::Value::Object(object(found.rule, &found.row)).to_string()
}

/// The title, else the row.
fn said(found: &Match<'_>) -> String {
    let outputs = || found.rule.query.output.iter().zip(&found.row);
    if let Some(header) = &found.rule.header {
        let value = |name: &str| outputs().find(|(output, _)| output.name == name).map(|(_, value)| to_text(value));
        return header.title.render(|name| value(name).unwrap_or_default());
    }
    let cell = |value: &Value| match value {
        Value::Text(text) => text.clone(),
        other => other.to_json().to_string(),
    };
    outputs().map(|(output, value)| format!("{}={}", output.name, cell(value))).collect::<Vec<_>>().join(" ")
}
