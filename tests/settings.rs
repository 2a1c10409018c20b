//! Why: who changes a setting on a running host must see it take effect, or be told why not, and must never be left
//! with less detection than before because of a slip in a file.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use daemoneye_tests::{PATIENCE, Program, Stage, header, program};
use nix::sys::signal::Signal;
use serde_json::Value;

const OTHER_ID: &str = "9a1b2c3d-4e5f-4a6b-8c7d-0e1f2a3b4c5d";

/// An agent whose settings are in a file, with that text.
fn agent(stage: &Stage, text: &str) -> (PathBuf, Command) {
    let file = stage.path().join("daemoneye.toml");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("daemoneye-agent"));
    command.arg("--config").arg(&file).arg("--data").arg(stage.data()).current_dir(stage.path());
    (file, command)
}

fn is_about(pid: u32) -> impl Fn(&Value) -> bool {
    move |alert| alert["row"]["pid"] == pid
}

const QUICK: &str = "rules.paths = ['rules']\ncollector.interval = '100ms'\nlog.level = 'debug'\n";

fn write(file: &Path, text: &str) {
    // As editors do: never half a file.
    let new = file.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::rename(&new, file).unwrap();
}

#[test]
fn a_running_agent_takes_up_what_is_right_and_refuses_what_is_wrong() {
    let stage = Stage::new();
    let (file, command) = agent(&stage, QUICK);
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let first = stage.collectors();

    write(&file, &QUICK.replace("'100ms'", "'often'"));
    agent.signal(Signal::SIGHUP);
    let refused = agent.says("is not a duration");
    assert!(refused.contains("line=2 column=22 code=DE904"), "{refused}");
    assert!(refused.contains(&format!("file={}", file.display())), "{refused}");
    assert!(refused.contains("from 10ms to 1d"), "{refused}");
    agent.says("settings refused; those before stay in force");
    let suspect = stage.suspect("after_a_slip");
    agent.alert("with the old settings", is_about(suspect.pid()));
    assert_eq!(stage.collectors(), first, "the collector was left alone");

    write(
        &file,
        &(QUICK.replace("100ms", "150ms")
            + "data = 'elsewhere'\nrules.time_limit = '2s'\nlog.levels.engine = 'info'\n"),
    );
    agent.signal(Signal::SIGHUP);
    let changed = agent.says("setting=collector.interval");
    assert!(changed.contains("old=100ms new=150ms") && changed.contains("daemoneye.toml:2"), "{changed}");
    let limit = agent.says("setting=rules.time_limit");
    assert!(limit.contains("old=100ms new=2s"), "{limit}");
    agent.says("setting=log.levels.engine old=debug new=info");
    // The flag goes before the file: nothing changed there.
    assert_eq!(agent.said("setting=data"), 0, "{}", agent.log());
    agent.says_times("collector started", 2);
    let reloaded = agent.says("rules reloaded");
    assert!(reloaded.contains("unchanged=1 changed=0 added=0 removed=0 kept=0"), "{reloaded}");
    let second =
        agent.shows("another collector", || stage.collectors().first().copied().filter(|pid| *pid != first[0]));
    let arguments = fs::read_to_string(format!("/proc/{second}/cmdline")).unwrap();
    assert!(arguments.contains("150ms"), "{arguments}");
    let commits = agent.said("snapshot committed");
    let suspect = stage.suspect("after_the_change");
    agent.alert("with the new settings", is_about(suspect.pid()));
    assert_eq!(agent.said("snapshot committed"), commits, "the engine's debug lines are off\n{}", agent.log());

    write(&file, &(QUICK.to_owned() + "socket = 'x.sock'\nalerts.output = 'human'\n"));
    agent.signal(Signal::SIGHUP);
    let later = agent.says("setting=socket");
    assert!(later.contains("takes effect when the agent is restarted"), "{later}");
    agent.says("setting=alerts.output old=auto new=human");
    let suspect = stage.suspect("at_the_old_socket");
    agent.alert("through the old socket", is_about(suspect.pid()));
    agent.stop();
    assert_eq!(agent.alerts().len(), 3, "the first suspects raise nothing anew\n{}", agent.log());
    stage.no_collector_is_left();
}

