//! Why: what bears on security is on record, once and in order, whatever happens to the agent and to the ledger's file;
//! and neither keeps the other from its work.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use daemoneye_broker::payload::{Ask, Statement, Wish};
use daemoneye_broker::{Client, Credential, Identity, Interest, Outcome, Role};
use daemoneye_dsl::audit::{Action, Event};
use daemoneye_storage::ledger::{Entry, Order, ReadLedger};
use daemoneye_tests::{PATIENCE, Program, Stage, header, program};
use nix::unistd::geteuid;
use serde_json::Value;

/// The ledger of a stage, which no agent writes.
fn ledger(stage: &Stage) -> Vec<Entry> {
    let view = ReadLedger::open(stage.data().join("ledger.redb")).unwrap().read().unwrap();
    let mut entries = Vec::new();
    view.entries(0, Order::Forwards, &mut |entry, _| {
        entries.push(entry);
        ControlFlow::Continue(())
    })
    .unwrap();
    entries
}

/// Over how many entries the last checkpoint is.
fn signed(stage: &Stage) -> u64 {
    let view = ReadLedger::open(stage.data().join("ledger.redb")).unwrap().read().unwrap();
    view.checkpoint().unwrap().map_or(0, |signed| signed.checkpoint().size)
}

fn payload(event: &Event) -> Value {
    serde_json::from_str(&event.payload).unwrap()
}

/// `action subject`, of an operator's with their user.
fn line(entry: &Entry) -> String {
    let Event { actor, action, subject, .. } = &entry.event;
    let by = actor.uid.map(|uid| format!(" by {uid}")).unwrap_or_default();
    format!("{}: {action} {subject}{by}", actor.name)
}

