use super::attack::{self, Named, State, TACTICS, VERSION};
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity, Span, nearest};

pub(super) static UNKNOWN_ATTACK_ID: Lint = Lint {
    code: "DE110",
    name: "unknown-attack-id",
    severity: Severity::Warning,
    summary: "A tag names a technique or tactic that ATT&CK does not have, or no longer.",
    why: "Alerts are grouped and coverage is counted by these tags, and an id that nobody else uses counts for nothing. \
          Many techniques became subtechniques in 2020, and most public rules that still have their old ids can be mended \
          by `lint --fix`. The index that is compared with is that of ATT&CK for Enterprise 18.1, with the two tactics \
          that 19 makes of `defense-evasion`; a newer technique can be allowed with `-- lint: allow(DE110) new in …`.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution, attack.t1086
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
-- @tags: attack.execution, attack.t1059.001
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    found.extend(attack::tags(&subject.rule.annotations).into_iter().filter_map(|(named, span)| match named {
        Named::Technique(id) => technique(&id, span),
        Named::Tactic(name) => tactic(&name, span),
    }));
}

fn technique(id: &str, span: Span) -> Option<Diagnostic> {
    let Some(technique) = attack::technique(id) else {
        let diagnostic = UNKNOWN_ATTACK_ID.at(span, format!("ATT&CK {VERSION} has no technique {id}"));
        let parent = id.split_once('.').and_then(|(parent, _)| attack::technique(parent));
        return Some(match parent {
            Some(parent) => {
                diagnostic.help(format!("{} ({}) is there, this part of it is not", parent.id, parent.name))
            }
            None => diagnostic.help("techniques are listed at https://attack.mitre.org/techniques/enterprise/"),
        });
    };
    let retired = |why: String| {
        let message = format!("{id} ({}) is no longer a technique of ATT&CK", technique.name);
        UNKNOWN_ATTACK_ID.at(span, message).label(why)
    };
    match technique.state {
        State::Serves(_) => None,
        State::Retired => {
            Some(retired("nothing took its place".to_owned()).help("name the technique that the rule really finds"))
        }
        State::Replaced(by) => {
            let name = attack::technique(by).map_or("", |it| it.name);
            let diagnostic = retired(format!("{by} took its place"));
            Some(diagnostic.patch(format!("it is {by} ({name}) now"), format!("attack.{}", by.to_ascii_lowercase())))
        }
    }
}

fn tactic(name: &str, span: Span) -> Option<Diagnostic> {
    if TACTICS.contains(&name) {
        return None;
    }
    let diagnostic = UNKNOWN_ATTACK_ID.at(span, format!("`{name}` is not a tactic of ATT&CK"));
    Some(match nearest(&name.replace('_', "-"), TACTICS) {
        Some(known) => diagnostic.patch(format!("did you mean `{known}`?"), format!("attack.{known}")),
        None => diagnostic.help(format!("tactics: {}", TACTICS.join(", "))),
    })
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::apply;
    use crate::lints::{EXAMPLE_HEADER, NOTHING_FURTHER, lint};
    use crate::tables::Catalog;

    #[test]
    fn what_is_found_and_how_it_is_mended() {
        let fixed = |tags: &str| {
            let header = EXAMPLE_HEADER.replace("attack.execution", tags);
            let text = format!("{header}SELECT proc_id FROM processes\n");
            let source = crate::diagnostic::Source { path: "x.sql".to_owned(), text };
            let found = lint(&source, &Catalog::builtin(), NOTHING_FURTHER).diagnostics;
            let messages: Vec<_> = found.iter().map(|it| format!("{} {}", it.code, it.message)).collect();
            let text = apply(&source.text, found.iter().filter_map(|it| it.offered_fix())).0;
            let line = text.lines().find_map(|line| line.strip_prefix("-- @tags: ")).map(str::to_owned);
            (messages.join("; "), line.unwrap_or_default())
        };
        let cases = [
            (
                "attack.t1086, attack.exection",
                "DE110 T1086 (PowerShell) is no longer a technique of ATT&CK; DE110 `exection` is not a tactic of ATT&CK",
                "attack.t1059.001, attack.execution",
            ),
            ("attack.defense_evasion", "DE110 `defense_evasion` is not a tactic of ATT&CK", "attack.defense-evasion"),
            ("attack.stealth, attack.g0016, my.tag", "", "attack.stealth, attack.g0016, my.tag"),
            ("attack.t1064", "DE110 T1064 (Scripting) is no longer a technique of ATT&CK", "attack.t1064"),
            ("attack.t1059.099", "DE110 ATT&CK 18.1 has no technique T1059.099", "attack.t1059.099"),
        ];
        for (tags, messages, after) in cases {
            assert_eq!(fixed(tags), (messages.to_owned(), after.to_owned()));
        }
    }
}
