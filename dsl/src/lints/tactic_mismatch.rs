use super::attack::{self, Named, State, TACTICS};
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) static TACTIC_MISMATCH: Lint = Lint {
    code: "DE112",
    name: "tactic-mismatch",
    severity: Severity::Warning,
    summary: "A rule is tagged with a technique and with none of the tactics that it serves.",
    why: "The tactic says what an attacker wants, the technique how; ATT&CK says which go together. Where the tags disagree, \
          either the technique is not the one that is meant or a tactic is missing, and the alert is sorted under the \
          wrong heading. `defense-evasion` and its successors `stealth` and `defense-impairment` count as one.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.persistence, attack.t1059.004
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    silent: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution, attack.t1059.004
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let tags = attack::tags(&subject.rule.annotations);
    let tactics: Vec<_> = tags
        .iter()
        .filter_map(|(named, _)| match named {
            Named::Tactic(name) if TACTICS.contains(&name.as_str()) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    if tactics.is_empty() {
        return;
    }
    for (named, span) in &tags {
        let Named::Technique(id) = named else { continue };
        let Some(technique) = attack::technique(id) else { continue };
        let State::Serves(served) = technique.state else { continue };
        if !tactics.iter().any(|tactic| attack::serves(served, tactic)) {
            let message = format!("{id} ({}) serves none of the rule's tactics", technique.name);
            let served = served.split(',').map(|tactic| format!("attack.{tactic}")).collect::<Vec<_>>();
            let help = format!("add {}, or name another technique", served.join(" or "));
            found.push(TACTIC_MISMATCH.at(span.clone(), message).help(help));
        }
    }
}
