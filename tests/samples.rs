//! Why: what a process used is on record, from `/proc` through the agent to `process_samples` and to AS OF: who burns has
//! row after row, who sleeps has hardly any.

#![cfg(target_os = "linux")]

use std::process::Command;

use daemoneye_tests::{PATIENCE, Program, Stage, Suspect, until};
use serde_json::{Map, Value};

fn samples(stage: &Stage, suspect: &Suspect) -> Vec<Map<String, Value>> {
    stage.query(&format!(
        "SELECT collection_time AS at, cpu_usage AS cpu, memory_usage AS memory, threads, status FROM process_samples \
         WHERE proc_id = (SELECT max(proc_id) FROM process_starts WHERE pid = {}) ORDER BY at",
        suspect.pid()
    ))
}

#[test]
fn who_burns_and_who_sleeps_are_told_apart() {
    let stage = Stage::new();
    let start = || {
        let mut agent = stage.agent();
        agent.env("DAEMONEYE_SAMPLES__INTERVAL", "200ms");
        let agent = Program::start(agent);
        agent.says_times("snapshot committed", 3);
        agent
    };
    let agent = start();
    let mut burning = Command::new("/bin/sh");
    burning.args(["-c", "while :; do :; done"]);
    let (burning, sleeping) = (Suspect::start(burning), stage.suspect("sleeper"));
    let burns = |row: &Map<String, Value>| row["cpu"].as_f64().is_some_and(|cpu| cpu > 10.0);
    let burnt = until(PATIENCE, || {
        Some(samples(&stage, &burning)).filter(|rows| rows.iter().filter(|row| burns(row)).count() > 5)
    });
    let burnt = burnt.unwrap_or_else(|| panic!("{:?}\n{}", samples(&stage, &burning), agent.log()));
    let hot = burnt.iter().find(|row| burns(row)).unwrap();
    assert!(hot["memory"].as_i64().unwrap() > 0 && hot["threads"] == 1, "{hot:?}");

    // The past of both, as it was then.
    let then = |suspect: &Suspect| {
        let rows = stage.query(&format!(
            "SELECT cpu_usage AS cpu, memory_usage AS memory, threads, status, collection_time AS at \
             FROM processes FOR SYSTEM_TIME AS OF '{}' WHERE pid = {}",
            hot["at"].as_str().unwrap(),
            suspect.pid()
        ));
        rows.into_iter().next().expect("it was alive")
    };
    for column in ["cpu", "memory", "threads", "status", "at"] {
        assert_eq!(then(&burning)[column], hot[column], "{column}");
    }
    let slept = samples(&stage, &sleeping);
    assert!(slept.len() < burnt.len() / 2 + 3, "{} rows of who sleeps: {slept:?}", slept.len());
    assert_eq!(then(&sleeping)["threads"], 1);
    assert!(then(&sleeping)["at"].as_str() <= hot["at"].as_str());

    agent.stop();
    let before = samples(&stage, &sleeping).len();
    let agent = start();
    let after = until(PATIENCE, || (samples(&stage, &sleeping).len() > before).then_some(()));
    assert!(after.is_some(), "whoever is alive at a start has a row\n{}", agent.log());
    agent.stop();
}

#[test]
fn who_wants_no_samples_has_none() {
    let stage = Stage::new();
    let mut agent = stage.agent();
    agent.env("DAEMONEYE_SAMPLES__INTERVAL", "0s");
    let agent = Program::start(agent);
    agent.says_times("snapshot committed", 5);
    agent.stop();
    assert_eq!(stage.query("SELECT count(*) AS n FROM process_samples")[0]["n"], 0);
    let seen = stage.query("SELECT max(seen_from) AS last FROM processes_history");
    let past = stage.query(&format!(
        "SELECT count(*) AS alive, count(threads) + count(collection_time) AS n FROM processes FOR SYSTEM_TIME AS OF '{}'",
        seen[0]["last"].as_str().unwrap()
    ));
    assert!(past[0]["alive"].as_i64() > Some(1));
    assert_eq!(past[0]["n"], 0);
}
