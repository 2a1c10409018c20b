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
