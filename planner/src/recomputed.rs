//! What of a rule the engine computes anew at each change, and lint DE310, which says so.

use daemoneye_dsl::diagnostic::Diagnostic;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::lints::{RECOMPUTED, Subject};
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::tables::lineage::Lineage;

use crate::{Plan, plan};

/// The clauses of a plan that have no step of their own and are computed from all they read, by name, once each.
pub fn recomputed(plan: &Plan) -> Vec<&'static str> {
    let mut clauses = Vec::new();
    collect(plan, &mut clauses);
    clauses.sort_unstable();
    clauses.dedup();
    clauses
}

/// DE310 for a rule of which a part is computed anew.
pub fn lint(rule: &CheckedRule, found: &mut Vec<Diagnostic>) {
    let subject = Subject::new(rule);
    if subject.is_filter() {
        return;
    }
    let clauses = recomputed(&plan(&rule.query));
    let Some(first) = clauses.first() else { return };
    let word = first.split([' ', '(', '/']).next().unwrap_or_default();
    let message = format!("computed anew at each change: {}", clauses.join(", "));
    found.push(RECOMPUTED.at(subject.word(word), message).help("`daemoneye-cli explain` shows what it reads"));
}

fn collect(plan: &Plan, clauses: &mut Vec<&'static str>) {
    match plan {
        Plan::Join { .. } => clauses.push("JOIN"),
        Plan::AutoJoin { .. } => clauses.push("AUTO JOIN"),
        Plan::Lineage { lineage: Lineage::Ancestors, .. } => clauses.push("ancestors()"),
        Plan::Lineage { lineage: Lineage::Descendants, .. } => clauses.push("descendants()"),
        Plan::Aggregate { .. } => clauses.push("GROUP BY"),
        Plan::Distinct { .. } => clauses.push("DISTINCT"),
        Plan::Sort { .. } => clauses.push("ORDER BY/LIMIT"),
        Plan::Apply { .. } => clauses.push("subquery"),
        Plan::Set { op, .. } => clauses.push(op.name()),
        Plan::Recursive { .. } => clauses.push("WITH RECURSIVE"),
        Plan::Window { .. } => clauses.push("OVER"),
        Plan::Unit
        | Plan::Values { .. }
        | Plan::List { .. }
        | Plan::Lookup { .. }
        | Plan::Working { .. }
        | Plan::Scan { .. }
        | Plan::Filter { .. }
        | Plan::Project { .. } => {}
    }
    if plan.exprs().into_iter().any(Expr::uses_now) {
        clauses.push("now()");
    }
    plan.inputs().into_iter().for_each(|input| collect(input, clauses));
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::lints::lint as lint_rule;
    use daemoneye_dsl::tables::Catalog;

    use super::*;

    #[test]
    fn the_examples_of_de310_have_it_or_not() {
        let codes = |example: &daemoneye_dsl::lints::Example| {
            let found = lint_rule(&example.source(), &Catalog::builtin(), &lint).diagnostics;
            found.into_iter().map(|it| (it.code, it.span().is_empty())).collect::<Vec<_>>()
        };
        assert_eq!(codes(&RECOMPUTED.fires), [("DE310", false)]);
        assert_eq!(codes(&RECOMPUTED.silent), []);
    }
}
