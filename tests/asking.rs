//! Why: who asks the running agent gets what it sees, in parts and complete, and costs it nothing once gone; who may
//! not ask learns why; and without an agent the command line still answers, and says from where.

#![cfg(target_os = "linux")]

use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use daemoneye_broker::payload::Notice;
use daemoneye_broker::{Client, Credential, Encryption, Identity, Interest, Key, Role};
use daemoneye_tests::{PATIENCE, Program, Stage, program, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A hundred thousand to the third comparisons, of which nothing has to be held.
const ENDLESS: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100000) \
                       SELECT sum((SELECT sum((SELECT count(*) FROM t AS c WHERE c.n > a.n + b.n)) FROM t AS b)) AS s \
                       FROM t AS a";

fn command_line(stage: &Stage, arguments: &[&str]) -> Command {
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(arguments).arg("--data").arg(stage.data()).env("XDG_CONFIG_HOME", stage.path());
    command
}

fn asked(stage: &Stage, arguments: &[&str]) -> Output {
    command_line(stage, arguments).output().unwrap()
}

fn rows(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn running(stage: &Stage) -> Program {
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    agent
}

/// Processor time of a process so far.
fn cpu_ticks(pid: Pid) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

#[test]
fn the_agent_answers_about_now_and_then_and_without_it_the_store_does() {
    let stage = Stage::new();
    let agent = running(&stage);
    let suspect = stage.suspect("asked");
    agent.alert("it is seen", |alert| alert["row"]["pid"] == suspect.pid());
    let about = format!("SELECT pid, name, memory_usage > 0 AS sampled FROM processes WHERE pid = {}", suspect.pid());
    let now = asked(&stage, &["query", &about]);
    assert_eq!(rows(&now).len(), 1, "{}", said(&now));
    assert_eq!((&rows(&now)[0]["name"], &rows(&now)[0]["sampled"]), (&"asked".into(), &true.into()));
    assert!(said(&now).contains("· agent, snapshot "), "{}", said(&now));
    let bound = ["query", "--param", "name=asked", "SELECT count(*) AS n FROM process_starts WHERE name = :name"];
    let then = asked(&stage, &bound);
    assert!(said(&then).contains("· agent ·"), "{}", said(&then));
    assert_eq!(rows(&then)[0]["n"], 1);
    let live = asked(&stage, &["query", "--live", &about]);
    assert!(said(&live).contains("live snapshot"), "{}", said(&live));
    // Every row of many parts, in order.
    let many = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 20000) \
                SELECT n, (SELECT count(*) FROM rules) AS rules FROM t";
    let parts = asked(&stage, &["query", "-o", "ndjson", many]);
    let numbers: Vec<_> = rows(&parts).iter().map(|row| row["n"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=20_000).collect::<Vec<_>>(), "{}", said(&parts));
    agent.stop();
    let stored = asked(&stage, &bound);
    assert_eq!(rows(&stored)[0]["n"], 1);
    assert!(said(&stored).contains("store "), "{}", said(&stored));
    let present = asked(&stage, &["query", &about]);
    assert!(said(&present).contains("live snapshot"), "{}", said(&present));
}

#[test]
fn who_goes_away_stops_the_work() {
    let stage = Stage::new();
    let agent = running(&stage);
    for end in [Some(Signal::SIGINT), Some(Signal::SIGKILL), None] {
        // Of the last, the agent itself stops the work, when the time is over.
        let limit = if end.is_some() { "1h" } else { "3s" };
        let mut asking = command_line(&stage, &["query", "--timeout", limit, ENDLESS]);
        let mut asking = asking.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let before = cpu_ticks(agent.pid());
        let works = until(PATIENCE, || (cpu_ticks(agent.pid()) > before + 100).then_some(()));
        assert!(works.is_some(), "the agent is at work\n{}", agent.log());
        if let Some(signal) = end {
            kill(Pid::from_raw(asking.id().try_into().unwrap()), signal).unwrap();
        }
        // The last one would wait for its turn, were those before it still at work for nobody.
        let ended = until(PATIENCE, || asking.try_wait().unwrap());
        let status = ended.unwrap_or_else(|| panic!("the agent goes on working for nobody\n{}", agent.log()));
        if end.is_none() {
            let mut told = String::new();
            asking.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            assert_eq!(status.code(), Some(3), "{told}");
            assert!(told.contains("the statement timed out"), "{told}");
        }
    }
    agent.stop();
}