fn cli(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(arguments).arg("--data").arg(stage.data()).env("XDG_CONFIG_HOME", stage.path());
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn done(stage: &Stage, arguments: &[&str]) -> String {
    let (code, out, err) = cli(stage, arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    out
}

/// Starts a suspect, waits for its alert and until that is resolved; the record that was printed.
fn suspected(stage: &Stage, agent: &Program, name: &str) -> Value {
    let suspect = stage.suspect(name);
    let alert = agent.alert("the suspect", |alert| alert["row"]["pid"] == suspect.pid());
    suspect.end();
    agent.shows("that it went", || {
        stage.stored().iter().find(|it| alert["id"] == it.id && it.status.name() == "resolved").map(|_| ())
    });
    alert
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_is_on_record_in_order_and_signed_at_the_end() {
    let stage = Stage::new();
    let config = stage.path().join("daemoneye");
    fs::create_dir(&config).unwrap();
    fs::write(config.join("daemoneye.toml"), "[retention]\ndays = 7\n").unwrap();
    let exported = stage.path().join("checkpoints");
    let mut command = stage.agent();
    command.env("DAEMONEYE_LEDGER__EXPORT", &exported).env("DAEMONEYE_LEDGER__CHECKPOINT_EVERY", "5");
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let listener = stage.client("listener", Role::Operator).await;
    let mut told = listener.subscribe(&Interest::new("audit.>").retained()).await.unwrap();

    let alert = suspected(&stage, &agent, "first");
    done(&stage, &["alerts", "ack", "1", "--note", "seen"]);
    assert_eq!(cli(&stage, &["alerts", "ack", "99"]).0, 2);
    done(&stage, &["alerts", "silence", "suspect", "--for", "1h"]);
    done(&stage, &["alerts", "unsilence", "1"]);
    let file = stage.path().join("rules.csv");
    done(&stage, &["data", "export", "rules", file.to_str().unwrap()]);
    done(&stage, &["query", "SELECT count(*) AS n FROM rules"]);
    let wish = Wish::Statement(Statement { text: "SELECT nothing".to_owned(), ..Statement::default() });
    let refused = listener.request("control.agent", Ask::from(wish).to_payload(), PATIENCE).await.unwrap();
    assert!(matches!(refused, Outcome::Refused(_)), "{refused:?}");
    assert!(listener.subscribe(&Interest::new("events.>")).await.is_err());
    let key = Credential::File(stage.socket().with_file_name("agent.key"));
    let false_agent = Identity { name: "false".to_owned(), role: Role::Agent, key };
    assert!(Client::connect(stage.socket(), &false_agent).await.is_err());

    let other = "0f2f7d5c-6f0e-4f7c-9d7e-2f1b5a6c7d8f";
    let sql = "SELECT pid FROM processes WHERE name = 'never'";
    let path = stage.rule("other", &(header(other, "never") + sql));
    fs::write(config.join("daemoneye.toml"), "[retention]\ndays = 8\n").unwrap();
    let reload = |times| {
        agent.signal(nix::sys::signal::Signal::SIGHUP);
        agent.says_times("rules reloaded", times);
    };
    reload(1);
    stage.rule("other", &(header(other, "never") + sql + " OR name = 'neither'"));
    reload(2);
    stage.rule("other", "SELECT");
    reload(3);
    fs::remove_file(path).unwrap();
    reload(4);
    agent.shows("all of it in the ledger", || {
        let removed = ledger(&stage).iter().any(|entry| entry.event.action == Action::RuleRemoved);
        removed.then_some(())
    });
    let (_, status, _) = cli(&stage, &["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let of_ledger = &status["ledger"];
    assert_eq!((&of_ledger["error"], &of_ledger["waiting"]), (&Value::Null, &0.into()), "{status}");
    agent.stop();

    let entries = ledger(&stage);
    let uid = geteuid().as_raw();
    let expected = [
        "agent: component_started agent".to_owned(),
        "agent: configuration_in_force ".to_owned(),
        "agent: rule_loaded suspect".to_owned(),
        "procmond: component_started procmond".to_owned(),
        "agent: alert_raised 1".to_owned(),
        "agent: alert_changed 1".to_owned(),
        format!("operator: alert_changed 1 by {uid}"),
        format!("operator: query_refused  by {uid}"),
        format!("operator: silenced 1 by {uid}"),
        format!("operator: unsilenced 1 by {uid}"),
        format!("operator: exported rules by {uid}"),
        format!("operator: command_run statement by {uid}"),
        format!("operator: command_run statement by {uid}"),
        format!("operator: query_refused  by {uid}"),
        format!("broker: subscription_refused listener by {uid}"),
        format!("broker: connection_ended  by {uid}"),
        "agent: configuration_in_force ".to_owned(),
        "agent: rule_loaded other".to_owned(),
        "agent: rule_changed other".to_owned(),
        "agent: rule_refused other".to_owned(),
        "agent: rule_removed other".to_owned(),
        "procmond: component_stopped procmond".to_owned(),
        "agent: component_stopped agent".to_owned(),
    ];
    let found: Vec<_> = entries.iter().map(line).collect();
    assert_eq!(found, expected, "{}", agent.log());
    assert_eq!(signed(&stage), entries.len() as u64);
    let notes = fs::read_to_string(&exported).unwrap();
    assert!(notes.matches("\n— ").count() > 1, "{notes}");
    let said = |action| payload(&entries.iter().find(|entry| entry.event.action == action).unwrap().event);
    let record = agent.stdout().into_iter().find(|record| record.contains("\"first\"")).unwrap();
    assert_eq!(said(Action::AlertRaised)["hash"], blake3::hash(record.as_bytes()).to_hex().as_str(), "{alert}");
    let binary = fs::read(program("daemoneye-agent")).unwrap();
    assert_eq!(said(Action::ComponentStarted)["blake3"], blake3::hash(&binary).to_hex().as_str());
    assert_eq!(said(Action::ConfigurationInForce)["settings"]["retention.days"], 7);
    assert_eq!(said(Action::Exported)["file"], file.to_str().unwrap());

    // Whoever listens is told the same, once.
    let recorded: BTreeMap<_, _> = entries.iter().map(|entry| (entry.event.id.clone(), &entry.event)).collect();
    let mut heard = BTreeMap::new();
    while let Ok(Some(message)) = tokio::time::timeout(Duration::from_millis(500), told.message()).await {
        if let Ok(event) = serde_json::from_slice::<Event>(&message.payload) {
            assert_eq!(recorded.get(&event.id), Some(&&event), "{event:?}");
            assert!(heard.insert(event.id.clone(), event).is_none(), "it is told once");
        }
    }
    assert!(heard.len() >= 15, "{}", heard.len());
}

#[test]
fn each_alert_is_on_record_once_however_often_the_agent_is_killed() {
    const KILLED: usize = 4;
    let stage = Stage::new();
    let mut alive = Vec::new();
    for round in 0..KILLED {
        let agent = Program::start(stage.agent());
        for number in 0..3 {
            alive.push(stage.suspect(&format!("s{round}-{number}")));
        }
        agent.alert("the last", |alert| alert["row"]["pid"] == alive.last().unwrap().pid());
        agent.kill();
        stage.no_collector_is_left();
    }
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    agent.stop();
    let entries = ledger(&stage);
    let raised = entries.iter().filter(|entry| entry.event.action == Action::AlertRaised);
    let mut raised: Vec<u64> = raised.map(|entry| entry.event.subject.parse().unwrap()).collect();
    raised.sort_unstable();
    let stored: Vec<_> = stage.stored().iter().map(|alert| alert.id).collect();
    assert!(stored.len() >= alive.len(), "{stored:?}");
    assert_eq!(raised, stored);
    let of_agent = |entry: &&Entry| entry.event.subject == "agent";
    let lives: Vec<_> =
        entries.iter().filter(of_agent).map(|entry| (entry.event.action, payload(&entry.event))).collect();
    let starts = lives.iter().filter(|(action, _)| *action == Action::ComponentStarted).count();
    let ends: Vec<_> = lives.iter().filter_map(|(_, payload)| payload["in_order"].as_bool()).collect();
    assert_eq!((starts, ends), (KILLED + 1, [vec![false; KILLED], vec![true]].concat()));
    assert_eq!(signed(&stage), entries.len() as u64);
}

#[test]
fn a_damaged_ledger_is_left_alone_and_detection_goes_on() {
    let stage = Stage::new();
    fs::create_dir(stage.data()).unwrap();
    let path = stage.data().join("ledger.redb");
    fs::write(&path, vec![7; 10_000]).unwrap();
    let agent = Program::start(stage.agent());
    agent.says("nothing is recorded in the ledger");
    suspected(&stage, &agent, "unrecorded");
    let (code, status, _) = cli(&stage, &["status"]);
    assert!(code == 3 && status.contains("ledger.redb") && status.contains("behind by"), "{code} {status}");
    agent.kill();
    assert_eq!(fs::read(&path).unwrap(), vec![7; 10_000], "it is evidence");
    fs::rename(&path, stage.path().join("moved")).unwrap();
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    agent.stop();
    let entries = ledger(&stage);
    let raised = entries.iter().filter(|entry| entry.event.action == Action::AlertRaised);
    assert_eq!(raised.count(), 1, "it has waited in the store");
    assert_eq!(line(&entries[0]), "agent: component_started agent");
}
