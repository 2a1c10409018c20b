//! `FROM a, b WHERE a.x = b.y` as the join that it means, so that it is a join that finds no partner, and so that not
//! every pair has to be made. Conditions over one table alone stay where they were written.

use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::JoinKind;

use crate::plan::Plan;

pub(super) fn apply(plan: Plan) -> Plan {
    match plan.map_children(&mut apply) {
        Plan::Filter { mut input, predicate } => {
            let conjuncts = predicate.into_conjuncts();
            let rest = conjuncts.into_iter().filter_map(|conjunct| into_join(&mut input, conjunct)).collect::<Vec<_>>();
            match Expr::all(rest) {
                Some(predicate) => Plan::Filter { input, predicate },
                None => *input,
            }
        }
        other => other,
    }
}

/// Gives the conjunct to the join of which it reads both sides; gives it back where there is none.
fn into_join(plan: &mut Plan, conjunct: Expr) -> Option<Expr> {
    match plan {
        // Answers of subqueries stand behind the row.
        Plan::Apply { input, .. } if is_within(&conjunct, input) => into_join(input, conjunct),
        Plan::Join { left, right, kind: JoinKind::Inner, on, .. } => {
            let width = left.width();
            if is_within(&conjunct, left) {
                return into_join(left, conjunct);
            }
            let columns = conjunct.columns();
            if !columns.iter().any(|at| *at < width) || !columns.iter().all(|at| *at < width + right.width()) {
                return Some(conjunct);
            }
            *on = Expr::all(on.take().into_iter().chain([conjunct]));
            None
        }
        _ => Some(conjunct),
    }
}

fn is_within(conjunct: &Expr, plan: &Plan) -> bool {
    let width = plan.width();
    conjunct.columns().iter().all(|at| *at < width)
}