#[test]
fn who_reads_slowly_is_waited_for_and_the_agent_detects_meanwhile() {
    let stage = Stage::new();
    let agent = running(&stage);
    let many = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 100000) SELECT n FROM t";
    let mut slow = command_line(&stage, &["query", "-o", "ndjson", many]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(slow.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "{\"n\":1}");
    let suspect = stage.suspect("meanwhile");
    agent.alert("it is found", |alert| alert["row"]["pid"] == suspect.pid());
    assert_eq!(lines.count(), 99_999);
    assert!(slow.wait().unwrap().success());
    agent.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn who_does_not_hold_the_key_is_refused_and_that_is_on_record() {
    let stage = Stage::new();
    let agent = running(&stage);
    let listener = stage.client("listener", Role::Operator).await;
    let mut record = listener.subscribe(&Interest::new("audit.broker.>")).await.unwrap();
    let identity =
        |key| Identity { name: "stranger".to_owned(), role: Role::Operator, key, encryption: Encryption::IfAsked };
    let strange = Credential::Installation(Key::generate().unwrap());
    let refused = Client::connect(stage.socket(), &identity(strange)).await.unwrap_err().to_string();
    // The broker proved first that it holds another key, so the stranger ends it.
    assert!(refused.contains("does not hold the installation's key"), "{refused}");
    let key = Credential::File(stage.socket().with_file_name("agent.key"));
    let client = Client::connect(stage.socket(), &identity(key)).await.unwrap();
    let denied = client.subscribe(&Interest::new("events.>")).await.unwrap_err().to_string();
    assert!(denied.contains("no operator may subscribe to `events.>`"), "{denied}");
    let notice = loop {
        let next = tokio::time::timeout(PATIENCE, record.message()).await.expect("it is put on record").unwrap();
        let notice = Notice::from_payload(next.payload).unwrap();
        if notice.action == "subscription_refused" {
            break notice;
        }
    };
    assert_eq!((notice.name.as_str(), notice.pid), ("stranger", Some(std::process::id())));
    agent.stop();
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    let stage = Stage::new();
    running(&stage).stop();
    let key = stage.socket().with_file_name("agent.key");
    fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let output = stage.agent().output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("others may read or write it"), "{}", said(&output));
}

/// A file of rules beside those of the agent, with a list that the agent does not have.
fn drafts(stage: &Stage) -> String {
    let drafts = stage.path().join("drafts");
    fs::create_dir_all(drafts.join("lists")).unwrap();
    fs::write(drafts.join("lists/names.txt"), "hunted\n").unwrap();
    let rule = |name: &str, sql: &str| fs::write(drafts.join(name).with_extension("sql"), sql).unwrap();
    rule("of_now", "SELECT proc_id, pid, name FROM processes WHERE name IN (SELECT value FROM list('names'))");
    rule("of_then", "SELECT proc_id, pid FROM process_starts WHERE name = 'hunted'");
    drafts.to_str().unwrap().to_owned()
}

