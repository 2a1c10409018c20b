//! Why: what bears on security is on record, once and in order, whatever happens to the agent and to the ledger's file;
//! and neither keeps the other from its work.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use daemoneye_broker::payload::{Ask, Statement, Wish};
use daemoneye_broker::{Client, Credential, Encryption, Identity, Interest, Outcome, Role};
use daemoneye_dsl::audit::{Action, Actor, Event, EventId, Fact};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::ledger::{Entry, Ledger, Order, ReadLedger, SignedCheckpoint, SigningKey};
use daemoneye_tests::{PATIENCE, Program, Stage, header, program};
use nix::sys::signal::Signal;
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

/// A rule is added, changed, spoilt and removed, one reload after the other.
fn rules_come_and_go(stage: &Stage, agent: &Program) {
    let head = header("0f2f7d5c-6f0e-4f7c-9d7e-2f1b5a6c7d8f", "never");
    let sql = head + "SELECT pid FROM processes WHERE name = 'never'";
    let changed = sql.clone() + " OR name = 'neither'";
    for (times, text) in [(1, Some(sql.as_str())), (2, Some(&changed)), (3, Some("SELECT")), (4, None)] {
        match text {
            Some(text) => drop(stage.rule("other", text)),
            None => fs::remove_file(stage.rules().join("other.sql")).unwrap(),
        }
        agent.signal(Signal::SIGHUP);
        agent.says_times("rules reloaded", times);
    }
}

