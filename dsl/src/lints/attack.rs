//! MITRE ATT&CK for Enterprise: which techniques there are, what tactics they serve, and what replaced the retired ones.
//!
//! The index is `attack.tsv` beside this file, version 18.1: ids, tactics and names only. © 2025 The MITRE Corporation.
//! This work is reproduced and distributed with the permission of The MITRE Corporation.
//!
//! Version 19 splits the tactic `defense-evasion` into `stealth` and `defense-impairment`. All three are accepted, and
//! each agrees with every technique that the index has under `defense-evasion`.

use std::sync::LazyLock;

use crate::diagnostic::Span;
use crate::header::Annotation;

/// The version of the index.
pub(super) const VERSION: &str = "18.1";

/// The tactics, in the order of an attack.
pub(super) const TACTICS: [&str; 16] = [
    "reconnaissance",
    "resource-development",
    "initial-access",
    "execution",
    "persistence",
    "privilege-escalation",
    "defense-evasion",
    "stealth",
    "defense-impairment",
    "credential-access",
    "discovery",
    "lateral-movement",
    "collection",
    "command-and-control",
    "exfiltration",
    "impact",
];

/// The tactics that version 19 made of `defense-evasion`, and itself.
const EVASION: [&str; 3] = ["defense-evasion", "stealth", "defense-impairment"];

/// A technique or one of its subtechniques.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Technique {
    /// Such as `T1059.004`.
    pub(super) id: &'static str,
    /// What it is called.
    pub(super) name: &'static str,
    /// Whether it is in use.
    pub(super) state: State,
}

/// Whether a technique is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It serves these tactics, separated by commas.
    Serves(&'static str),
    /// It was replaced by the technique of this id.
    Replaced(&'static str),
    /// It was given up, and nothing took its place.
    Retired,
}

static TECHNIQUES: LazyLock<Vec<Technique>> = LazyLock::new(|| {
    let lines = include_str!("attack.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(technique_of).collect()
});

fn technique_of(line: &'static str) -> Option<Technique> {
    let (id, rest) = line.split_once('\t')?;
    let (tactics, name) = rest.split_once('\t')?;
    let state = match tactics.strip_prefix('>') {
        Some(by) => State::Replaced(by),
        None if tactics == "-" => State::Retired,
        None => State::Serves(tactics),
    };
    Some(Technique { id, name, state })
}

/// The technique of this id, in upper case.
pub(super) fn technique(id: &str) -> Option<&'static Technique> {
    let at = TECHNIQUES.binary_search_by(|technique| technique.id.cmp(id)).ok()?;
    TECHNIQUES.get(at)
}

/// Whether a technique that serves `tactics` serves this one.
pub(super) fn serves(tactics: &str, tactic: &str) -> bool {
    let is_evasion = EVASION.contains(&tactic);
    tactics.split(',').any(|own| own == tactic || is_evasion && EVASION.contains(&own))
}

/// What a tag of ATT&CK names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// A technique, by its id in upper case.
    Technique(String),
    /// A tactic.
    Tactic(String),
}

/// The tags of ATT&CK among a rule's annotations; groups and programs are left out.
pub(super) fn tags(annotations: &[Annotation]) -> Vec<(Named, Span)> {
    let items = annotations.iter().filter(|annotation| annotation.key == "tags").flat_map(Annotation::items);
    let named = |(tag, span): (String, Span)| {
        let name = tag.strip_prefix("attack.")?;
        let digits = name.contains(|c: char| c.is_ascii_digit());
        match (digits, name.starts_with('t')) {
            (true, true) => Some((Named::Technique(name.to_ascii_uppercase()), span)),
            (true, false) => None,
            (false, _) => Some((Named::Tactic(name.to_owned()), span)),
        }
    };
    items.filter_map(named).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_is_sorted_and_whole() {
        assert!(TECHNIQUES.is_sorted_by(|one, other| one.id < other.id));
        let lines = include_str!("attack.tsv").lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!((TECHNIQUES.len(), lines), (835, 835));
        for it in TECHNIQUES.iter() {
            match it.state {
                State::Serves(tactics) => {
                    assert!(tactics.split(',').all(|tactic| TACTICS.contains(&tactic)), "{it:?}");
                    let parent = it.id.split_once('.').map(|(parent, _)| technique(parent).unwrap().state);
                    assert!(
                        parent.is_none_or(|parent| parent == it.state),
                        "{it:?} serves other tactics than its parent"
                    );
                }
                State::Replaced(by) => assert!(matches!(technique(by).unwrap().state, State::Serves(_)), "{it:?}"),
                State::Retired => {}
            }
        }
    }

    /// Written down by hand, from what attack.mitre.org says of them.
    #[test]
    fn what_everybody_knows_is_right() {
        let serving = [
            ("T1003.008", "credential-access"),
            ("T1005", "collection"),
            ("T1014", "defense-evasion"),
            ("T1021.004", "lateral-movement"),
            ("T1027", "defense-evasion"),
            ("T1036.005", "defense-evasion"),
            ("T1041", "exfiltration"),
            ("T1046", "discovery"),
            ("T1053.003", "execution,persistence,privilege-escalation"),
            ("T1055", "privilege-escalation,defense-evasion"),
            ("T1059.004", "execution"),
            ("T1068", "privilege-escalation"),
            ("T1070.006", "defense-evasion"),
            ("T1071.004", "command-and-control"),
            ("T1078", "initial-access,persistence,privilege-escalation,defense-evasion"),
            ("T1098.004", "persistence,privilege-escalation"),
            ("T1105", "command-and-control"),
            ("T1110.001", "credential-access"),
            ("T1136.001", "persistence"),
            ("T1190", "initial-access"),
            ("T1204.002", "execution"),
            ("T1485", "impact"),
            ("T1496.001", "impact"),
            ("T1505.003", "persistence"),
            ("T1546.004", "persistence,privilege-escalation"),
            ("T1548.001", "privilege-escalation,defense-evasion"),
            ("T1562.001", "defense-evasion"),
            ("T1567.002", "exfiltration"),
            ("T1572", "command-and-control"),
            ("T1574.006", "persistence,privilege-escalation,defense-evasion"),
            ("T1583.001", "resource-development"),
            ("T1595", "reconnaissance"),
            ("T1611", "privilege-escalation"),
        ];
        for (id, tactics) in serving {
            assert_eq!(technique(id).map(|it| it.state), Some(State::Serves(tactics)), "{id}");
        }
        for (old, new) in
            [("T1086", "T1059.001"), ("T1100", "T1505.003"), ("T1166", "T1548.001"), ("T1089", "T1562.001")]
        {
            assert_eq!(technique(old).map(|it| it.state), Some(State::Replaced(new)));
        }
        assert_eq!(technique("T1064").map(|it| it.state), Some(State::Retired));
        assert_eq!(technique("T9999"), None);
    }

    #[test]
    fn the_tactics_of_version_19_serve_what_evasion_served() {
        assert!(serves("defense-evasion", "stealth") && serves("defense-evasion,persistence", "defense-impairment"));
        assert!(!serves("persistence", "stealth") && !serves("defense-evasion", "persistence"));
    }
}
