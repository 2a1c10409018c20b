//! Why: rules come from many hands. One that is broken must not take the others along, must be named with its place,
//! and an agent that would detect nothing must say so and end instead of looking healthy.

#![cfg(target_os = "linux")]

use std::fs;
use std::process::Command;

use daemoneye_tests::{PATIENCE, Program, SUSPECT_RULE, Stage, header};

const OTHER_ID: &str = "9a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d";

/// Runs an agent that must end by itself with exit code 1, and gives what it said.
fn fails(command: Command) -> String {
    let agent = Program::start(command);
    let status = agent.ends_within(PATIENCE);
    assert_eq!(status.code(), Some(1), "{}", agent.log());
    assert!(agent.stdout().is_empty(), "standard output is for alerts");
    agent.stderr().join("\n")
}

#[test]
fn a_broken_rule_is_named_with_its_place_and_the_others_run() {
    let stage = Stage::new();
    let broken = stage.rule("broken", &(header(OTHER_ID, "{pid}") + "SELECT pid\nFROM processes\nWHERE pidd = 1\n"));
    let unreadable = stage.rules().join("latin.sql");
    fs::write(&unreadable, b"-- @title: caf\xe9\nSELECT pid FROM processes").unwrap();
    let dangling = stage.rules().join("dangling.sql");
    std::os::unix::fs::symlink("/nonexistent/rule.sql", &dangling).unwrap();
    let agent = Program::start(stage.agent());
    let suspect = stage.suspect("found");
    let alert = agent.alert("of the rule that compiles", |alert| alert["row"]["pid"] == suspect.pid());
    assert_eq!(alert["completeness"]["complete"], false, "rules are missing, and each answer says so");
    assert_eq!(alert["completeness"]["reasons"][0], "rule_refused");
    let said = agent.stderr().join("\n");
    assert!(said.contains(&format!("{}:10:7", broken.display())), "file:line:column of `pidd`\n{said}");
    assert!(said.contains("pidd") && said.contains("did you mean `pid`?"), "{said}");
    for path in [unreadable, dangling] {
        assert!(said.contains(&format!("cannot use {}", path.display())), "{said}");
    }
    let started = agent.says("agent started");
    assert!(started.contains("rules=1") && started.contains("refused=3"), "{started}");
}

#[test]
fn of_two_rules_with_one_id_the_first_runs() {
    let stage = Stage::new();
    let first = stage.rules().join("suspect.sql");
    let second = stage.rules().join("usurper.sql");
    fs::copy(&first, &second).unwrap();
    let agent = Program::start(stage.agent());
    let suspect = stage.suspect("found");
    let alert = agent.alert("of the first rule", |alert| alert["row"]["pid"] == suspect.pid());
    assert_eq!(alert["rule"]["name"], "suspect");
    let said = agent.stderr().join("\n");
    assert!(said.contains("DE103") && said.contains(SUSPECT_RULE), "{said}");
    assert!(said.contains(&format!("{}:1:", second.display())), "the repeat is named\n{said}");
    assert!(said.contains(&first.display().to_string()), "and so is the first\n{said}");
    agent.says_times("snapshot committed", 4);
    assert_eq!(agent.alerts().len(), 1, "{}", agent.log());
}

#[test]
fn without_a_rule_it_ends_and_says_what_to_do() {
    let stage = Stage::without_rules();
    let said = fails(stage.agent());
    assert!(said.contains("no rule compiles") && said.contains("--rules"), "{said}");
    assert!(!stage.data().exists(), "nothing is left behind");

    stage.rule("broken", "SELECT nonsense FROM nowhere");
    let said = fails(stage.agent());
    assert!(said.contains("broken.sql") && said.contains("no rule compiles"), "{said}");

    let mut missing = Command::new(daemoneye_tests::program("daemoneye-agent"));
    missing.arg("--data").arg(stage.data()).arg("--rules").arg(stage.path().join("absent"));
    let said = fails(missing);
    assert!(said.contains("absent") && said.contains("--rules"), "{said}");
}
