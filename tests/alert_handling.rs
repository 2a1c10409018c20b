//! Why: what operators say about alerts counts, with the real programs: it is kept across restarts, nobody else's alert
//! is lost by it, and who may talk to the agent needs no right to read its store.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use daemoneye_broker::message::{Code, Fault, Message};
use daemoneye_broker::{Broker, Delivery, Gate, Interest, Key, Limits, Settings, Subscription, topic, tree};
use daemoneye_tests::{PATIENCE, Program, Stage, header, program};
use nix::unistd::{Gid, Group, geteuid};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;

const NAMED_ID: &str = "5b6c7d8e-1f2a-4b3c-8d4e-5f6a7b8c9d0e";
/// A user that owns nothing here, and its group.
const NOBODY: u32 = 65534;

/// A stage whose rule counts processes of one name together.
fn stage() -> Stage {
    let stage = Stage::without_rules();
    let sql = format!("SELECT proc_id, pid, name FROM processes WHERE command_line GLOB '{}/*'", stage.bin().display());
    stage.rule("named", &(header(NAMED_ID, "{name} runs") + "-- @dedup: name for 1h\n" + &sql));
    stage
}

fn cli(stage: &Stage, arguments: &[&str]) -> (i32, String, String) {
    output(command(stage, &program("daemoneye-cli"), arguments))
}

fn command(stage: &Stage, program: &PathBuf, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).arg("--data").arg(stage.data());
    command.env("LANG", "C.UTF-8").env("TERM", "xterm").env("COLUMNS", "200").env_remove("LC_ALL");
    command.env("XDG_CONFIG_HOME", stage.path());
    command
}

