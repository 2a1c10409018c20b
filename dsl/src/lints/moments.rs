//! What conditions say about how far apart moments may lie.

use super::Rows;
use crate::expr::{Arithmetic, Comparison, Expr, ExprKind};
use crate::types::{Type, Value};

/// What a moment is measured from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The time of evaluation.
    Now,
    /// A TIMESTAMP of the input with this number.
    Input(usize),
}

/// `earlier` is at most a constant later than `later`, for every row that the conditions let through.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bound {
    pub(super) earlier: Base,
    pub(super) later: Base,
}

/// Every bound that WHERE and ON say; those below OR and NOT bind no row.
pub(super) fn bounds(rows: &Rows<'_>) -> Vec<Bound> {
    let mut found = Vec::new();
    rows.conditions().into_iter().for_each(|condition| collect(rows, condition, &mut found));
    found
}

fn collect(rows: &Rows<'_>, expr: &Expr, found: &mut Vec<Bound>) {
    match &expr.kind {
        ExprKind::And(parts) => parts.iter().for_each(|part| collect(rows, part, found)),
        ExprKind::Compare { op, left, right, .. } => {
            let (Some(left), Some(right)) = (base(rows, left), base(rows, right)) else { return };
            let (up, down) = (Bound { earlier: left, later: right }, Bound { earlier: right, later: left });
            match op {
                Comparison::Less | Comparison::LessEqual => found.push(up),
                Comparison::Greater | Comparison::GreaterEqual => found.push(down),
                Comparison::Equal | Comparison::Is => found.extend([up, down]),
                Comparison::NotEqual | Comparison::IsNot => {}
            }
        }
        _ => {}
    }
}

/// What a moment, moved by constants, is measured from.
fn base(rows: &Rows<'_>, expr: &Expr) -> Option<Base> {
    match &expr.kind {
        ExprKind::Now => Some(Base::Now),
        ExprKind::Column { index, .. } if expr.ty == Type::Timestamp => Some(Base::Input(rows.input_of(*index))),
        ExprKind::Arithmetic { op: Arithmetic::Add | Arithmetic::Subtract, left, right } => {
            let constant = |expr: &Expr| matches!(expr.as_literal(), Some(Value::Interval(_)));
            match (constant(left), constant(right)) {
                (false, true) => base(rows, left),
                (true, false) => base(rows, right),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether `from` is never more than a constant later than `to`. Nothing is later than now.
pub(super) fn bounded(bounds: &[Bound], from: Base, to: Base) -> bool {
    let mut reached = vec![from];
    let mut at = 0;
    while let Some(here) = reached.get(at).copied() {
        let further = bounds.iter().filter(|bound| bound.earlier == here).map(|bound| bound.later).chain([Base::Now]);
        for next in further {
            if !reached.contains(&next) {
                reached.push(next);
            }
        }
        at += 1;
    }
    reached.contains(&to)
}