#[test]
fn a_hunt_is_the_agents_as_long_as_it_answers() {
    let stage = Stage::new();
    let agent = running(&stage);
    let suspect = stage.suspect("hunted");
    agent.alert("it is seen", |alert| alert["row"]["pid"] == suspect.pid());
    let drafts = drafts(&stage);
    let hunt = |more: &[&str]| asked(&stage, &[&["hunt", "-o", "ndjson", "--rules", &drafts], more].concat());
    let found = |hunt: &Output| {
        let mut found: Vec<_> = rows(hunt).iter().map(|it| it["rule"].as_str().unwrap().to_owned()).collect();
        found.sort();
        found
    };
    let by_agent = hunt(&[]);
    assert_eq!(found(&by_agent), ["of_now", "of_then"], "{}", said(&by_agent));
    assert!(said(&by_agent).contains(" processes · agent, snapshot "), "{}", said(&by_agent));
    assert!(said(&by_agent).contains("the agent matched"), "{}", said(&by_agent));
    let live = hunt(&["--live"]);
    assert!(said(&live).contains("live snapshot") && !said(&live).contains("agent,"), "{}", said(&live));
    assert_eq!(found(&live), ["of_now", "of_then"], "{}", said(&live));
    agent.stop();
    let stored = hunt(&[]);
    assert!(said(&stored).contains("live snapshot") && said(&stored).contains("store "), "{}", said(&stored));
    assert_eq!(found(&stored), ["of_now", "of_then"], "{}", said(&stored));
}

#[test]
fn what_is_explained_is_looked_at_where_the_agent_looks() {
    let stage = Stage::new();
    let agent = running(&stage);
    let suspect = stage.suspect("explained");
    agent.alert("it is seen", |alert| alert["row"]["pid"] == suspect.pid());
    let sql = "SELECT pid FROM process_starts WHERE name = 'explained'";
    let explain = |more: &[&str]| asked(&stage, &[&["explain", "-o", "json", sql], more].concat());
    let json = |output: &Output| serde_json::from_slice::<Value>(&output.stdout).unwrap()[0].clone();
    let by_agent = explain(&["--analyze"]);
    assert_eq!(json(&by_agent)["analysis"]["rows"], 1, "{}", said(&by_agent));
    assert!(json(&by_agent)["analysis"]["operations"][0]["times"].as_u64() > Some(0));
    assert_eq!(said(&by_agent).trim(), "agent", "it says who looked");
    let live = explain(&["--analyze", "--live"]);
    assert_eq!(json(&live)["analysis"]["rows"], 1, "{}", said(&live));
    assert!(said(&live).starts_with("store "), "{}", said(&live));
    let pid = suspect.pid().to_string();
    let sql = "SELECT pid FROM processes WHERE name = 'another'";
    let why = asked(&stage, &["explain", "-o", "json", sql, "--why-not", &pid]);
    assert_eq!(json(&why)["why_not"]["matches"], false, "{}", said(&why));
    assert!(said(&why).starts_with("agent, snapshot "), "{}", said(&why));
    // Nobody waits any longer, and the agent does not go on.
    let slow = asked(&stage, &["explain", "-o", "json", "--analyze", "--timeout", "200ms", ENDLESS]);
    assert_ne!(slow.status.code(), Some(0));
    assert!(said(&slow).contains("was stopped after 200ms"), "{}", said(&slow));
    agent.stop();
}

/// A data folder as an operator without the agent's rights sees it: its socket, not its store.
fn without_store(stage: &Stage) -> PathBuf {
    let elsewhere = stage.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    std::os::unix::fs::symlink(stage.socket(), elsewhere.join("agent.sock")).unwrap();
    fs::copy(stage.socket().with_file_name("agent.key"), elsewhere.join("agent.key")).unwrap();
    elsewhere
}