/// What the ledger of that test holds; operators are of this user.
const ON_RECORD: [&str; 25] = [
    "agent: component_started agent",
    "agent: privileges_changed agent",
    "agent: configuration_in_force ",
    "agent: rule_loaded suspect",
    "procmond: component_started procmond",
    "procmond: privileges_changed procmond",
    "agent: alert_raised 1",
    "agent: alert_changed 1",
    "operator: alert_changed 1 by UID",
    "operator: query_refused  by UID",
    "operator: silenced 1 by UID",
    "operator: unsilenced 1 by UID",
    "operator: exported rules by UID",
    "operator: command_run statement by UID",
    "operator: command_run statement by UID",
    "operator: query_refused  by UID",
    "broker: subscription_refused listener by UID",
    "broker: connection_ended  by UID",
    "agent: configuration_in_force ",
    "agent: rule_loaded other",
    "agent: rule_changed other",
    "agent: rule_refused other",
    "agent: rule_removed other",
    "procmond: component_stopped procmond",
    "agent: component_stopped agent",
];

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
    let false_agent = Identity { name: "false".to_owned(), role: Role::Agent, key, encryption: Encryption::IfAsked };
    assert!(Client::connect(stage.socket(), &false_agent).await.is_err());

    fs::write(config.join("daemoneye.toml"), "[retention]\ndays = 8\n").unwrap();
    rules_come_and_go(&stage, &agent);
    agent.shows("all of it in the ledger", || {
        let removed = ledger(&stage).iter().any(|entry| entry.event.action == Action::RuleRemoved);
        removed.then_some(())
    });
    let (_, status, _) = cli(&stage, &["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&status).unwrap();
    let of_ledger = &status["ledger"];
    assert_eq!((&of_ledger["error"], &of_ledger["waiting"]), (&Value::Null, &0.into()), "{status}");
    let seq = || {
        let (_, shown, err) = cli(&stage, &["alerts", "show", "1", "-o", "ndjson"]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        shown["ledger"]["seq"].as_u64().unwrap_or_else(|| panic!("{shown} {err}"))
    };
    let shown = seq();
    agent.stop();
    assert_eq!(seq(), shown, "the file says what the agent said");

    let all = ledger(&stage);
    assert_eq!(line(&all[usize::try_from(shown).unwrap()]), "agent: alert_raised 1");
    let is_of_show =
        |entry: &&Entry| entry.event.payload.contains(" FROM audit ") || entry.event.payload.contains("WHERE id = ");
    let entries: Vec<_> = all.iter().filter(|entry| !is_of_show(entry)).collect();
    let uid = geteuid().to_string();
    let expected = ON_RECORD.map(|line| line.replace("UID", &uid));
    let (collector, found): (Vec<_>, Vec<_>) =
        entries.iter().copied().map(line).partition(|line| line.starts_with("collector: "));
    assert_eq!(found, expected, "{}", agent.log());
    // What it reported came while its program was still being read.
    let source = alert["snapshot"]["source"].as_str().unwrap();
    assert_eq!(collector, [format!("collector: component_started {source}")]);
    assert_eq!(signed(&stage), all.len() as u64);
    let notes = fs::read_to_string(&exported).unwrap();
    assert!(notes.matches("\n— ").count() > 1, "{notes}");
    let said = |action| payload(&entries.iter().find(|entry| entry.event.action == action).unwrap().event);
    let record = agent.stdout().into_iter().find(|record| record.contains("\"first\"")).unwrap();
    assert_eq!(said(Action::AlertRaised)["hash"], blake3::hash(record.as_bytes()).to_hex().as_str(), "{alert}");
    let binary = fs::read(program("daemoneye-agent")).unwrap();
    assert_eq!(said(Action::ComponentStarted)["blake3"], blake3::hash(&binary).to_hex().as_str());
    assert_eq!(said(Action::ConfigurationInForce)["settings"]["retention.days"], 7);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap().trim();
    assert_eq!(said(Action::PrivilegesChanged)["CapEff"], capabilities);
    assert_eq!(said(Action::Exported)["file"], file.to_str().unwrap());

    // Whoever listens is told the same, once.
    let recorded: BTreeMap<_, _> = all.iter().map(|entry| (entry.event.id.clone(), &entry.event)).collect();
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
fn what_a_collector_is_that_was_started_by_hand_is_on_record_and_settings_that_are_wrong() {
    let stage = Stage::new();
    let config = stage.path().join("daemoneye");
    fs::create_dir(&config).unwrap();
    let mut command = stage.agent();
    command.env("DAEMONEYE_COLLECTOR__MODE", "wait");
    let agent = Program::start(command);
    agent.says("agent started");
    let procmond = Program::start(stage.procmond());
    agent.says_times("snapshot committed", 3);
    fs::write(config.join("daemoneye.toml"), "[retention]\ndays = 0\n").unwrap();
    agent.signal(Signal::SIGHUP);
    agent.says("settings refused");
    procmond.stop();
    agent.stop();

    let entries = ledger(&stage);
    let of = |text: String| {
        let mut found = entries.iter().filter(|entry| line(entry) == text).map(|entry| &entry.event);
        let first =
            found.next().unwrap_or_else(|| panic!("{text}: {:?}", entries.iter().map(line).collect::<Vec<_>>()));
        assert!(found.next().is_none(), "{text} is there once");
        (first.actor.pid, payload(first))
    };
    let uid = geteuid();
    let (pid, started) = of(format!("collector: component_started procmond by {uid}"));
    let binary = blake3::hash(&fs::read(program("procmond")).unwrap()).to_hex();
    assert_eq!(started["blake3"], binary.as_str());
    assert_eq!(pid, u32::try_from(procmond.pid().as_raw()).ok());
    let (_, privileges) = of(format!("collector: privileges_changed procmond by {uid}"));
    assert!(privileges["CapEff"].is_string());
    let reports = entries.iter().find(|entry| payload(&entry.event)["first_snapshot"].is_u64()).unwrap();
    assert_eq!(payload(&reports.event)["version"], env!("CARGO_PKG_VERSION"));
    let (_, refused) = of("agent: configuration_refused ".to_owned());
    let problem = refused["problems"][0].as_str().unwrap();
    assert!(problem.contains("daemoneye.toml:2:8: DE904"), "{problem}");
}

#[test]
fn each_alert_is_on_record_once_however_often_the_agent_is_killed() {
    const KILLED: usize = 4;
    let stage = Stage::new();
    let mut alive = Vec::new();
    for round in 0..KILLED {
        // Every other agent finds the ledger taken, and leaves all that it has to say in the store.
        let path = stage.data().join("ledger.redb");
        let taken = (round % 2 == 1).then(|| Ledger::open(path).unwrap());
        let agent = Program::start(stage.agent());
        if taken.is_some() {
            agent.says("is in use by another writer");
        }
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

#[test]
fn damage_of_the_store_is_on_record_once() {
    let stage = Stage::new();
    for damaged in [false, true] {
        if damaged {
            stage.damage_a_block();
        }
        let agent = Program::start(stage.agent());
        agent.says_times("snapshot committed", 2);
        done(&stage, &["query", "SELECT count(*) AS n FROM rules"]);
        agent.stop();
    }
    let found = ledger(&stage).into_iter().filter(|entry| entry.event.action == Action::DamageFound);
    let found: Vec<_> = found.map(|entry| entry.event.subject).collect();
    assert!(matches!(found.as_slice(), [part] if part.contains("processes_history")), "{found:?}");
}

/// Something that has happened often enough to fill a disk.
fn many() -> Vec<Event> {
    let actor = Actor::component("test");
    let event = |number| {
        let fact = Fact::new(Timestamp(0), actor.clone(), Action::CommandRun, "", &Value::String("x".repeat(500)));
        fact.numbered(EventId { origin: "test".to_owned(), number })
    };
    (1..=10_000).map(event).collect()
}

#[test]
fn where_the_ledger_has_no_room_the_rest_goes_on_and_nothing_is_lost() {
    let stage = Stage::new();
    fs::create_dir(stage.data()).unwrap();
    let path = stage.data().join("ledger.redb");
    Ledger::open(&path).unwrap().append(&many(), Timestamp(0)).unwrap();
    let len = fs::metadata(&path).unwrap().len();
    let agent = Program::start(stage.agent_on_a_small_disk());
    agent.says_times("snapshot committed", 3);
    // There is room for the event store, which is smaller.
    agent.limit_files(&(len / 2).to_string());
    let alert = suspected(&stage, &agent, "unrecorded");
    agent.says("nothing is recorded in the ledger");
    let (code, status, _) = cli(&stage, &["status"]);
    assert!(code == 3 && status.contains("full") && status.contains("behind by"), "{code} {status}");
    assert_eq!(agent.said("snapshot not stored yet"), 0);
    agent.limit_files("unlimited");
    agent.says("the ledger can be written again");
    agent.stop();
    let entries = ledger(&stage);
    let raised: Vec<_> = entries.iter().filter(|entry| entry.event.action == Action::AlertRaised).collect();
    assert_eq!((raised.len(), raised[0].event.subject.clone()), (1, alert["id"].to_string()));
    assert_eq!(entries.iter().filter(|entry| entry.event.action == Action::EntriesShed).count(), 0);
    assert_eq!(line(entries.last().unwrap()), "agent: component_stopped agent");
}

#[test]
fn an_older_copy_of_the_store_and_a_ledger_that_is_gone_are_on_record() {
    let stage = Stage::new();
    let live = |name: &str| {
        let agent = Program::start(stage.agent());
        agent.says_times("snapshot committed", 2);
        suspected(&stage, &agent, name);
        agent.stop();
    };
    let (store, kept) = (stage.data().join("events.redb"), stage.path().join("kept"));
    live("one");
    fs::copy(&store, &kept).unwrap();
    live("two");
    fs::copy(&kept, &store).unwrap();
    live("three");
    let raised = |entries: &[Entry]| {
        let raised = entries.iter().filter(|entry| entry.event.action == Action::AlertRaised);
        raised.map(|entry| entry.event.subject.clone()).collect::<Vec<_>>()
    };
    let damage = |entries: &[Entry]| {
        let damage = entries.iter().filter(|entry| entry.event.action == Action::DamageFound);
        damage.map(|entry| entry.event.subject.clone()).collect::<Vec<_>>()
    };
    let entries = ledger(&stage);
    assert_eq!(raised(&entries), ["1", "2", "2"], "what the older copy gave again is another");
    assert_eq!(damage(&entries), ["event store"]);
    for name in ["ledger.redb", "ledger.key"] {
        fs::remove_file(stage.data().join(name)).unwrap();
    }
    live("four");
    let entries = ledger(&stage);
    assert_eq!((raised(&entries), damage(&entries)), (vec!["3".to_owned()], vec!["ledger".to_owned()]));
}

#[test]
fn a_key_is_rotated_while_the_agent_runs_and_whoever_has_the_old_one_follows() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    let public = stage.data().join("ledger.pub");
    let old = fs::read_to_string(&public).unwrap();
    let (code, _, err) = cli(&stage, &["audit", "rotate"]);
    assert!(code == 2 && err.contains("add --yes"), "{code} {err}");
    assert_eq!(fs::read_to_string(&public).unwrap(), old, "nobody agreed");

    let said: Value = serde_json::from_str(&done(&stage, &["audit", "rotate", "--yes", "-o", "json"])).unwrap();
    let first = said["key"].as_str().unwrap();
    assert_eq!(fs::read_to_string(&public).unwrap().trim_end(), first);
    let handed_over = said["checkpoint"]["note"].as_str().unwrap();
    let shown = done(&stage, &["audit", "rotate", "--yes"]);
    let (second, note) = shown.split_once("\n\n").unwrap();
    assert!(second != first && note.matches("\n— ").count() == 2, "{shown}");
    suspected(&stage, &agent, "after");
    agent.stop();

    let entries = ledger(&stage);
    let told: Vec<_> = entries.iter().map(line).filter(|line| line.contains("rotate")).collect();
    let by = format!("operator: command_run rotate by {}", geteuid());
    let rotated = |key| format!("agent: key_rotated {key}");
    assert_eq!(told, [by.clone(), rotated(first), by, rotated(second)]);
    assert_eq!(signed(&stage), entries.len() as u64);
    let kept = stage.path().join("handed-over");
    fs::write(&kept, handed_over).unwrap();
    let kept = kept.to_str().unwrap();
    for key in [old.trim_end(), first, second] {
        let judged = done(&stage, &["audit", "verify", "--key", key, "--checkpoint", kept, "-o", "json"]);
        let judged: Value = serde_json::from_str(&judged).unwrap();
        assert_eq!(judged["keys"].as_array().unwrap().len(), 3, "{judged}");
    }
    let (code, _, err) = cli(&stage, &["audit", "rotate", "--yes"]);
    assert!(code == 4 && err.contains("no agent runs"), "{code} {err}");
}

#[test]
fn whoever_wants_a_checkpoint_gets_one_over_all_that_there_is() {
    let stage = Stage::new();
    let exported = stage.path().join("checkpoints");
    let mut command = stage.agent();
    command.env("DAEMONEYE_LEDGER__EXPORT", &exported);
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    assert_eq!(signed(&stage), 0, "none is due for ten minutes");
    let anchored = |arguments: &[&str]| {
        let (code, out, err) = cli(&stage, &[&["audit", "checkpoint"], arguments].concat());
        (code, SignedCheckpoint::parse(&out).unwrap_or_else(|why| panic!("{why}: {out}{err}")), err)
    };
    let (code, first, err) = anchored(&[]);
    let size = first.checkpoint().size;
    assert!(code == 0 && err.contains(&format!("over all {size} entries")), "{code} {err}");
    assert_eq!(signed(&stage), size, "it is the ledger's own");
    let entries = ledger(&stage);
    let told: Vec<_> = entries.iter().map(line).collect();
    assert_eq!(told[usize::try_from(size).unwrap() - 1], format!("operator: command_run checkpoint by {}", geteuid()));
    assert_eq!(anchored(&[]).1, first, "nothing came since");

    suspected(&stage, &agent, "after");
    let (_, second, _) = anchored(&[]);
    assert!(second.checkpoint().size > size);
    assert_eq!(anchored(&["--size", &size.to_string()]).1, first);
    agent.shows("both in the export", || {
        let notes = fs::read_to_string(&exported).ok()?;
        (notes == format!("{}\n{}\n", first.note(), second.note())).then_some(())
    });

    // A copy is not the ledger that the agent writes.
    agent.stop();
    let copy = stage.path().join("copy");
    fs::create_dir(&copy).unwrap();
    for name in ["events.redb", "ledger.redb"] {
        fs::copy(stage.data().join(name), copy.join(name)).unwrap();
    }
    let last = done(&stage, &["audit", "checkpoint"]);
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    let mut command = Command::new(program("daemoneye-cli"));
    command.args(["audit", "checkpoint", "--data"]).arg(&copy).env("XDG_CONFIG_HOME", stage.path());
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((output.status.code(), out), (Some(3), last), "{err}");
    assert!(err.contains("another ledger"), "{err}");

    agent.stop();
    let (code, _, err) = anchored(&[]);
    assert!(code == 0 && err.contains("no agent runs: the last checkpoint, over "), "{code} {err}");
}

#[test]
fn checkpoints_go_to_a_server_and_whether_they_do_is_known_and_on_record() {
    let stage = Stage::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = free.local_addr().unwrap();
    drop(free);
    let mut command = stage.agent();
    command.env("DAEMONEYE_LEDGER__WEBHOOK", format!("http://{at}/")).env("NO_PROXY", "127.0.0.1");
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let note = done(&stage, &["audit", "checkpoint"]);
    agent.says(&format!("cannot export checkpoints to http://{at}/"));
    agent.shows("that in its status", || {
        let (code, status, _) = cli(&stage, &["status"]);
        (code == 3 && status.contains("cannot export checkpoints")).then_some(())
    });
    agent.shows("that on record", || {
        ledger(&stage).iter().any(|entry| line(entry) == "agent: export_failed checkpoint").then_some(())
    });
    suspected(&stage, &agent, "meanwhile");

    let listener = TcpListener::bind(at).unwrap();
    let (stream, _) = listener.accept().unwrap();
    let mut request = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        request.read_line(&mut head).unwrap();
    }
    let mut body = vec![0; note.len()];
    request.read_exact(&mut body).unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), note);
    request.into_inner().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    agent.says("checkpoints are exported again");
    agent.shows("that it is well again", || (cli(&stage, &["status"]).0 == 0).then_some(()));
    drop(listener);
    agent.stop();
    let failed = ledger(&stage).into_iter().filter(|entry| entry.event.action == Action::ExportFailed);
    assert_eq!(failed.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_witnesses_signed_stays_with_the_checkpoint_and_goes_where_that_went() {
    let stage = Stage::new();
    let mut command = stage.agent();
    let exported = stage.path().join("checkpoints");
    command.env("DAEMONEYE_LEDGER__EXPORT", &exported);
    let agent = Program::start(command);
    agent.says_times("snapshot committed", 2);
    let listener = stage.client("listener", Role::Operator).await;
    let mut told = listener.subscribe(&Interest::new("audit.agent.checkpoint")).await.unwrap();
    let seen = done(&stage, &["audit", "checkpoint"]);
    suspected(&stage, &agent, "later");
    let newest = done(&stage, &["audit", "checkpoint"]);
    let note = SignedCheckpoint::parse(&seen).unwrap();
    let size = note.checkpoint().size.to_string();
    let (witness, stranger) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
    let line = |key: &SigningKey, name| format!("{}\n", key.cosign(name, note.note(), 7));
    let (by_witness, by_stranger) = (line(&witness, "w.example"), line(&stranger, "s.example"));
    let file = |name: &str, text: &str| {
        let path = stage.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let key = file("witness.pub", &format!("{}\n", witness.witness("w.example")));
    let cosigned = file("cosigned", &format!("{seen}{by_stranger}{by_witness}"));
    let cosign = |file: &str, key: &str| cli(&stage, &["audit", "cosign", file, "--witness", key, "-o", "json"]);
    for new in [1, 0] {
        let (code, out, err) = cosign(&cosigned, &key);
        assert_eq!(code, 0, "{err}");
        assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["new"], new);
    }
    let (code, _, err) = cosign(&cosigned, &SigningKey::generate().unwrap().witness("w.example").to_string());
    assert!(code == 2 && err.contains("no cosignature in"), "{code} {err}");
    let forged = seen.replacen(&format!("\n{size}\n"), &format!("\n{size}0\n"), 1);
    let (code, _, err) = cosign(&file("forged", &forged), &key);
    assert!(code == 2 && err.contains("nothing was kept: the ledger did not sign that"), "{code} {err}");
    // After the cosigned one the newest again: what came last is taken for that.
    let expected = [seen.clone(), newest.clone(), format!("{seen}{by_witness}"), newest];
    for note in &expected {
        let message = tokio::time::timeout(PATIENCE, told.message()).await.unwrap().unwrap();
        assert_eq!(str::from_utf8(&message.payload).unwrap(), note);
    }
    agent.shows("all of them in the export", || {
        let notes = fs::read_to_string(&exported).ok()?;
        (notes == expected.each_ref().map(|note| format!("{note}\n")).concat()).then_some(())
    });
    agent.stop();

    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    let kept = done(&stage, &["audit", "checkpoint", "--size", &size]);
    assert_eq!(kept, format!("{seen}{by_witness}"), "the stranger's is not kept");
    let kept = file("kept", &kept);
    agent.stop();
    done(&stage, &["audit", "verify", "--checkpoint", &kept, "--witness", &key]);
    let said: Vec<_> = ledger(&stage).into_iter().filter(|entry| entry.event.subject == "cosign").collect();
    assert!(matches!(said.as_slice(), [one] if payload(&one.event)["new"] == 1 && one.event.actor.uid.is_some()));
}