#[test]
fn rules_are_read_again_and_a_broken_one_runs_on_as_it_was() {
    let stage = Stage::new();
    let (_, command) = agent(&stage, QUICK);
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let suspect = stage.suspect("known");
    agent.alert("of the only rule", is_about(suspect.pid()));

    let sql = format!("SELECT pid, name FROM processes WHERE command_line GLOB '{}/*'", stage.bin().display());
    let added = stage.rule("added", &(header(OTHER_ID, "{name}") + &sql));
    agent.signal(Signal::SIGHUP);
    agent.says("rule added rule=added");
    let alert = agent.alert("of the new rule", |alert| alert["rule"]["name"] == "added");
    assert_eq!((&alert["initial"], &alert["row"]["pid"]), (&true.into(), &suspect.pid().into()));
    assert_eq!(agent.alerts().len(), 2, "the rule that stayed raises nothing anew\n{}", agent.log());

    let good = fs::read_to_string(&added).unwrap();
    fs::write(&added, good.replace("pid, name", "pidd, name")).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.says("rule kept as it was: its file cannot be used rule=added");
    agent.says("did you mean `pid`?");
    let second = stage.suspect("unbroken");
    let about =
        |rule: &'static str, pid: u32| move |alert: &Value| alert["rule"]["name"] == rule && is_about(pid)(alert);
    let alert = agent.alert("of the last good version", about("added", second.pid()));
    assert_eq!(alert["completeness"]["reasons"][0], "rule_refused", "and answers say that a file is broken");

    fs::write(&added, good.replace("pid, name", "pid, name, user_name")).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.says("rule changed rule=added");
    let third = stage.suspect("mended");
    let alert = agent.alert("of the changed rule", about("added", third.pid()));
    assert!(alert["row"]["user_name"].is_string());
    assert_eq!(alert["completeness"]["reasons"].as_array().unwrap().len(), 0, "{alert}");

    fs::remove_file(&added).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.says("rule removed rule=added");
    let fourth = stage.suspect("last");
    agent.alert("of the rule that is left", about("suspect", fourth.pid()));
    let before = agent.said("snapshot committed");
    agent.says_times("snapshot committed", before + 2);
    assert!(!agent.alerts().iter().any(about("added", fourth.pid())), "{}", agent.log());

    fs::remove_file(stage.rules().join("suspect.sql")).unwrap();
    agent.signal(Signal::SIGHUP);
    agent.says("no rule compiles: the rules that ran go on");
    let fifth = stage.suspect("still_found");
    agent.alert("of the rule that ran", about("suspect", fifth.pid()));
    agent.stop();
}