#[test]
fn history_is_explained_to_whom_the_store_is_closed() {
    let stage = Stage::new();
    let agent = running(&stage);
    let suspect = stage.suspect("explained");
    agent.alert("it is seen", |alert| alert["row"]["pid"] == suspect.pid());
    let elsewhere = without_store(&stage);
    let explain = |sql: &str, more: &[&str]| {
        let mut command = Command::new(program("daemoneye-cli"));
        command.args(["explain", "-o", "json", sql]).args(more).arg("--data").arg(&elsewhere);
        command.env("XDG_CONFIG_HOME", stage.path()).output().unwrap()
    };
    let json = |output: &Output| {
        let parsed = serde_json::from_slice::<Value>(&output.stdout);
        parsed.unwrap_or_else(|_| panic!("{}", said(output)))[0].clone()
    };
    let starts = "SELECT s.name, count(*) AS n FROM process_starts s WHERE s.name = 'explained' GROUP BY s.name";
    let state = explain(starts, &["--state"]);
    assert_eq!(json(&state)["state"]["matches"], 1, "{}", said(&state));
    assert_eq!(said(&state).trim(), "the agent's store", "it says who looked");
    let pid = suspect.pid().to_string();
    for (name, matches) in [("explained", true), ("another", false)] {
        let sql = format!("SELECT pid FROM process_starts WHERE name = '{name}' AND observed_at > '2020-01-01'");
        let why = explain(&sql, &["--why-not", &pid]);
        assert_eq!(json(&why)["why_not"]["matches"], matches, "{}", said(&why));
    }
    // Of a moment, with its samples; and relatives that are only on record.
    let then = format!(
        "SELECT p.pid FROM processes FOR SYSTEM_TIME AS OF now() AS p WHERE p.pid = {} AND p.memory_usage > 0",
        std::process::id()
    );
    let own = std::process::id().to_string();
    for (more, matches) in [("", true), (" AND p.memory_usage IS NULL", false)] {
        let why = explain(&format!("{then}{more}"), &["--why-not", &own]);
        assert_eq!(json(&why)["why_not"]["matches"], matches, "{}", said(&why));
    }
    let state = explain(&then, &["--state"]);
    assert_eq!(state.status.code(), Some(2));
    assert!(said(&state).contains("`memory_usage` of a past moment is a sample"), "{}", said(&state));
    let sql = "SELECT p.pid FROM process_starts s JOIN descendants(s.parent_id) AS p ON p.pid = s.pid";
    let why = explain(sql, &["--why-not", &pid]);
    assert_eq!(json(&why)["why_not"]["matches"], true, "{}", said(&why));
    // A parent that became another program after its child was seen, and is gone.
    let [child, late] = ["child", "late"].map(|name| stage.copy("/bin/sleep", name));
    let mut shell = Command::new("/bin/sh");
    let script = format!("{} 600 & read go; exec {} 600", child.display(), late.display());
    shell.args(["-c", &script]).stdin(Stdio::piped()).process_group(0);
    let mut shell = shell.spawn().unwrap();
    agent.alert("the child", |alert| alert["row"]["name"] == "child");
    shell.stdin.take().unwrap().write_all(b"go\n").unwrap();
    agent.alert("what its parent became", |alert| alert["row"]["name"] == "late");
    shell.kill().unwrap();
    shell.wait().unwrap();
    let exited = || stage.query("SELECT pid FROM process_exits WHERE name = 'late'").pop();
    until(PATIENCE, exited).expect("its exit is on record");
    for (name, matches) in [("late", 1), ("sh", 0), ("dash", 0), ("bash", 0)] {
        let sql = format!(
            "SELECT a.name FROM process_starts s JOIN ancestors(s.proc_id) AS a ON a.depth = 1 \
             WHERE s.name = 'child' AND a.name = '{name}'"
        );
        let state = explain(&sql, &["--state"]);
        assert_eq!(json(&state)["state"]["matches"], matches, "{name}: {}", said(&state));
    }
    kill(Pid::from_raw(-i32::try_from(shell.id()).unwrap()), Signal::SIGKILL).unwrap();
    agent.stop();
    let stored = explain(starts, &["--state"]);
    assert!(said(&stored).contains("nothing is stored at"), "{}", said(&stored));
}

