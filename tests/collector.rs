//! Why: the collector is a program of its own, and the socket between the two is open to everything that this user
//! runs. Either side may go and come back, and whatever else speaks there must neither stop detection nor be believed.

#![cfg(target_os = "linux")]

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use daemoneye_broker::{Bytes, Outcome, Role, SnapshotBatch, topic};
use daemoneye_dsl::ipc;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;
use daemoneye_tests::{PATIENCE, Program, Stage};
use serde_json::Value;

/// An agent that starts no collector.
fn waiting(stage: &Stage) -> Command {
    let mut command = stage.agent();
    command.args(["--collector", "wait"]);
    command
}

fn is_about(pid: u32) -> impl Fn(&Value) -> bool {
    move |alert| alert["row"]["pid"] == pid
}

/// No process was invented, and none was taken for two.
fn history_is_sound(stage: &Stage) {
    for table in ["process_starts", "process_exits"] {
        let twice = stage.query(&format!("SELECT proc_id FROM {table} GROUP BY proc_id HAVING count(*) > 1"));
        assert!(twice.is_empty(), "twice in {table}: {twice:?}");
        let own = stage.query(&format!("SELECT name FROM {table} WHERE pid = {}", std::process::id()));
        assert!(own.is_empty(), "the test itself, which ran all the time, is in {table}");
    }
}

#[test]
fn an_agent_that_comes_back_goes_on_with_the_collector_that_stayed() {
    let stage = Stage::new();
    let procmond = Program::start(stage.procmond());
    let agent = Program::start(waiting(&stage));
    agent.says("snapshot committed");
    let first = stage.suspect("first");
    agent.alert("the first", is_about(first.pid()));
    agent.stop();
    assert_eq!(agent.alerts().len(), 1, "{}", agent.log());
    assert_eq!(stage.collectors(), [procmond.pid()], "a collector that was started by hand stays");

    let away = stage.suspect("while_away");
    let agent = Program::start(waiting(&stage));
    let alert = agent.alert("what started while it was away", is_about(away.pid()));
    assert_eq!(alert["initial"], false, "the rule knew the time before");
    let second = stage.suspect("second");
    agent.alert("the second", is_about(second.pid()));
    assert_eq!(agent.alerts().len(), 2, "the first is not raised again\n{}", agent.log());
    agent.stop();
    assert_eq!(stage.stored().len(), 3);
    history_is_sound(&stage);
}

#[test]
fn a_collector_that_is_replaced_in_time_leaves_no_gap() {
    let stage = Stage::new();
    let agent = Program::start(waiting(&stage));
    agent.says("agent started");
    let procmond = Program::start(stage.procmond());
    agent.says_times("snapshot committed", 2);
    procmond.kill();
    let suspect = stage.suspect("unwatched");
    let procmond = Program::start(stage.procmond());
    let alert = agent.alert("what started in between", is_about(suspect.pid()));
    assert_eq!(alert["completeness"]["complete"], true);
    let suspect = stage.suspect("watched");
    let alert = agent.alert("what started later", is_about(suspect.pid()));
    assert_eq!(alert["completeness"]["complete"], true);
    procmond.stop();
    agent.stop();
    history_is_sound(&stage);
}

#[test]
fn of_two_agents_on_one_data_directory_the_second_ends() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    agent.says("snapshot committed");
    let second = Program::start(stage.agent());
    let status = second.ends_within(Duration::from_secs(10));
    assert_eq!(status.code(), Some(1), "{}", second.log());
    let said = second.stderr().join("\n");
    assert!(said.contains(&stage.data().display().to_string()), "{said}");
    assert!(said.contains("another") || said.contains("in use"), "{said}");
    let suspect = stage.suspect("found");
    agent.alert("the first goes on", is_about(suspect.pid()));
    agent.stop();
}

