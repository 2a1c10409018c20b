//! `time >= now() - INTERVAL '5 minutes'` at a scan bounds how far back rows can matter: older blocks are not read, and
//! older rows are not kept. `time >= datetime('now', '-5 minutes')` does as well, a second further: it is cut to seconds.

use daemoneye_dsl::expr::{Arithmetic, Comparison, Expr, ExprKind};
use daemoneye_dsl::types::{MICROS_PER_SEC, Type, Value};

use crate::plan::{Lookback, Plan};

pub(super) fn apply(plan: Plan) -> Plan {
    match plan.map_children(&mut apply) {
        Plan::Scan { table, alias, columns, filter, as_of, .. } => {
            let bounds = filter.iter().flat_map(|filter| match &filter.kind {
                ExprKind::And(parts) => parts.iter().collect(),
                _ => vec![filter],
            });
            let found = bounds.filter_map(bound).min_by_key(|(_, micros)| *micros);
            let lookback = found.map(|(column, micros)| Lookback { column: columns[column], micros });
            Plan::Scan { table, alias, columns, filter, lookback, as_of }
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
pub(crate) fn back(moment: &Expr) -> Option<i64> {
    match &moment.kind {
        ExprKind::Now => Some(0),
        ExprKind::Arithmetic { op: Arithmetic::Subtract, left, right } if left.kind == ExprKind::Now => {
            match right.as_literal() {
                Some(Value::Interval(micros)) => Some(*micros),
                _ => None,
            }
        }
        ExprKind::Cast(civil) => match &civil.kind {
            ExprKind::Call { function, args, .. } => civil_back(function.name, args),
            _ => None,
        },
        _ => None,
    }
}

const SECOND: i64 = MICROS_PER_SEC;
const DAY: i64 = 86_400 * SECOND;

/// The same for `datetime('now', '-5 minutes')` and `date`, whose text is cut to its second or day: at most so far.
fn civil_back(function: &str, args: &[Expr]) -> Option<i64> {
    let (first, modifiers) = args.split_first()?;
    let cut = match function {
        "datetime" => SECOND,
        "date" => DAY,
        _ => return None,
    };
    if first.kind != ExprKind::Now {
        return None;
    }
    let steps = modifiers.iter().map(|modifier| step_back(modifier.as_literal()?.as_text()?));
    steps.sum::<Option<i64>>()?.checked_add(cut)
}

/// How far back a modifier moves at most; less than nothing if it moves on.
fn step_back(modifier: &str) -> Option<i64> {
    let lower = modifier.to_ascii_lowercase();
    match lower.as_str() {
        "start of day" => return Some(DAY),
        "start of month" => return Some(31 * DAY),
        "start of year" => return Some(366 * DAY),
        "subsec" | "subsecond" => return Some(0),
        _ => {}
    }
    let (number, unit) = lower.split_once(' ')?;
    let unit = unit.trim();
    let (longest, fixed) = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => (SECOND, true),
        "minute" => (60 * SECOND, true),
        "hour" => (3600 * SECOND, true),
        "day" => (DAY, true),
        "month" => (31 * DAY, false),
        "year" => (366 * DAY, false),
        _ => return None,
    };
    let by = number.parse::<i64>().ok()?.checked_mul(longest)?;
    Some(if by > 0 && !fixed { 0 } else { -by })
}
