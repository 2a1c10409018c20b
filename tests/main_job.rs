//! Why: the one path that everything else serves. A process that a rule describes starts, and an alert with the right
//! evidence comes out of the real programs, on standard output, on the broker and in the store; once per match.

#![cfg(target_os = "linux")]

use std::time::Duration;

use daemoneye_broker::{Interest, Role, topic};
use daemoneye_dsl::alert::AlertStatus;
use daemoneye_tests::{PATIENCE, Program, SUSPECT_RULE, Stage, Suspect, header};
use nix::sys::signal::{Signal, kill};
use serde_json::{Value, json};

fn is_about(pid: u32) -> impl Fn(&Value) -> bool {
    move |alert| alert["row"]["pid"] == pid
}

/// Waits for snapshots that began after this call.
fn two_more_snapshots(agent: &Program) {
    agent.says_times("snapshot committed", agent.said("snapshot committed") + 2);
}

#[test]
fn a_match_is_an_alert_with_its_evidence() {
    let stage = Stage::new();
    let before = stage.suspect("early");
    let agent = Program::start(stage.agent());
    let initial = agent.alert("the process that ran before", is_about(before.pid()));
    assert_eq!(initial["initial"], true);
    assert_eq!(initial["completeness"]["reasons"], json!([]), "the first snapshot ever lacks nothing");

    let suspect = stage.suspect("late\u{1b}[2J");
    let alert = agent.alert("the process that started", is_about(suspect.pid()));
    assert_eq!(alert["schema"], 1);
    assert_eq!(alert["initial"], false);
    assert_eq!(alert["level"], "high");
    assert_eq!(alert["status"], "open");
    assert_eq!(alert["title"], format!("late\u{1b}[2J runs as pid {}", suspect.pid()), "records hold exact text");
    assert_eq!(alert["tags"], json!(["attack.execution", "attack.t1204.002"]));
    assert_eq!(alert["rule"]["id"], SUSPECT_RULE);
    assert_eq!(alert["rule"]["name"], "suspect");
    let revision = alert["rule"]["rev"].as_str().unwrap();
    assert!(revision.len() == 12 && revision.bytes().all(|digit| digit.is_ascii_hexdigit()), "{revision}");

    let program = stage.bin().join("late\u{1b}[2J").display().to_string();
    let row = alert["row"].as_object().unwrap();
    assert_eq!(row.keys().collect::<Vec<_>>(), ["proc_id", "pid", "name", "command_line", "user_name"]);
    assert_eq!(row["command_line"], format!("{program} 600"));
    let process = alert["process"].as_object().unwrap();
    assert_eq!(process["proc_id"], row["proc_id"]);
    assert_eq!(process["executable_path"], program);
    assert_eq!(process["argv"], json!([program, "600"]).to_string());
    assert_eq!(process["ppid"], std::process::id());
    assert!(process["memory_usage"].as_i64().unwrap() > 0, "samples come from the present");
    assert!(!process.contains_key("environment_vars"), "environments hold secrets");
    let ancestors = alert["ancestors"].as_array().unwrap();
    assert_eq!(ancestors[0]["pid"], std::process::id(), "the nearest ancestor is the one that started it");
    assert_eq!(ancestors[0]["proc_id"], process["parent_id"]);
    assert_eq!(alert["completeness"]["complete"], true);
    assert_eq!(alert["sources"].as_array().unwrap().len(), 1 + ancestors.len(), "where each process is stored");
    assert_eq!(alert["dedup"]["key"], json!({"proc_id": row["proc_id"]}));
    assert_eq!(alert["dedup"]["count"], 1);
    assert_eq!(alert["dedup"]["first_seen"], alert["time"]);

    two_more_snapshots(&agent);
    assert_eq!(agent.alerts().len(), 2, "what goes on to match is no second alert\n{}", agent.log());
    suspect.end();
    two_more_snapshots(&agent);
    agent.stop();

    let stored = stage.stored();
    let printed: Vec<_> = agent.alerts().iter().map(|alert| alert["id"].as_u64().unwrap()).collect();
    assert_eq!(stored.iter().map(|alert| alert.id).collect::<Vec<_>>(), printed);
    assert_eq!((stored[0].status, stored[1].status), (AlertStatus::Open, AlertStatus::Resolved));
    // The snapshot of the alert is the first one that shows what matches.
    let seen = stage.query(&format!(
        "SELECT min(seen_from) AS first FROM processes_history WHERE pid = {} AND command_line GLOB '{}/*'",
        alert["row"]["pid"],
        stage.bin().display()
    ));
    assert_eq!(seen[0]["first"], alert["time"]);
    let starts = stage.query(&format!("SELECT pid FROM process_starts WHERE pid = {}", before.pid()));
    assert!(starts.is_empty(), "what ran before the first snapshot ever is no start");
}

