//! What of a rule the engine computes anew at each change, and lint DE310, which says so; and what it holds for ever,
//! which lint DE301 says where the words of a SELECT alone do not show it.

use std::collections::BTreeSet;

use daemoneye_dsl::diagnostic::Diagnostic;
use daemoneye_dsl::lints::{RECOMPUTED, Subject, UNBOUNDED_STATE};
use daemoneye_dsl::query::CheckedRule;

use crate::{Dataflow, Plan, RuleId, plan};

/// The clauses of a plan that are taken anew from all they read, by name, once each: those that no operator of the
/// installed rule steps for.
pub fn recomputed(plan: &Plan) -> Vec<&'static str> {
    let mut rules = Dataflow::default();
    let rule = rules.install(plan);
    anew(&rules, rule)
}

fn anew(rules: &Dataflow, rule: RuleId) -> Vec<&'static str> {
    let clauses: BTreeSet<_> = rules.operators(rule).into_iter().filter_map(|operator| operator.anew).collect();
    clauses.into_iter().collect()
}

/// DE310 for a rule of which a part is computed anew, DE301 for one that holds events for ever.
pub fn lint(rule: &CheckedRule, found: &mut Vec<Diagnostic>) {
    let subject = Subject::new(rule);
    if subject.is_filter() {
        return;
    }
    let mut rules = Dataflow::default();
    let id = rules.install(&plan(&rule.query));
    if subject.header().is_some() && !found.iter().any(|it| it.code == UNBOUNDED_STATE.code) {
        found.extend(rules.held_for_ever(id).first().map(|table| for_ever(&subject, table)));
    }
    let clauses = anew(&rules, id);
    let Some(first) = clauses.first() else { return };
    let word = first.split([' ', '(', '/']).next().unwrap_or_default();
    let message = format!("computed anew at each change: {}", clauses.join(", "));
    found.push(RECOMPUTED.at(subject.word(word), message).help("`daemoneye-cli explain` shows what it reads"));
}

fn for_ever(subject: &Subject<'_>, table: &str) -> Diagnostic {
    let message = format!("rows of `{table}` would have to be remembered for ever");
    let finding = UNBOUNDED_STATE.at(subject.word(table), message).label("no condition says how long one is needed");
    finding.help("add `start_time >= now() - INTERVAL '5 minutes'`, or bound the time between the rows from both sides")
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::diagnostic::Source;
    use daemoneye_dsl::lints::{EXAMPLE_HEADER, lint as lint_rule};
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
        assert_eq!(codes(&UNBOUNDED_STATE.fires), [("DE301", false)]);
        assert_eq!(codes(&UNBOUNDED_STATE.silent), []);
    }

    /// A rule, whether it is said to hold events for ever, and whether it does.
    fn for_ever(sql: &str) -> (bool, bool) {
        let source = Source { path: "rules/it.sql".to_owned(), text: format!("{EXAMPLE_HEADER}{sql}") };
        let checked = lint_rule(&source, &Catalog::builtin(), &lint);
        let said = checked.diagnostics.iter().any(|it| it.code == "DE301");
        let rule = checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics));
        let mut rules = Dataflow::default();
        let id = rules.install(&plan(&rule.query));
        (said, !rules.held_for_ever(id).is_empty())
    }

    #[test]
    fn the_lint_says_what_the_engine_does() {
        let (start, within) = ("b.start_time >= a.start_time", "b.start_time <= a.start_time + INTERVAL '5 minutes'");
        let join = "SELECT a.proc_id, a.pid FROM process_starts a JOIN process_starts b ON b.session_id = a.session_id";
        let exits = "SELECT 1 FROM process_exits b WHERE b.proc_id = a.proc_id";
        let bounded = [
            format!("{join} AND {start} AND {within}"),
            format!("{join} AND {start} AND b.start_time - a.start_time < INTERVAL '5 minutes'"),
            format!("{join} AND {start} AND a.start_time > datetime(b.start_time, '-5 minutes')"),
            format!("{join} AND {start} AND unixepoch(b.start_time) - unixepoch(a.start_time) < 300"),
            format!("{join} AND b.start_time = a.start_time"),
            format!("{join} AND {start} AND {within} AND a.start_time >= now() - INTERVAL '3 hours'"),
            format!(
                "{join} AND {start} AND {within} JOIN process_starts c ON c.session_id = b.session_id \
                 AND c.start_time BETWEEN b.start_time AND b.start_time + INTERVAL '1 minute'"
            ),
            format!(
                "SELECT a.proc_id, a.pid FROM process_starts a WHERE NOT EXISTS ({exits} \
                 AND b.observed_at BETWEEN a.start_time AND a.start_time + INTERVAL '1 minute')"
            ),
            "SELECT s.proc_id, p.pid FROM process_starts s JOIN processes p ON p.proc_id = s.parent_id \
             WHERE s.start_time >= now() - INTERVAL '5 minutes'"
                .to_owned(),
        ];
        for sql in bounded {
            assert_eq!(for_ever(&sql), (false, false), "{sql}");
        }
        let endless = [
            join.to_owned(),
            format!("{join} AND {start}"),
            format!("{join} AND {within}"),
            format!("SELECT a.proc_id, a.pid FROM process_starts a WHERE NOT EXISTS ({exits})"),
            // A process may have started long before it exits.
            "SELECT a.proc_id, a.pid FROM process_starts a JOIN process_exits b ON b.proc_id = a.proc_id \
             AND b.start_time BETWEEN a.start_time AND a.start_time + INTERVAL '1 minute'"
                .to_owned(),
            "SELECT s.proc_id, p.pid FROM process_starts s JOIN processes p ON p.proc_id = s.parent_id".to_owned(),
            "SELECT name, count(*) FROM process_starts GROUP BY name".to_owned(),
            "SELECT DISTINCT name, proc_id FROM process_starts".to_owned(),
        ];
        for sql in endless {
            assert_eq!(for_ever(&sql), (true, true), "{sql}");
        }
    }
}
