//! What of a rule the engine computes anew at each change, and lint DE310, which says so.

use std::collections::BTreeSet;

use daemoneye_dsl::diagnostic::Diagnostic;
use daemoneye_dsl::lints::{RECOMPUTED, Subject};
use daemoneye_dsl::query::CheckedRule;

use crate::{Dataflow, Plan, plan};

/// The clauses of a plan that are taken anew from all they read, by name, once each: those that no operator of the
/// installed rule steps for.
pub fn recomputed(plan: &Plan) -> Vec<&'static str> {
    let mut rules = Dataflow::default();
    let rule = rules.install(plan);
    let clauses: BTreeSet<_> = rules.operators(rule).into_iter().filter_map(|operator| operator.anew).collect();
    clauses.into_iter().collect()
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