#[test]
fn the_same_key_counts_up_within_its_window_and_raises_anew_after_it() {
    let stage = Stage::without_rules();
    for (name, id, window) in [("long", "11111111-2222-4333-8444-555555555555", "1h"), ("short", SUSPECT_RULE, "300ms")]
    {
        let sql = format!("SELECT pid, name FROM processes WHERE command_line GLOB '{}/*'", stage.bin().display());
        let dedup = format!("-- @dedup: name for {window}\n");
        stage.rule(name, &(header(id, "{name}") + &dedup + &sql));
    }
    let agent = Program::start(stage.agent());
    two_more_snapshots(&agent);
    let of = |rule: &'static str, pid: u32| move |alert: &Value| alert["rule"]["name"] == rule && is_about(pid)(alert);
    let program = stage.copy("/bin/sleep", "again");
    let first = Suspect::sleeping(&program);
    agent.alert("the first of both rules", of("long", first.pid()));
    agent.alert("the first of both rules", of("short", first.pid()));
    let pid = first.pid();
    first.end();
    std::thread::sleep(Duration::from_millis(500));
    two_more_snapshots(&agent);
    let second = Suspect::sleeping(&program);
    agent.alert("the second of the short rule", of("short", second.pid()));
    two_more_snapshots(&agent);
    agent.stop();
    let of_long: Vec<_> = stage.stored().into_iter().filter(|alert| alert.rule.name == "long").collect();
    assert_eq!(of_long.len(), 1, "{}", agent.log());
    assert_eq!((of_long[0].dedup.count, of_long[0].status), (2, AlertStatus::Open));
    assert_eq!(of_long[0].row["pid"], second.pid(), "the evidence is that of the last match");
    let printed = agent.alerts().into_iter().filter(|alert| alert["rule"]["name"] == "long").collect::<Vec<_>>();
    assert_eq!(printed.len(), 1);
    assert_eq!(printed[0]["row"]["pid"], pid);
    assert_eq!(stage.stored().iter().filter(|alert| alert.rule.name == "short").count(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whoever_subscribes_at_the_socket_gets_the_record() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    two_more_snapshots(&agent);
    let client = stage.client("listener", Role::Operator).await;
    let mut alerts = client.subscribe(&Interest::new(topic::ALL_ALERTS)).await.unwrap();
    let suspect = stage.suspect("overheard");
    let delivery = tokio::time::timeout(PATIENCE, alerts.message()).await.expect("an alert in time").unwrap();
    assert_eq!(delivery.topic(), "alerts.high.suspect");
    let published: Value = serde_json::from_slice(&delivery.payload).unwrap();
    assert_eq!(published, agent.alert("the same", is_about(suspect.pid())));
}

#[test]
fn a_collector_that_ends_is_started_again() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    two_more_snapshots(&agent);
    let first = stage.collectors();
    assert_eq!(first.len(), 1, "{first:?}");
    kill(first[0], Signal::SIGKILL).unwrap();
    let suspect = stage.suspect("meanwhile");
    let alert = agent.alert("found by the next collector", is_about(suspect.pid()));
    let second = stage.collectors();
    assert!(second.len() == 1 && second != first, "{second:?} after {first:?}");
    // Nobody knows what happened between the two; the second may have begun before the suspect did.
    let reasons = &alert["completeness"]["reasons"];
    assert!([json!(["sampling_gap"]), json!([])].contains(reasons), "{reasons}");
    agent.stop();
    stage.no_collector_is_left();
    let twice = stage.query("SELECT proc_id, count(*) AS n FROM process_starts GROUP BY proc_id HAVING count(*) > 1");
    assert!(twice.is_empty(), "{twice:?}");
    let exits = stage.query(&format!("SELECT pid FROM process_exits WHERE pid = {}", std::process::id()));
    assert!(exits.is_empty(), "the test has not ended");
}
