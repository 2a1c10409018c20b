//! Within a subquery's plan, a condition that compares rows with parameters leaves the scan: what it reads is then the same
//! for every evaluation, and an equality finds its rows by an index that is made once.

use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};

use crate::plan::{Plan, has_parameter};

pub(super) fn apply(plan: Plan) -> Plan {
    match plan.map_children(&mut apply) {
        Plan::Scan { table, alias, columns, filter, lookback, as_of } => {
            let conjuncts = filter.map(Expr::into_conjuncts).unwrap_or_default();
            let (given, own): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(has_parameter);
            let scan = Plan::Scan { table, alias, columns, filter: Expr::all(own), lookback, as_of };
            lookup(scan, given)
        }
        Plan::Filter { input, predicate } => {
            let (given, own): (Vec<_>, Vec<_>) = predicate.into_conjuncts().into_iter().partition(has_parameter);
            let below = match Expr::all(own) {
                Some(predicate) => Plan::Filter { input, predicate },
                None => *input,
            };
            lookup(below, given)
        }
        other => other,
    }
}

fn lookup(input: Plan, conjuncts: Vec<Expr>) -> Plan {
    // An index serves every evaluation, so nothing below it may change between them.
    if !input.is_constant() {
        return match Expr::all(conjuncts) {
            Some(predicate) => Plan::Filter { input: input.into(), predicate },
            None => input,
        };
    }
    let (mut keys, mut rest) = (Vec::new(), Vec::new());
    for conjunct in conjuncts {
        match key(conjunct) {
            Ok(key) => keys.push(key),
            Err(conjunct) => rest.push(conjunct),
        }
    }
    let rest = Expr::all(rest);
    match (keys.is_empty(), rest) {
        (true, None) => input,
        (true, Some(predicate)) => Plan::Filter { input: input.into(), predicate },
        (false, rest) => Plan::Lookup { input: input.into(), keys, rest },
    }
}

/// The pair of a key, or the conjunct back. Only one type and exact equality: equal values have equal bytes then.
fn key(conjunct: Expr) -> Result<(Expr, Expr), Expr> {
    let ExprKind::Compare { op: Comparison::Equal, left, right, collation: Collation::Binary } = &conjunct.kind else {
        return Err(conjunct);
    };
    let is_own = |expr: &Expr| !expr.columns().is_empty() && !has_parameter(expr);
    let is_given = |expr: &Expr| expr.columns().is_empty();
    if left.ty != right.ty {
        return Err(conjunct);
    }
    if is_own(left) && is_given(right) {
        return Ok(((**left).clone(), (**right).clone()));
    }
    if is_given(left) && is_own(right) {
        return Ok(((**right).clone(), (**left).clone()));
    }
    Err(conjunct)
}