#[test]
fn garbage_at_the_socket_disturbs_nobody() {
    let stage = Stage::new();
    let agent = Program::start(stage.agent());
    agent.says("snapshot committed");
    let mut open = Vec::new();
    for garbage in
        [&b""[..], b"\0", b"GET / HTTP/1.1\r\n\r\n", &[0xff; 4096], &[0; 4096], b"\xff\xff\xff\x03\0\0\0\0\x01"]
    {
        let mut peer = UnixStream::connect(stage.socket()).unwrap();
        peer.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        let _hung_up_on = peer.write_all(garbage);
        open.push(peer);
    }
    let suspect = stage.suspect("found");
    agent.alert("in spite of it", is_about(suspect.pid()));
    drop(open);
    let suspect = stage.suspect("found_too");
    agent.alert("in spite of it", is_about(suspect.pid()));
    agent.stop();
    assert_eq!(agent.said("collector started"), 1, "the collector kept its connection\n{}", agent.log());
}

fn accepted() -> Outcome {
    Outcome::Accepted(Bytes::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn lies_are_refused_and_the_next_honest_batch_is_taken() {
    let stage = Stage::new();
    let agent = Program::start(waiting(&stage));
    agent.says("agent started");
    let client = stage.client("liar", Role::Collector).await;
    let publish = async |batch: SnapshotBatch| {
        let topic = topic::events("processes");
        client.request(&topic, batch.to_payload(), PATIENCE).await.unwrap()
    };
    let process = |id: &str, name: &str| Process {
        proc_id: id.to_owned(),
        pid: 7,
        name: name.to_owned(),
        command_line: Some(format!("{}/{name}", stage.bin().display())),
        collection_time: Timestamp(1),
        ..Process::default()
    };
    let batch = |sequence: u64, rows: &[Process]| SnapshotBatch {
        source: "by hand".to_owned(),
        sequence,
        table: "processes".to_owned(),
        collected_at: 1_700_000_000_000_000 + i64::try_from(sequence).unwrap() * 1_000_000,
        rows: ipc::encode(&Process::batch(rows)).into(),
        ..SnapshotBatch::default()
    };
    let one = process("00000000000000aa", "one");
    assert_eq!(publish(batch(1, std::slice::from_ref(&one))).await, accepted());

    let other_layout = Process::batch(std::slice::from_ref(&one)).project(&[0, 2]).unwrap();
    let lies = [
        (batch(2, &[process("not an id", "x")]), "not a proc_id"),
        (batch(2, &[process("00000000000000AA", "x")]), "not a proc_id"),
        (batch(2, &[one.clone(), one.clone()]), "twice"),
        (SnapshotBatch { rows: ipc::encode(&other_layout).into(), ..batch(2, &[]) }, "another layout"),
        (SnapshotBatch { rows: vec![0xff; 64].into(), ..batch(2, &[]) }, ""),
        (SnapshotBatch { table: "alerts".to_owned(), ..batch(2, &[]) }, "alerts"),
        (SnapshotBatch { source: String::new(), ..batch(2, &[]) }, "who sent it"),
    ];
    for (lie, reason) in lies {
        match publish(lie).await {
            Outcome::Refused(said) if said.contains(reason) => {}
            other => panic!("expected a refusal with `{reason}`, got {other:?}\n{}", agent.log()),
        }
    }
    let garbage = client.request(&topic::events("processes"), vec![0xff; 99], PATIENCE).await.unwrap();
    assert!(matches!(garbage, Outcome::Refused(_)), "{garbage:?}");

    let two = process("00000000000000bb", "two");
    assert_eq!(publish(batch(2, &[one.clone(), two.clone()])).await, accepted());
    assert_eq!(publish(batch(2, &[])).await, accepted(), "a batch that comes again is known");
    assert_eq!(publish(batch(1, &[])).await, accepted());
    let alert = agent.alert("of the honest batch", |alert| alert["row"]["name"] == "two");
    assert_eq!(alert["time"], "2023-11-14T22:13:22Z", "the time is that of the snapshot");
    assert_eq!(alert["completeness"]["complete"], true);
    client.close().await;
    agent.stop();
    assert_eq!(agent.alerts().len(), 2, "{}", agent.log());
    let exits = stage.query("SELECT pid FROM process_exits");
    assert!(exits.is_empty(), "neither the lies nor the repeats changed what is known: {exits:?}");
}