#[test]
fn files_that_change_are_taken_up_by_themselves() {
    let stage = Stage::new();
    let (_, command) = agent(&stage, &(QUICK.to_owned() + "rules.watch = '100ms'\n"));
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let known = stage.suspect("known");
    agent.alert("of the only rule", is_about(known.pid()));
    let since = || stage.query("SELECT since, snapshots FROM rule_stats WHERE rule = 'suspect'")[0].clone();
    let before = since();

    let sql = format!("SELECT pid, name FROM processes WHERE command_line GLOB '{}/*'", stage.bin().display());
    let good = header(OTHER_ID, "{name}") + &sql;
    let file = stage.rule("added", &good);
    agent.says("rule added rule=added");
    let alert = agent.alert("of the new rule", |alert| alert["rule"]["name"] == "added");
    assert_eq!(alert["row"]["pid"], known.pid());

    write(&file, &good.replace("pid, name", "pid, name, user_name"));
    agent.says("rule changed rule=added");
    let second = stage.suspect("second");
    let of_added = |pid: u32| move |alert: &Value| alert["rule"]["name"] == "added" && is_about(pid)(alert);
    assert!(agent.alert("of the changed rule", of_added(second.pid()))["row"]["user_name"].is_string());

    fs::write(&file, "SELECT").unwrap();
    agent.says("rule kept as it was: its file cannot be used rule=added");
    let third = stage.suspect("third");
    assert!(agent.alert("of the last good version", of_added(third.pid()))["row"]["user_name"].is_string());

    fs::remove_file(&file).unwrap();
    agent.says("rule removed rule=added");
    let fourth = stage.suspect("fourth");
    agent
        .alert("of the rule that is left", |alert| alert["rule"]["name"] == "suspect" && is_about(fourth.pid())(alert));
    let commits = agent.said("snapshot committed");
    agent.says_times("snapshot committed", commits + 2);
    assert!(!agent.alerts().iter().any(of_added(fourth.pid())), "{}", agent.log());
    assert_eq!((agent.said("files changed"), agent.said("SIGHUP")), (4, 0), "each once\n{}", agent.log());
    let after = since();
    assert_eq!(after["since"], before["since"], "the rule that stayed was never begun anew");
    assert!(after["snapshots"].as_u64() > before["snapshots"].as_u64());
    agent.stop();
}

#[test]
fn settings_that_are_wrong_end_the_agent_before_it_begins() {
    let stage = Stage::new();
    let (file, mut command) = agent(&stage, "collector.intervall = '5s'\nlog.level = 'loud'\n");
    command.env("DAEMONEYE_CLI__UTC", "maybe");
    let agent = Program::start(command);
    assert_eq!(agent.ends_within(PATIENCE).code(), Some(2), "{}", agent.log());
    let said = agent.stderr().join("\n");
    for expected in ["daemoneye.toml:1:11", "did you mean `collector.interval`?", "DE904", "DAEMONEYE_CLI__UTC:1:1"] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    assert!(!stage.data().exists(), "nothing is left behind");
    drop(file);
}

/// The fields of the JSON lines with that message.
fn lines_with(agent: &Program, message: &str) -> Vec<Value> {
    let parsed = |line: String| serde_json::from_str::<Value>(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
    agent.stderr().into_iter().map(parsed).filter(|line| line["message"] == message).collect()
}

#[test]
fn one_search_follows_a_snapshot_from_the_collector_to_the_alert() {
    let stage = Stage::new();
    stage.rule("broken", "SELECT nonsense FROM nowhere");
    let (_, mut command) = agent(&stage, QUICK);
    command.args(["--log-format", "json"]);
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let hostile = stage.suspect("a\u{1b}[2Jb\u{202e} --password=hunter2");
    let alert = agent.alert("about it", is_about(hostile.pid()));
    agent.says("alert delivered");
    agent.stop();
    let (source, sequence) = (&alert["snapshot"]["source"], &alert["snapshot"]["sequence"]);
    assert!(source.as_str().unwrap().len() > 8 && sequence.as_u64().unwrap() > 0, "{alert}");
    let chain = [
        ("snapshot published", "collector"),
        ("snapshot committed", "engine"),
        ("alert raised", "engine"),
        ("alert delivered", "sinks"),
        ("snapshot accepted", "collector"),
    ];
    for (message, component) in chain {
        let lines = lines_with(&agent, message);
        let ours = lines.iter().find(|line| line["source"] == *source && line["sequence"] == *sequence);
        let ours = ours.unwrap_or_else(|| panic!("no `{message}` for {source} {sequence}\n{}", agent.log()));
        assert_eq!(ours["component"], component, "{ours}");
    }
    let raised = lines_with(&agent, "alert raised");
    assert_eq!((&raised[0]["alert"], &raised[0]["rule"]), (&alert["id"], &"suspect".into()));
    assert_eq!(stage.stored()[0].snapshot.sequence, sequence.as_u64().unwrap(), "the record has it too");
    for line in agent.stderr() {
        assert!(!line.contains("hunter2") && !line.contains('\u{1b}') && !line.contains('\u{202e}'), "{line}");
    }
}
