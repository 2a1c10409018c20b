//! Equalities between the two sides of a join become its keys: a lookup instead of a look at every pair.

use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};

use crate::plan::Plan;

pub(super) fn apply(plan: Plan) -> Plan {
    match plan.map_children(&mut apply) {
        Plan::Join { left, right, kind, mut keys, on } => {
            let width = left.width();
            let mut rest = Vec::new();
            for conjunct in on.map(Expr::into_conjuncts).unwrap_or_default() {
                match key(conjunct, width) {
                    Ok(key) => keys.push(key),
                    Err(conjunct) => rest.push(conjunct),
                }
            }
            Plan::Join { left, right, kind, keys, on: Expr::all(rest) }
        }
        other => other,
    }
}

/// The pair of a key, or the conjunct back. Only one type and exact equality: equal values have equal bytes then.
fn key(conjunct: Expr, width: usize) -> Result<(Expr, Expr), Expr> {
    let ExprKind::Compare { op: Comparison::Equal, left, right, collation: Collation::Binary } = &conjunct.kind else {
        return Err(conjunct);
    };
    let is_left = |expr: &Expr| !expr.columns().is_empty() && expr.columns().iter().all(|column| *column < width);
    let is_right = |expr: &Expr| !expr.columns().is_empty() && expr.columns().iter().all(|column| *column >= width);
    let to_right = |expr: &Expr| expr.clone().with_columns(&|column| column - width);
    if left.ty != right.ty {
        return Err(conjunct);
    }
    if is_left(left) && is_right(right) {
        return Ok(((**left).clone(), to_right(right)));
    }
    if is_right(left) && is_left(right) {
        return Ok(((**right).clone(), to_right(left)));
    }
    Err(conjunct)
}
