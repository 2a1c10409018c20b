//! `time >= now() - INTERVAL '5 minutes'` at a scan bounds how far back rows can matter: older blocks are not read, and
//! older rows are not kept.

use daemoneye_dsl::expr::{Arithmetic, Comparison, Expr, ExprKind};
use daemoneye_dsl::types::{Type, Value};

use crate::plan::{Lookback, Plan};

pub(super) fn apply(plan: Plan) -> Plan {
    match plan.map_children(&mut apply) {
        Plan::Scan { table, alias, columns, filter, .. } => {
            let bounds = filter.iter().flat_map(|filter| match &filter.kind {
                ExprKind::And(parts) => parts.iter().collect(),
                _ => vec![filter],
            });
            let found = bounds.filter_map(bound).min_by_key(|(_, micros)| *micros);
            let lookback = found.map(|(column, micros)| Lookback { column: columns[column], micros });
            Plan::Scan { table, alias, columns, filter, lookback }
        }
        other => other,
    }
}

/// Column and width of a condition that bounds it from below.
fn bound(condition: &Expr) -> Option<(usize, i64)> {
    let ExprKind::Compare { op, left, right, .. } = &condition.kind else { return None };
    let (op, column, limit) = match (&left.kind, &right.kind) {
        (ExprKind::Column { index, .. }, _) => (*op, *index, right),
        (_, ExprKind::Column { index, .. }) => (op.flipped(), *index, left),
        _ => return None,
    };
    let lower = matches!(op, Comparison::Greater | Comparison::GreaterEqual | Comparison::Equal);
    let micros = back(limit)?;
    (lower && limit.ty == Type::Timestamp && micros >= 0).then_some((column, micros))
}

/// How far before `now()` the moment is.
fn back(moment: &Expr) -> Option<i64> {
    match &moment.kind {
        ExprKind::Now => Some(0),
        ExprKind::Arithmetic { op: Arithmetic::Subtract, left, right } if left.kind == ExprKind::Now => {
            match right.as_literal() {
                Some(Value::Interval(micros)) => Some(*micros),
                _ => None,
            }
        }
        _ => None,
    }
}
