//! Why: a rule is worth what it finds when somebody takes trouble not to be found, and what it leaves alone. For each
//! rule `tests/rules/NAME.ndjson` holds processes that it must find, in the spellings an intruder may choose, and the
//! ordinary ones that look most like them; all go through the real planner. A case is one line:
//!
//! ```json
//! {"fires": true, "why": "joined options", "processes": [{"argv": ["sh", "-ip"]}]}
//! ```
//!
//! The vocabulary of a process is that of [`daemoneye_tests::rows`].

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;

use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_dsl::tables::Catalog;
use daemoneye_planner::{execute, plan};
use daemoneye_settings::paths::rule_sources;
use daemoneye_tests::project;
use daemoneye_tests::rows::{NOW, Rows, link, processes};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    fires: bool,
    why: String,
    processes: Vec<Map<String, Value>>,
}

fn checked() -> RuleSet {
    let sources = rule_sources(&[project().join("rules")]).into_iter().collect::<Result<_, _>>().unwrap();
    RuleSet::check(sources, &Catalog::builtin())
}

fn cases(rule: &str) -> Result<Vec<Case>, String> {
    let path = project().join("tests/rules").join(format!("{rule}.ndjson"));
    let text = fs::read_to_string(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let case =
        |(at, line)| serde_json::from_str(line).map_err(|error| format!("{}:{}: {error}", path.display(), at + 1));
    text.lines().enumerate().map(case).collect()
}

/// What is wrong with a rule on its cases.
fn faults(rule: &CheckedRule) -> Vec<String> {
    let cases = match cases(rule.name()) {
        Ok(cases) => cases,
        Err(error) => return vec![error],
    };
    let has = |fires| cases.iter().any(|case| case.fires == fires);
    let missing = [(true, "must find"), (false, "must leave alone")].into_iter().filter(|(fires, _)| !has(*fires));
    let mut faults: Vec<_> = missing.map(|(_, what)| format!("{}: no case that it {what}", rule.name())).collect();
    let plan = plan(&rule.query);
    for case in &cases {
        let mut rows = Vec::new();
        for spec in &case.processes {
            rows.extend(processes(spec).unwrap_or_else(|error| panic!("{}: {}: {error}", rule.name(), case.why)));
        }
        link(&mut rows);
        let rows = Rows::new(&rows);
        let found = execute(&plan, &rows.view(), NOW).unwrap().rows.num_rows();
        if (found > 0) != case.fires {
            let what = if case.fires { "does not find" } else { "finds" };
            faults.push(format!("{} {what}: {}", rule.name(), case.why));
        }
    }
    faults
}

#[test]
fn every_rule_finds_its_cases_and_leaves_their_neighbours_alone() {
    let set = checked();
    let faults: Vec<_> = set.rules().flat_map(faults).collect();
    assert!(faults.is_empty(), "{} cases:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn every_file_of_cases_has_its_rule() {
    let set = checked();
    let rules: BTreeSet<_> = set.rules().map(|rule| format!("{}.ndjson", rule.name())).collect();
    let files: BTreeSet<_> = fs::read_dir(project().join("tests/rules"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files, rules);
}
