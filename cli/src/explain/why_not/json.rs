//! What `--why-not` says, for programs.

use arrow_array::RecordBatch;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::types::Value;
use daemoneye_planner::{Clause, Condition, Found, Named, Near, Stop};
use serde_json::{Map, Value as Json, json};

use super::clause;

pub(super) fn objects(rows: &RecordBatch, names: &[String]) -> Vec<Map<String, Json>> {
    let row = |row: usize| {
        let cells = names.iter().zip(rows.columns());
        cells.map(|(name, column)| (name.clone(), Value::at(column, row).to_json())).collect()
    };
    (0..rows.num_rows()).map(row).collect()
}

pub(super) fn stop(stop: &Stop, source: &Source) -> Json {
    let mut object = json!({
        "clause": match &stop.clause {
            Clause::Where => "WHERE",
            Clause::Having => "HAVING",
            Clause::Join(_) | Clause::Lineage(_) => "JOIN",
            Clause::Limit { .. } => "LIMIT",
            Clause::Set(op) => op,
        },
        "because": clause(&stop.clause),
        "rows": stop.rows,
        "failed": stop.failed(),
        "conditions": conditions(&stop.conditions, source),
        "nearest": nearest(&stop.nearest),
    });
    if let Clause::Limit { position, of, limit, offset } = &stop.clause {
        object["limit"] = json!({"position": position, "of": of, "limit": limit, "offset": offset});
    }
    object
}

pub(super) fn conditions(all: &[Condition], source: &Source) -> Vec<Json> {
    let one = |it: &Condition| {
        let region = it.span.as_ref().map(|span| source.region(span));
        json!({
            "sql": it.text,
            "line": region.as_ref().map(|region| region.line),
            "column": region.as_ref().map(|region| region.column),
            "holds": it.holds,
            "values": values(&it.values),
            "satisfied_by": it.held_by.map(|(held, _)| held),
            "looked_at": it.held_by.map(|(_, of)| of),
            "alternative": it.alternative.as_ref().map(|it| json!({
                "number": it.number,
                "of": it.of,
                "conditions": conditions(&it.conditions, source),
            })),
            "subqueries": it.subqueries.iter().map(|it| found(it, source)).collect::<Vec<_>>(),
        })
    };
    all.iter().map(one).collect()
}

fn found(found: &Found, source: &Source) -> Json {
    json!({
        "question": found.question,
        "given": values(&found.given),
        "rows": found.rows,
        "first": found.first.iter().map(|row| values(row)).collect::<Vec<_>>(),
        "conditions": conditions(&found.conditions, source),
        "nearest": nearest(&found.nearest),
    })
}

fn nearest(nearest: &[Near]) -> Vec<Json> {
    nearest.iter().map(|near| json!({"row": values(&near.row), "fails": near.fails})).collect()
}

fn values(values: &[Named]) -> Map<String, Json> {
    values.iter().map(|(name, value)| (name.clone(), value.to_json())).collect()
}