#[test]
fn a_question_that_is_repeated_is_the_agents_as_long_as_it_answers() {
    let stage = Stage::new();
    let agent = running(&stage);
    let suspect = stage.suspect("watched");
    agent.alert("it is seen", |alert| alert["row"]["pid"] == suspect.pid());
    let elsewhere = without_store(&stage);
    // The record is the agent's alone here, so that whoever shows rows of it has asked it.
    let sql = "SELECT name FROM process_starts WHERE name = 'watched'";
    let watch = |more: &[&str]| {
        let mut watch = Command::new(program("daemoneye-cli"));
        watch.args(["query", "--watch=100ms", "-o", "ndjson", sql, "--data"]).arg(&elsewhere).args(more);
        watch.env("XDG_CONFIG_HOME", stage.path());
        watch
    };
    let live = watch(&["--live"]).output().unwrap();
    assert!(said(&live).contains("nothing is stored at"), "{}", said(&live));
    let watch = Program::start(watch(&[]));
    let rounds = |more: usize| {
        let before = watch.alerts().len();
        watch.shows("more rounds", || (watch.alerts().len() >= before + more).then_some(()));
    };
    rounds(2);
    agent.kill();
    watch.says("asking again");
    let agent = running(&stage);
    rounds(2);
    assert!(watch.alerts().iter().all(|row| row["name"] == "watched"));
    watch.kill();
    agent.stop();
}

#[test]
fn alerts_are_followed_by_whom_the_store_is_closed_to() {
    let stage = Stage::new();
    let agent = running(&stage);
    let early = stage.suspect("early");
    agent.alert("the first", |alert| alert["row"]["pid"] == early.pid());
    let elsewhere = without_store(&stage);
    let mut watch = Command::new(program("daemoneye-cli"));
    watch.args(["alerts", "watch", "-o", "ndjson", "--data"]).arg(&elsewhere).env("XDG_CONFIG_HOME", stage.path());
    let watch = Program::start(watch);
    watch.says("following agent");
    watch.alert("what is open", |alert| alert["row"]["pid"] == early.pid());
    let late = stage.suspect("late");
    watch.alert("what comes", |alert| alert["row"]["pid"] == late.pid());
    let noted = asked(&stage, &["alerts", "ack", "1"]);
    assert!(noted.status.success(), "{}", said(&noted));
    watch.alert("what changes", |alert| alert["id"] == 1 && alert["handling"] == "acknowledged");
    agent.kill();
    watch.says("no agent is at work");
    let agent = running(&stage);
    watch.says("the agent is back");
    let last = stage.suspect("last");
    watch.alert("what comes from the next", |alert| alert["row"]["pid"] == last.pid());
    let states = watch.alerts();
    let states = states.iter().map(|it| (&it["id"], &it["handling"], &it["status"], &it["dedup"]["count"]));
    let states: Vec<String> = states.map(|state| format!("{state:?}")).collect();
    let mut once = states.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), states.len(), "each state comes once: {states:#?}");
    watch.kill();
    agent.stop();
}

#[test]
fn an_agent_that_encrypts_is_asked_as_any_other() {
    let stage = Stage::new();
    let config = stage.path().join("encrypted.toml");
    fs::write(&config, "encryption = 'required'\n").unwrap();
    let with_config = |mut command: Command| {
        command.arg("--config").arg(&config);
        command
    };
    let agent = Program::start(with_config(stage.agent()));
    agent.says_times("snapshot committed", 2);
    // It finds out by itself, and may insist.
    let count = ["query", "SELECT count(*) > 0 AS some FROM processes"];
    for asking in [command_line(&stage, &count), with_config(command_line(&stage, &count))] {
        let asked = { asking }.output().unwrap();
        assert!(said(&asked).contains("· agent, snapshot "), "{}", said(&asked));
    }
    agent.stop();
    let agent = running(&stage);
    let order = with_config(command_line(&stage, &["alerts", "ack", "1"])).output().unwrap();
    let why = "the agent does not encrypt connections, which the settings of this program require";
    assert!(said(&order).contains(why), "{}", said(&order));
    let open = asked(&stage, &count);
    assert!(said(&open).contains("· agent, snapshot "), "{}", said(&open));
    agent.stop();
}