fn output(mut command: Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn done(stage: &Stage, arguments: &[&str]) -> String {
    let (code, out, err) = cli(stage, arguments);
    assert_eq!(code, 0, "{arguments:?}: {out}{err}");
    err
}

fn refused(stage: &Stage, arguments: &[&str], why: &str) {
    let (code, out, err) = cli(stage, arguments);
    assert!(code == 2 && out.is_empty() && err.contains(why), "{arguments:?}: {code} {out}{err}");
}

fn listed(stage: &Stage, arguments: &[&str]) -> Vec<Value> {
    let (code, out, err) = cli(stage, &[&["alerts", "list", "-o", "ndjson"], arguments].concat());
    assert_eq!(code, 0, "{err}");
    assert!(err.contains(" · agent · "), "the agent was asked: {err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Starts a process of that name and waits until the rule has found it, then ends it and waits until that is seen.
fn comes_and_goes(stage: &Stage, agent: &Program, name: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    agent.says("snapshot committed");
    let suspect = stage.suspect(name);
    let found = agent.shows(what, || stored(stage, name).into_iter().find(|alert| is(alert)));
    suspect.end();
    let id = &found["id"];
    agent.shows("that it went", || {
        stored(stage, name).into_iter().find(|alert| alert["id"] == *id && alert["status"] == "resolved")
    })
}

fn stored(stage: &Stage, name: &str) -> Vec<Value> {
    let alerts = stage.stored().into_iter().filter(|alert| alert.row["name"] == name);
    alerts.map(|alert| serde_json::to_value(alert).unwrap()).collect()
}

fn delivered(agent: &Program, id: &Value) -> bool {
    agent.alerts().iter().any(|alert| alert["id"] == *id)
}

#[test]
fn what_becomes_of_alerts_is_kept_and_a_closed_one_is_raised_anew() {
    let stage = stage();
    let agent = Program::start(stage.agent());
    let first = comes_and_goes(&stage, &agent, "one", "an alert", |_| true);
    assert_eq!((&first["id"], &first["handling"], &first["handled"]), (&json!(1), &json!("new"), &json!([])));
    let again = comes_and_goes(&stage, &agent, "one", "that it is counted up", |alert| alert["dedup"]["count"] == 2);
    assert_eq!(again["id"], 1);
    let watch = Program::start(command(&stage, &program("daemoneye-cli"), &["alerts", "watch", "-o", "ndjson"]));
    std::thread::sleep(Duration::from_millis(500));

    assert!(
        done(&stage, &["alerts", "ack", "1", "--note", "asked \u{1b}[2J them"]).contains("1 alert acknowledged: 1")
    );
    let noted = watch.alert("that it is acknowledged", |alert| alert["handling"] == "acknowledged");
    let handled = &noted["handled"][0];
    assert_eq!((&handled["handling"], &handled["note"]), (&json!("acknowledged"), &json!("asked \u{1b}[2J them")));
    assert_eq!(handled["uid"], geteuid().as_raw(), "as the system says");
    refused(&stage, &["alerts", "ack", "1"], "nothing was changed: alert 1 is acknowledged already");
    refused(&stage, &["alerts", "reopen", "1"], "alert 1 is not closed");
    refused(&stage, &["alerts", "close", "1", "99"], "there is no alert 99");
    refused(&stage, &["alerts", "close", "1", "--note", &"x".repeat(1025)], "the note has 1025 bytes");
    let counted = comes_and_goes(&stage, &agent, "one", "that it counts on", |alert| alert["dedup"]["count"] == 3);
    assert_eq!((&counted["id"], &counted["handling"]), (&json!(1), &json!("acknowledged")), "all or nothing");
    done(&stage, &["alerts", "close", "1"]);
    refused(&stage, &["alerts", "ack", "1"], "alert 1 is closed; reopen it first");
    watch.alert("that it is closed", |alert| alert["handling"] == "closed");

    agent.kill();
    let (code, _, err) = cli(&stage, &["alerts", "reopen", "1"]);
    assert!(code == 4 && err.contains("nothing was changed: no agent runs: nobody listens at "), "{code} {err}");
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    assert_eq!(listed(&stage, &["--handling", "closed"])[0]["handled"].as_array().unwrap().len(), 2);
    assert_eq!(listed(&stage, &["--handling", "new"]).len(), 0);
    let anew = comes_and_goes(&stage, &agent, "one", "a new alert", |alert| alert["id"] != 1);
    assert_eq!((&anew["id"], &anew["handling"], &anew["dedup"]["count"]), (&json!(2), &json!("new"), &json!(1)));
    agent.shows("that it is delivered", || delivered(&agent, &anew["id"]).then_some(()));
    done(&stage, &["alerts", "close", "2"]);
    done(&stage, &["alerts", "reopen", "2", "1"]);
    let counted = comes_and_goes(&stage, &agent, "one", "that it counts up", |alert| alert["dedup"]["count"] == 2);
    assert_eq!(counted["id"], 2, "the last of its key goes on, open again");

    let (_, out, err) = cli(&stage, &["alerts", "show", "1", "-o", "table"]);
    assert!(out.contains("acknowledged") && out.contains("by uid ") && out.contains("closed"), "{out}{err}");
    assert!(out.contains("asked ⟦\\e⟧[2J them") && !out.contains('\u{1b}') && err.contains("agent"), "{out}{err}");
    let (_, out, _) = cli(&stage, &["query", "SELECT id, handled_by, note FROM alerts WHERE id = 1"]);
    let row: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&row["handled_by"], &row["note"]), (&json!(geteuid().as_raw()), &Value::Null));
    agent.stop();
    let (code, out, err) = cli(&stage, &["alerts", "list", "--handling", "new"]);
    assert!(code == 0 && out.lines().count() == 2 && err.contains(" · store "), "{out}{err}");
}

#[test]
fn what_is_silenced_is_stored_and_not_delivered_until_the_silence_ends() {
    let stage = stage();
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    refused(&stage, &["alerts", "silence", "other", "--for", "1h"], "nothing was silenced: no rule `other` is loaded");
    refused(
        &stage,
        &["alerts", "silence", "named", "--key", "{\"pid\": 7}", "--for", "1h"],
        "a value for each of: name",
    );
    refused(&stage, &["alerts", "silence", "named", "--key", "7", "--for", "1h"], "the key is no JSON object");
    refused(&stage, &["alerts", "silence", "named", "--for", "500d"], "a silence lasts a year at most");
    refused(&stage, &["alerts", "silence", "--alert", "7", "--for", "1h"], "there is no alert 7");
    refused(&stage, &["alerts", "unsilence", "7"], "there is no silence 7");
    let made =
        done(&stage, &["alerts", "silence", "named", "--key", "{\"name\":\"quiet\"}", "--for", "1h", "--note", "n"]);
    assert!(made.contains("silence 1 of rule named, key {\"name\":\"quiet\"}, until "), "{made}");

    let quiet = comes_and_goes(&stage, &agent, "quiet", "a silenced alert", |_| true);
    assert_eq!((&quiet["silenced"], &quiet["status"]), (&json!(1), &json!("resolved")));
    let loud = comes_and_goes(&stage, &agent, "loud", "another", |_| true);
    assert_eq!(loud["silenced"], Value::Null);
    agent.shows("that it is delivered", || delivered(&agent, &loud["id"]).then_some(()));
    assert!(!delivered(&agent, &quiet["id"]), "the silenced one came first and is not there\n{}", agent.log());

    agent.kill();
    let agent = Program::start(stage.agent());
    agent.says_times("snapshot committed", 2);
    let (code, out, err) = cli(&stage, &["alerts", "silences", "-o", "ndjson"]);
    let silence: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {out}{err}"));
    assert_eq!((&silence["number"], &silence["rule"], &silence["note"]), (&json!(1), &json!("named"), &json!("n")));
    assert_eq!(silence["made_by"], geteuid().as_raw());
    let counted = comes_and_goes(&stage, &agent, "quiet", "that it is counted up", |it| it["dedup"]["count"] == 2);
    assert_eq!(counted["id"], quiet["id"]);

    // Whoever was not told of it is told of the next match, in the rule's window or not.
    done(&stage, &["alerts", "unsilence", "1"]);
    let told = comes_and_goes(&stage, &agent, "quiet", "a new alert", |it| it["id"] != quiet["id"]);
    assert_eq!(told["silenced"], Value::Null);
    agent.shows("that it is delivered", || delivered(&agent, &told["id"]).then_some(()));

    // One by the alert's key ends by itself.
    done(&stage, &["alerts", "close", &told["id"].to_string()]);
    done(&stage, &["alerts", "silence", "--alert", &told["id"].to_string(), "--for", "6s"]);
    let began = Instant::now();
    let quiet = comes_and_goes(&stage, &agent, "quiet", "a silenced one", |it| it["silenced"] == 2);
    assert!(began.elapsed() < Duration::from_secs(6) || !delivered(&agent, &quiet["id"]));
    agent.says("a silence has ended");
    assert!(cli(&stage, &["alerts", "silences"]).1.is_empty());
    assert_eq!(stage.query("SELECT number FROM silences").len(), 0, "and is gone");
    let told = comes_and_goes(&stage, &agent, "quiet", "a new alert", |it| {
        it["id"].as_u64() > quiet["id"].as_u64() && it["silenced"].is_null()
    });
    agent.shows("that it is delivered", || delivered(&agent, &told["id"]).then_some(()));
    agent.stop();
}

#[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
fn skipped(why: &str) {
    eprintln!("skipped: {why}");
}

/// The command line as another user with one group; nothing where the system does not let the test.
fn as_nobody(stage: &Stage, group: &Group, arguments: &[&str]) -> Option<(i32, String, String)> {
    let own = command(stage, &program("daemoneye-cli"), arguments);
    let (user, group) = (NOBODY.to_string(), group.gid.to_string());
    let mut command = Command::new("setpriv");
    command.args(["--reuid", &user, "--regid", &group, "--clear-groups"]);
    command.arg(own.get_program()).args(own.get_args());
    command.env_remove("LC_ALL").envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let Output { status, stdout, stderr } = command.output().ok()?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((status.code()?, text(stdout), text(stderr)))
}

#[test]
fn a_member_of_the_group_asks_the_agent_and_cannot_read_its_store() {
    let stage = stage();
    stage.open_to_all();
    let group = Group::from_gid(Gid::from_raw(NOBODY)).ok().flatten();
    let (true, Some(group)) = (geteuid().is_root(), group) else {
        return skipped("only root can be another user, in a group of theirs");
    };
    if as_nobody(&stage, &group, &["config", "path"])
        .is_none_or(|(code, _, err)| code == 126 || err.contains("setpriv"))
    {
        return skipped("another user cannot run the programs here");
    }
    let mut command = stage.agent();
    command.env("DAEMONEYE_GROUP", &group.name);
    let agent = Program::start(command);
    let found = comes_and_goes(&stage, &agent, "grouped", "an alert", |_| true);
    let asked = |arguments: &[&str]| as_nobody(&stage, &group, arguments).unwrap();
    let (code, _, err) = asked(&["data", "stats"]);
    assert!(code == 2 && err.contains("permission denied"), "the store is not theirs to read: {code} {err}");
    let (code, out, err) = asked(&["alerts", "list", "-o", "ndjson"]);
    assert!(code == 0 && err.contains(" · agent · "), "{code} {err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), found, "the whole record, as it is stored");
    let (code, out, err) = asked(&["alerts", "show", "1", "-o", "ndjson"]);
    let mut shown: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code} {out}{err}"));
    let entry = shown.as_object_mut().unwrap().remove("ledger").unwrap();
    assert!(entry["seq"].is_u64(), "the agent reads the ledger for who cannot: {entry} {err}");
    assert_eq!((code, shown), (0, found), "{err}");
    let (code, out, err) = asked(&["query", "SELECT count(*) AS n FROM process_starts WHERE name = 'grouped'"]);
    assert_eq!((code, out.as_str()), (0, "{\"n\":1}\n"), "{err}");
    let (code, _, err) = asked(&["alerts", "ack", "1"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(stored(&stage, "grouped")[0]["handled"][0]["uid"], NOBODY);
    let (code, out, err) = asked(&["status", "-o", "json"]);
    let status: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}"));
    assert_eq!((code, &status["ok"], &status["store"]["told_by"]), (0, &json!(true), &json!("agent")), "{status}");
    assert_eq!(status["agent"]["health"]["pid"], agent.pid().as_raw());
    assert_eq!(status["collectors_health"]["procmond"]["pid"], status["collectors"][0]["pid"]);
    let (_, out, _) = asked(&["status"]);
    assert!(out.contains("cannot be read from here: this is the agent's answer"), "{out}");
    let (code, out, err) = asked(&["config", "show", "--agent", "--origin", "-o", "ndjson"]);
    assert_eq!(code, 0, "{err}");
    let settings: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |name: &str| settings.iter().find(|it| it["setting"] == name).unwrap();
    assert_eq!(
        (&of("group")["value"], &of("collector.interval")["origin"]),
        (&json!(group.name), &json!("flag --interval"))
    );
    agent.stop();
    let (code, _, err) = asked(&["alerts", "list"]);
    assert!(code == 2 && err.contains("permission denied"), "{code} {err}");
    assert_eq!(asked(&["config", "show", "--agent"]).0, 4);
}

#[test]
fn an_agent_of_another_protocol_is_told_apart_in_one_sentence() {
    let stage = stage();
    fs::create_dir(stage.data()).unwrap();
    fs::write(stage.data().join("agent.key"), "7".repeat(64)).unwrap();
    let listener = UnixListener::bind(stage.socket()).unwrap();
    let spoken = "protocol 1 to 1 offered, this broker speaks 2 to 3";
    let answering = std::thread::spawn(move || {
        for _ in 0..4 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut hello = [0; 64];
            assert!(stream.read(&mut hello).unwrap() > 0);
            let mut told = bytes::BytesMut::new();
            Message::from(Fault::new(Code::Version, spoken)).encode(&mut told);
            stream.write_all(&told).unwrap();
        }
    });
    let remedy = "install both from the same release, and restart the agent";
    for arguments in [&["alerts", "ack", "1"][..], &["config", "show", "--agent"]] {
        let (code, _, err) = cli(&stage, arguments);
        let err = err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(code == 4 && err.contains(spoken) && err.contains(remedy), "{code} {err}");
    }
    let (code, out, _) = cli(&stage, &["status"]);
    assert!(code == 4 && out.contains(spoken), "{code} {out}");
    let (code, _, err) = cli(&stage, &["query", "SELECT count(*) FROM processes"]);
    assert!(code == 0 && err.contains(spoken) && err.contains("live snapshot"), "who can answer does: {code} {err}");
    answering.join().unwrap();
}

/// An agent of ours that was told by `alerts ack` to do something, and what comes of that.
async fn told_to_acknowledge(stage: &Stage) -> (Broker, Subscription, Delivery, JoinHandle<(i32, String, String)>) {
    fs::create_dir_all(stage.data()).unwrap();
    let gate = Gate::new(Key::load_or_create(&stage.socket().with_file_name("agent.key")).unwrap(), None);
    let settings = Settings { gate, tree: tree::PRODUCT, limits: Limits::default(), group: None };
    let broker = Broker::bind(stage.socket(), settings).unwrap();
    let agent = broker.client("agent").unwrap();
    let mut asked = agent.subscribe(&Interest::new(topic::control("agent")).answering()).await.unwrap();
    let telling = command(stage, &program("daemoneye-cli"), &["alerts", "ack", "1"]);
    let telling = tokio::task::spawn_blocking(move || output(telling));
    let order = timeout(PATIENCE, asked.message()).await.expect("it is told").unwrap();
    (broker, asked, order, telling)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_does_not_learn_what_became_of_an_order_learns_that() {
    enum Ends {
        Broker,
        Subscription,
        Order,
    }
    for ends in [Ends::Broker, Ends::Subscription, Ends::Order] {
        let stage = stage();
        let (broker, asked, order, telling) = told_to_acknowledge(&stage).await;
        let (mut broker, mut asked, mut order) = (Some(broker), Some(asked), Some(order));
        match ends {
            Ends::Broker => drop(broker.take()),
            Ends::Subscription => drop(asked.take()),
            Ends::Order => drop(order.take()),
        }
        let (code, out, err) = telling.await.unwrap();
        let said = "went away before it answered, and may still have done it; `daemoneye-cli alerts list` shows whether it did";
        assert!(code == 5 && out.is_empty() && err.contains(said), "{code} {out}{err}");
        assert!(!err.contains("nothing was changed"), "{err}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_order_is_waited_for_half_a_minute_and_then_given_up() {
    let stage = stage();
    let (_broker, _asked, order, telling) = told_to_acknowledge(&stage).await;
    let given_up = timeout(Duration::from_mins(1), order.cancelled());
    let (told, given_up) = tokio::join!(telling, given_up);
    given_up.expect("the agent learns that nobody waits");
    let (code, out, err) = told.unwrap();
    let said =
        "did not answer within 30 s, and may still have done it; `daemoneye-cli alerts list` shows whether it did";
    assert!(code == 5 && out.is_empty() && err.contains(said), "{code} {out}{err}");
}
