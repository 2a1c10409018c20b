//! What the agent finds out about itself: a rule like any other, over the tables that it writes.
//!
//! Rules run on what collectors report; this one is asked when what it reads has changed.

use daemoneye_dsl::check::check_rule;
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::Catalog;

use crate::rules::Rule;

/// The rule that finds the quarantined ones.
pub(crate) fn rule_quarantined() -> Rule {
    let source = Source {
        path: "daemoneye.rule_quarantined.sql".to_owned(),
        text: include_str!("own/daemoneye.rule_quarantined.sql").to_owned(),
    };
    let checked = check_rule(&source, &Catalog::builtin());
    Rule::of(&checked.rule.expect("a rule of the agent's own compiles"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_named_for_what_it_finds_and_tells_rules_and_their_revisions_apart() {
        let rule = rule_quarantined();
        assert_eq!(rule.name, "daemoneye.rule_quarantined");
        let key: Vec<_> = rule.key.iter().map(|at| rule.output[*at].name.as_str()).collect();
        assert_eq!(key, ["rule", "revision"]);
        assert!(!rule.events, "it resolves");
    }
}
