//! Facts about rules: what became of each is compared with what is on record of it.

use std::collections::HashMap;

use daemoneye_dsl::audit::{Action, Actor, Fact};
use daemoneye_dsl::status::{RuleState, RuleStatus};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, Transaction};
use serde_json::json;

/// Facts about rules that are otherwise than before.
pub(crate) fn of_rules(at: Timestamp, actor: &Actor, before: &[RuleStatus], after: &[RuleStatus]) -> Vec<Fact> {
    let known: HashMap<_, _> = before.iter().map(|rule| (identity(rule), rule)).collect();
    let there: HashMap<_, _> = after.iter().map(|rule| (identity(rule), rule)).collect();
    let became = after.iter().filter_map(|rule| Some((what_became(known.get(identity(rule)).copied(), rule)?, rule)));
    // The last good version of a file that cannot be used goes on.
    let is_kept = |rule: &RuleStatus| after.iter().any(|it| it.path == rule.path && it.state == RuleState::Refused);
    let gone = before.iter().filter(|rule| {
        let is_there = there.contains_key(identity(rule)) || is_kept(rule);
        !is_there && (runs(rule) || rule.state == RuleState::Quarantined)
    });
    let all = became.chain(gone.map(|rule| (Action::RuleRemoved, rule)));
    all.map(|(action, rule)| {
        let was = known.get(identity(rule)).and_then(|it| it.revision.as_deref());
        let payload = json!({
            "id": rule.id,
            "revision": rule.revision,
            "before": was.filter(|_| action == Action::RuleChanged),
            "level": rule.level,
            "detail": rule.detail,
            "path": rule.path,
        });
        Fact::new(at, actor.clone(), action, &rule.name, &payload)
    })
    .collect()
}

fn what_became(before: Option<&RuleStatus>, rule: &RuleStatus) -> Option<Action> {
    let was = |state| before.is_some_and(|before| before.state == state);
    match rule.state {
        RuleState::Refused if before.is_some_and(|it| it.state == rule.state && it.detail == rule.detail) => None,
        RuleState::Refused => Some(Action::RuleRefused),
        RuleState::Quarantined => (!was(RuleState::Quarantined)).then_some(Action::RuleQuarantined),
        RuleState::OtherSystem => None,
        RuleState::Running | RuleState::Limited => match before {
            Some(before) if before.revision != rule.revision => Some(Action::RuleChanged),
            Some(before) if before.state == RuleState::Quarantined => Some(Action::RuleReleased),
            Some(before) if runs(before) => None,
            _ => Some(Action::RuleLoaded),
        },
    }
}

fn runs(rule: &RuleStatus) -> bool {
    matches!(rule.state, RuleState::Running | RuleState::Limited)
}

/// What a rule file is known by: the rule's UUID, or where nothing can be read of it, its path.
fn identity(rule: &RuleStatus) -> &str {
    rule.id.as_deref().unwrap_or(&rule.path)
}

/// Notes what became of a rule, with the event where that is new.
pub(crate) fn set_rule(
    transaction: &mut Transaction,
    at: Timestamp,
    actor: &Actor,
    rule: &RuleStatus,
) -> Result<(), Error> {
    let before = transaction.rule(&rule.path)?;
    transaction.set_rule(rule)?;
    let facts = of_rules(at, actor, before.as_slice(), std::slice::from_ref(rule));
    facts.iter().try_for_each(|fact| transaction.put_event(fact))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(name: &str, state: RuleState, revision: &str) -> RuleStatus {
        let is_read = state != RuleState::Refused;
        RuleStatus {
            name: name.to_owned(),
            state,
            detail: Some(revision.to_owned()),
            level: None,
            id: is_read.then(|| format!("id of {name}")),
            revision: is_read.then(|| revision.to_owned()),
            path: format!("{name}.sql"),
        }
    }

    fn facts(before: &[RuleStatus], after: &[RuleStatus]) -> Vec<String> {
        let facts = of_rules(Timestamp(0), &Actor::component("agent"), before, after);
        facts.iter().map(|fact| format!("{} {}", fact.action, fact.subject)).collect()
    }

    #[test]
    fn each_change_is_a_fact_and_what_stays_is_none() {
        use RuleState::{Limited, OtherSystem, Quarantined, Refused, Running};
        let states = [
            (None, Some((Running, "1")), "rule_loaded a"),
            (Some((OtherSystem, "1")), Some((Limited, "1")), "rule_loaded a"),
            (Some((Running, "1")), Some((Limited, "1")), ""),
            (Some((Running, "1")), Some((Running, "2")), "rule_changed a"),
            (Some((Quarantined, "1")), Some((Running, "2")), "rule_changed a"),
            (Some((Running, "1")), Some((Quarantined, "1")), "rule_quarantined a"),
            (Some((Quarantined, "1")), Some((Quarantined, "1")), ""),
            (Some((Quarantined, "1")), Some((Running, "1")), "rule_released a"),
            (Some((Running, "1")), None, "rule_removed a"),
            (Some((Quarantined, "1")), None, "rule_removed a"),
            (Some((OtherSystem, "1")), None, ""),
            (None, Some((OtherSystem, "1")), ""),
            (None, Some((Refused, "why")), "rule_refused a"),
            (Some((Refused, "why")), Some((Refused, "why")), ""),
            (Some((Refused, "why")), Some((Refused, "another")), "rule_refused a"),
            (Some((Refused, "why")), Some((Running, "1")), "rule_loaded a"),
            (Some((Refused, "why")), None, ""),
            // The last good version goes on.
            (Some((Running, "1")), Some((Refused, "why")), "rule_refused a"),
        ];
        for (before, after, expected) in states {
            let of = |it: Option<(RuleState, &str)>| it.map(|(state, revision)| rule("a", state, revision));
            let found = facts(of(before).as_slice(), of(after).as_slice());
            assert_eq!(found.join(", "), expected, "{before:?} to {after:?}");
        }
        let (a, b) = (rule("a", Running, "1"), rule("b", Running, "1"));
        assert_eq!(facts(&[a], &[b]), ["rule_loaded b", "rule_removed a"]);
    }
}
