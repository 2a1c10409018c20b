//! Why: whoever asks whether all is well gets the truth from the real programs, whatever state the agent is in; and
//! whoever follows alerts sees each once, also across restarts of the agent.

#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use daemoneye_tests::{PATIENCE, Program, Stage, Suspect, header, program};
use nix::sys::signal::Signal;
use serde_json::{Value, json};

fn cli(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(arguments).arg("--data").arg(stage.data());
    command.env("LANG", "C.UTF-8").env("TERM", "xterm").env("COLUMNS", "80").env_remove("LC_ALL");
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn status(stage: &Stage) -> (i32, Value) {
    let (code, out, err) = output(cli(stage, &["status", "-o", "json"]));
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

/// What it says to people, as one line.
fn people(stage: &Stage) -> String {
    let (_, out, _) = output(cli(stage, &["status"]));
    assert!(out.lines().all(|line| line.chars().count() <= 80 || !line.trim().contains(' ')), "{out}");
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn an_agent_that_is_well() {
    let stage = Stage::new();
    let (code, none) = status(&stage);
    assert_eq!((code, &none["agent"]["state"], &none["ok"]), (4, &json!("no_socket"), &json!(false)));
    assert!(none["store"]["error"].as_str().unwrap().contains("nothing is stored at"));
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 3);
    let (code, well) = status(&stage);
    assert_eq!((code, &well["ok"]), (0, &json!(true)), "{well}");
    assert_eq!(well["agent"]["run"]["pid"], agent.pid().as_raw());
    assert_eq!(well["agent"]["same_version"], true);
    assert_eq!(well["agent"]["run"]["stopped"], Value::Null);
    let collector = &well["collectors"][0];
    assert_eq!(collector["pid"], stage.collectors()[0].as_raw());
    assert_eq!((&collector["interval_micros"], &collector["missed"]), (&json!(100_000), &json!(0)));
    assert!(collector["snapshots"].as_u64().unwrap() >= 3 && collector["processes"].as_u64().unwrap() > 0);
    assert_eq!((&well["rules"]["running"], &well["rules"]["not_running"]), (&json!(1), &json!([])));
    assert!(well["store"]["bytes"].as_u64().unwrap() > 0 && well["store"]["versions"].as_u64().unwrap() > 0);
    let drawn = people(&stage);
    assert!(drawn.starts_with("ok agent running for "), "{drawn}");
    assert!(drawn.contains("last snapshot less than 1 s ago, one every 100.0 ms, by procmond"), "{drawn}");
    assert_eq!(output(cli(&stage, &["status", "-q"])).1, "", "nothing is wrong");

    agent.stop();
    let (code, stopped) = status(&stage);
    assert_eq!((code, &stopped["agent"]["state"]), (4, &json!("no_socket")));
    assert!(stopped["agent"]["run"]["stopped"].is_string(), "a clean end is on record");
    assert!(stopped["store"]["versions"].as_u64().unwrap() > 0, "what the store says is still said");
    let drawn = people(&stage);
    assert!(drawn.contains("not running") && drawn.contains("stopped") && drawn.contains("next: start it"), "{drawn}");
}

#[test]
fn what_is_not_well_is_named_with_what_to_do() {
    let stage = Stage::new();
    stage.rule("broken", "SELECT pid FROM processes");
    stage.rule(
        "elsewhere",
        &(header("11111111-2222-4333-8444-555555555555", "t").replace("linux", "windows")
            + "SELECT proc_id FROM processes"),
    );
    let limited = "SELECT proc_id, executable_hash FROM processes WHERE executable_hash = 'x'";
    stage.rule("limited", &(header("11111111-2222-4333-8444-555555555556", "t") + limited));
    // More rows than a join may have.
    let wide = "SELECT a.proc_id FROM processes a JOIN processes b ON b.pid > 0 JOIN processes c ON c.pid > 0 \
                JOIN processes d ON d.pid > 0";
    stage.rule("wide", &(header("11111111-2222-4333-8444-555555555557", "t") + wide));
    let agent = Program::start(stage.agent());
    agent.says("rule quarantined");
    agent.says_times("snapshot committed", 2);
    let (code, it) = status(&stage);
    assert_eq!((code, &it["ok"]), (3, &json!(false)), "{it}");
    let rules = &it["rules"];
    for (state, number) in [("running", 1), ("limited", 1), ("other_system", 1), ("refused", 1), ("quarantined", 1)] {
        assert_eq!(rules[state], number, "{state}: {rules}");
    }
    let reasons: BTreeSet<_> =
        it["completeness"]["reasons"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(reasons.is_superset(&BTreeSet::from(["rule_refused", "rule_quarantined"])), "{reasons:?}");
    let drawn = people(&stage);
    for expected in [
        "refused: broken: DE",
        "next: mend it (`daemoneye-cli lint",
        "quarantined: wide: ",
        "then `daemoneye-cli rules release wide`",
        "next: see what it does with `daemoneye-cli explain wide`",
        "limited: limited: nothing collects executable_hash yet",
        "incomplete: a rule was quarantined, a rule was refused",
    ] {
        assert!(drawn.contains(expected), "{expected}: {drawn}");
    }
    let (code, ..) = output(cli(&stage, &["status", "--allow-degraded"]));
    assert_eq!(code, 0);
    let states = "SELECT name FROM rules WHERE state = 'quarantined'";
    let (code, out, err) = output(cli(&stage, &["query", states]));
    assert_eq!((code, out.as_str()), (0, "{\"name\":\"wide\"}\n"), "{err}");
}

#[test]
fn an_agent_that_cannot_be_reached_is_told_apart() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    agent.says("snapshot committed");
    agent.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let (code, silent) = status(&stage);
    assert_eq!((code, &silent["agent"]["state"]), (4, &json!("no_answer")));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    agent.signal(Signal::SIGCONT);
    agent.kill();
    let (code, killed) = status(&stage);
    assert_eq!((code, &killed["agent"]["state"]), (4, &json!("refused")));
    assert!(killed["store"]["error"].as_str().unwrap().contains("start the agent once"), "{killed}");
    assert!(people(&stage).contains("killed agent left behind"));
    if !nix::unistd::geteuid().is_root() {
        fs::set_permissions(stage.data(), Permissions::from_mode(0o000)).unwrap();
        let (code, denied) = status(&stage);
        assert_eq!((code, &denied["agent"]["state"]), (4, &json!("no_permission")));
        assert!(people(&stage).contains("sudo daemoneye-cli status"));
        fs::set_permissions(stage.data(), Permissions::from_mode(0o700)).unwrap();
    }
}

#[test]
fn watched_alerts_come_once_across_restarts() {
    let stage = Stage::new();
    let early = stage.suspect("early");
    let agent = Program::start(stage.agent());
    agent.alert("the first", |alert| alert["row"]["pid"] == early.pid());
    let watch = Program::start(cli(&stage, &["alerts", "watch"]));
    let pid_of = |alert: &Value| alert["row"]["pid"].as_u64().unwrap();
    watch.alert("what is open", |alert| pid_of(alert) == u64::from(early.pid()));
    let fresh = Program::start(cli(&stage, &["alerts", "watch", "--no-backlog"]));
    std::thread::sleep(Duration::from_millis(500));

    let began = Instant::now();
    let second = stage.suspect("second");
    watch.alert("a new one", |alert| pid_of(alert) == u64::from(second.pid()));
    // A snapshot is taken each 100 ms; the rest is for slow machines.
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());

    agent.kill();
    watch.says("the agent was killed");
    let third = Suspect::sleeping(&stage.copy("/bin/sleep", "third"));
    early.end();
    let agent = Program::start(stage.agent());
    watch.says("the agent is back");
    watch.alert("from the time between", |alert| pid_of(alert) == u64::from(third.pid()));
    watch.shows("that the first is resolved", || {
        watch.alerts().into_iter().find(|alert| alert["id"] == 1 && alert["status"] == "resolved")
    });
    agent.stop();
    watch.says("the agent was stopped");

    let alerts = watch.alerts();
    let seen: Vec<_> = alerts.iter().map(|it| (it["id"].as_u64().unwrap(), it["status"].as_str().unwrap())).collect();
    let once: BTreeSet<_> = seen.iter().collect();
    assert_eq!(once.len(), seen.len(), "nothing comes twice: {seen:?}");
    let stored: BTreeSet<_> = stage.stored().iter().map(|alert| alert.id).collect();
    let ids: BTreeSet<_> = seen.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, stored, "and nothing is missing");
    assert!(fresh.alerts().iter().all(|alert| alert["id"] != 1 || alert["status"] == "resolved"), "no backlog");

    watch.signal(Signal::SIGINT);
    assert_eq!(watch.ends_within(PATIENCE).code(), Some(130));
    drop(third);
}

#[test]
fn a_watcher_whose_reader_goes_away_ends_quietly() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    agent.says("snapshot committed");
    let (read, write) = std::io::pipe().unwrap();
    let watch = Program::start_into(cli(&stage, &["alerts", "watch"]), write.into());
    std::thread::sleep(Duration::from_millis(500));
    drop(read);
    let suspect = stage.suspect("unread");
    agent.alert("it", |alert| alert["row"]["pid"] == suspect.pid());
    assert_eq!(watch.ends_within(PATIENCE).code(), Some(0));
    assert_eq!(watch.stderr(), ["following agent"]);
}
