//! Each conjunct of a WHERE moves down to the lowest operation that has its columns; at a scan it decides which rows of
//! the table are looked at at all.
//!
//! Below a left join only conditions on the left rows move from above, and only conditions on the right rows from ON:
//! the others decide which left rows stay with NULLs. A right join is its mirror; nothing moves below a full one.

use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::query::{JoinKind, SetOp};

use crate::plan::Plan;

pub(super) fn apply(plan: Plan) -> Plan {
    match plan {
        Plan::Filter { input, predicate } => push(apply(*input), predicate.into_conjuncts()),
        Plan::Join { left, right, kind, keys, on } => {
            let (left, right) = (apply(*left), apply(*right));
            join(left, right, kind, keys, on, vec![])
        }
        other => other.map_children(&mut apply),
    }
}

/// `plan` with the conjuncts applied as far down as they go.
fn push(plan: Plan, conjuncts: Vec<Expr>) -> Plan {
    match plan {
        _ if conjuncts.is_empty() => plan,
        Plan::Scan { table, alias, columns, filter, lookback, as_of } => {
            let filter = Expr::all(filter.into_iter().chain(conjuncts));
            Plan::Scan { table, alias, columns, filter, lookback, as_of }
        }
        Plan::Filter { input, predicate } => {
            push(*input, predicate.into_conjuncts().into_iter().chain(conjuncts).collect())
        }
        Plan::Join { left, right, kind, keys, on } => join(*left, *right, kind, keys, on, conjuncts),
        // What is asked for depends on WHEN and ON alone; the rows on the left can be fewer.
        Plan::AutoJoin { left, right, on, when, collector } => {
            let width = left.width();
            let (below, above) = split(conjuncts, |columns| columns.iter().all(|column| *column < width));
            let left = push(*left, below).into();
            filter(Plan::AutoJoin { left, right, on, when, collector }, above)
        }
        Plan::Lineage { lineage, input, process, alias, columns, kind, on } => {
            let width = input.width();
            let (below, above) = split(conjuncts, |columns| columns.iter().all(|column| *column < width));
            let input = push(*input, below).into();
            filter(Plan::Lineage { lineage, input, process, alias, columns, kind, on }, above)
        }
        Plan::Apply { input, subplan, params, question } => {
            let width = input.width();
            let (below, above) = split(conjuncts, |columns| columns.iter().all(|column| *column < width));
            let input = push(*input, below).into();
            filter(Plan::Apply { input, subplan, params, question }, above)
        }
        // Columns that are only passed on are known below under another number.
        Plan::Project { input, columns } => {
            let passed = |column: &usize| matches!(columns[*column].1.kind, ExprKind::Column { .. });
            let (below, above) = split(conjuncts, |read| read.iter().all(passed));
            let below = below.into_iter().map(|conjunct| {
                conjunct.with_columns(&|column| match columns[column].1.kind {
                    ExprKind::Column { index, .. } => index,
                    _ => unreachable!("only those that are passed on"),
                })
            });
            let input = push(*input, below.collect()).into();
            filter(Plan::Project { input, columns }, above)
        }
        Plan::Set { op: SetOp::UnionAll, left, right } => {
            let (left, right) = (push(*left, conjuncts.clone()).into(), push(*right, conjuncts).into());
            Plan::Set { op: SetOp::UnionAll, left, right }
        }
        // HAVING stays above its aggregate: its columns exist nowhere below. What LIMIT, a window or a recursion gives
        // depends on the rows that a filter would take away.
        other => filter(other, conjuncts),
    }
}

fn join(left: Plan, right: Plan, kind: JoinKind, keys: Vec<(Expr, Expr)>, on: Option<Expr>, above: Vec<Expr>) -> Plan {
    let width = left.width();
    let is_left = |columns: &[usize]| columns.iter().all(|column| *column < width);
    let is_right = |columns: &[usize]| !columns.is_empty() && columns.iter().all(|column| *column >= width);
    let on = on.map(Expr::into_conjuncts).unwrap_or_default();
    let (on, above) = match kind {
        // For an inner join ON and WHERE are the same.
        JoinKind::Inner => (on.into_iter().chain(above).collect(), vec![]),
        JoinKind::Left | JoinKind::Right | JoinKind::Full => (on, above),
    };
    // A side whose rows stay without a match is filtered from above only, the other side by ON only.
    let (to_right, on, above) = match kind {
        JoinKind::Inner | JoinKind::Left => {
            let (to_right, on) = split(on, is_right);
            (to_right, on, above)
        }
        JoinKind::Right => {
            let (to_right, above) = split(above, is_right);
            (to_right, on, above)
        }
        JoinKind::Full => (vec![], on, above),
    };
    let (to_left, on, above) = match kind {
        JoinKind::Inner | JoinKind::Right => {
            let (to_left, on) = split(on, is_left);
            (to_left, on, above)
        }
        JoinKind::Left => {
            let (to_left, above) = split(above, is_left);
            (to_left, on, above)
        }
        JoinKind::Full => (vec![], on, above),
    };
    let to_right = to_right.into_iter().map(|conjunct| conjunct.with_columns(&|column| column - width)).collect();
    let (left, right) = (push(left, to_left).into(), push(right, to_right).into());
    filter(Plan::Join { left, right, kind, keys, on: Expr::all(on) }, above)
}

fn filter(plan: Plan, conjuncts: Vec<Expr>) -> Plan {
    match Expr::all(conjuncts) {
        Some(predicate) => Plan::Filter { input: plan.into(), predicate },
        None => plan,
    }
}

fn split(conjuncts: Vec<Expr>, goes: impl Fn(&[usize]) -> bool) -> (Vec<Expr>, Vec<Expr>) {
    conjuncts.into_iter().partition(|conjunct| goes(&conjunct.columns()))
}
