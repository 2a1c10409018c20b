//! Why: an operator stops, restarts and pipes these programs without a thought. They must end when they are told to,
//! leave nothing behind, and not take a closed pipe or missing privileges for a reason to stop looking.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use daemoneye_dsl::alert::AlertStatus;
use daemoneye_tests::{PATIENCE, Program, Stage, program, until};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;
use serde_json::Value;

const STOP_TIME: Duration = Duration::from_secs(3);
const NOBODY: u32 = 65534;

fn is_about(pid: u32) -> impl Fn(&Value) -> bool {
    move |alert| alert["row"]["pid"] == pid
}

#[test]
fn signals_end_the_agent_and_its_collector() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let stage = Stage::new();
        let agent = Program::start(stage.agent());
        agent.says("snapshot committed");
        assert!(stage.socket().exists() && stage.collectors().len() == 1);
        agent.signal(signal);
        let status = agent.ends_within(STOP_TIME);
        assert_eq!(status.code(), Some(0), "{signal}\n{}", agent.log());
        assert!(agent.said(signal.as_str()) == 1, "{}", agent.log());
        assert!(stage.collectors().is_empty(), "the collector ends before the agent");
        assert!(!stage.socket().exists(), "the socket file goes with the agent");
    }
}

/// From the first line that it says, it can be told to stop.
#[test]
fn signals_end_the_agent_while_it_starts() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        for delay_ms in [0, 0, 0, 2, 5, 20, 50] {
            let stage = Stage::new();
            let agent = Program::start(stage.agent());
            agent.says("agent started");
            std::thread::sleep(Duration::from_millis(delay_ms));
            agent.signal(signal);
            let status = agent.ends_within(STOP_TIME);
            assert_eq!(status.code(), Some(0), "{signal} after {delay_ms} ms: {status}\n{}", agent.log());
            stage.no_collector_is_left();
            assert!(!stage.socket().exists());
        }
    }
}

#[test]
fn signals_end_a_collector_that_serves_an_agent() {
    let stage = Stage::new();
    let mut waiting = stage.agent();
    waiting.args(["--collector", "wait"]);
    let agent = Program::start(waiting);
    agent.says("agent started");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let before = agent.said("snapshot committed");
        let procmond = Program::start(stage.procmond());
        agent.says_times("snapshot committed", before + 2);
        procmond.signal(signal);
        let status = procmond.ends_within(STOP_TIME);
        assert_eq!(status.code(), Some(0), "{signal}\n{}", procmond.log());
    }
    agent.stop();
}

#[test]
fn a_closed_standard_output_does_not_stop_detection() {
    let stage = Stage::new();
    let mut head = Command::new("head").arg("-1").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let agent = Program::start_into(stage.agent(), head.stdin.take().unwrap().into());
    let first = stage.suspect("first");
    let ended = until(PATIENCE, || head.try_wait().unwrap());
    assert!(ended.is_some(), "head has seen no line\n{}", agent.log());
    let second = stage.suspect("second");
    agent.says("cannot print an alert");
    let third = stage.suspect("third");
    agent.says_times("cannot print an alert", 2);
    agent.stop();
    let stored = stage.stored();
    let about: Vec<_> = stored.iter().map(|alert| alert.row["pid"].as_u64().unwrap()).collect();
    assert_eq!(about, [&first, &second, &third].map(|suspect| u64::from(suspect.pid())), "{}", agent.log());
    assert!(stored.iter().all(|alert| alert.status == AlertStatus::Open));
}

/// A pipe that nobody reads holds up what is printed and nothing else; what was not printed comes at the next start.
#[test]
fn a_standard_output_that_nobody_reads_does_not_stop_detection() {
    let stage = Stage::new();
    let (unread, mut full) = std::io::pipe().unwrap();
    full.write_all(&vec![b' '; 65_536]).unwrap();
    let agent = Program::start_into(stage.agent(), full.into());
    agent.says("snapshot committed");
    let mut suspects = Vec::new();
    for name in ["first", "second", "third", "fourth"] {
        suspects.push(stage.suspect(name));
        let stored = until(PATIENCE, || (stage.stored().len() == suspects.len()).then_some(()));
        assert!(stored.is_some(), "detection waits for standard output\n{}", agent.log());
    }
    agent.signal(Signal::SIGTERM);
    assert_eq!(agent.ends_within(PATIENCE).code(), Some(0), "{}", agent.log());
    drop(unread);

    let again = Program::start(stage.agent());
    for suspect in &suspects {
        again.alert("that was not printed before", is_about(suspect.pid()));
    }
    again.stop();
    assert_eq!(stage.stored().len(), suspects.len(), "printed late, raised once");
}

#[test]
fn without_root_it_works_and_says_what_it_may_see() {
    if !geteuid().is_root() {
        return skip("only root can become another user");
    }
    let stage = Stage::new();
    stage.open_to_all();
    // The programs may lie where only root can go.
    let own = stage.path().join("programs");
    fs::create_dir(&own).unwrap();
    for name in ["daemoneye-agent", "procmond"] {
        fs::copy(program(name), own.join(name)).unwrap();
    }
    fs::create_dir(stage.data()).unwrap();
    chown(stage.data(), Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = stage.agent_at(&own.join("daemoneye-agent"));
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
    let agent = Program::start(command);
    agent.says("snapshot committed");
    let suspect = stage.suspect("somebody_elses");
    let alert = agent.alert("about a process of root", is_about(suspect.pid()));
    assert_eq!(alert["completeness"]["scope"], "visible");
    assert_eq!(alert["completeness"]["complete"], true, "what permissions hide is no failure");
    assert_eq!(alert["row"]["user_name"], "root");
    assert_eq!(alert["process"]["accessible"], false);
    assert_eq!(alert["process"]["executable_path"], Value::Null);
    agent.says("as far as this user may see");
    agent.stop();
    stage.no_collector_is_left();
}

#[expect(clippy::print_stderr, reason = "a test that cannot run here says so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
