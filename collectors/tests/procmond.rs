//! The program from outside: what it prints, what it publishes, when it ends.

#![cfg(target_os = "linux")]
#![expect(clippy::print_stderr, reason = "a test that cannot run here says so")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use daemoneye_broker::{Broker, Delivery, Gate, Interest, Key, Limits, Settings, SnapshotBatch, Subscription, tree};
use daemoneye_dsl::tables::{Catalog, Process};
use daemoneye_dsl::types::Timestamp;
use daemoneye_dsl::{ipc, types::Value};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

fn procmond() -> Command {
    Command::new(env!("CARGO_BIN_EXE_procmond"))
}

fn output(arguments: &[&str]) -> Output {
    procmond().args(arguments).output().unwrap()
}

fn error_text(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// One that publishes to `socket`, ended with the test.
struct Publishing(Child);

impl Publishing {
    fn start(socket: &Path, arguments: &[&str]) -> Self {
        let mut command = procmond();
        command.arg("--socket").arg(socket).args(arguments);
        Self(command.stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until it has tried to connect, so that its signal handlers are surely there.
    fn has_failed_to_connect(&mut self) {
        let mut line = String::new();
        BufReader::new(self.0.stderr.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("cannot connect to the broker"), "{line}");
    }

    fn ends_within(&mut self, limit: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < limit, "still running");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Publishing {
    fn drop(&mut self) {
        let _ended_already = self.0.kill();
        let _status = self.0.wait();
    }
}

#[test]
fn once_prints_every_column_of_every_process() {
    let output = output(&["--once"]);
    assert!(output.status.success(), "{}", error_text(&output));
    let expected: Vec<_> = Process::columns().into_iter().map(|column| column.name.into_owned()).collect();
    let mut own = None;
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).unwrap();
        assert_eq!(object.keys().cloned().collect::<Vec<_>>(), expected);
        if object["pid"] == std::process::id() {
            own = Some(object);
        }
    }
    let own = own.expect("the test itself is running");
    assert!(own["memory_usage"].is_i64() && own["kernel_thread"] == false && own["cpu_usage"].is_null());
    assert!(Timestamp::parse(own["start_time"].as_str().unwrap()).is_some());
    let argv: Vec<String> = serde_json::from_str(own["argv"].as_str().unwrap()).unwrap();
    assert_eq!(argv.len(), std::env::args().count());
    assert!(error_text(&output).contains(" processes"));
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let mut child = procmond().arg("--once").stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut message = String::new();
    child.stderr.take().unwrap().read_to_string(&mut message).unwrap();
    assert_eq!((child.wait().unwrap().code(), message.as_str()), (Some(0), ""));
}

#[test]
fn what_another_user_may_not_read_is_said() {
    if !Uid::effective().is_root() {
        eprintln!("skipped: only root can start it as another user");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = folder.path().join("procmond");
    fs::copy(env!("CARGO_BIN_EXE_procmond"), &program).unwrap();
    let output = Command::new(program).arg("--once").current_dir("/").uid(65534).gid(65534).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", error_text(&output));
    let rows: Vec<serde_json::Value> =
        BufReader::new(&output.stdout[..]).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    let ours = rows.iter().find(|row| row["pid"] == std::process::id()).unwrap();
    assert_eq!((&ours["accessible"], &ours["executable_path"]), (&false.into(), &serde_json::Value::Null));
    assert!(ours["command_line"].is_string(), "arguments are open to all");
    assert!(rows.iter().filter(|row| row["kernel_thread"] == true).all(|row| row["accessible"] == true));
    assert!(rows.iter().any(|row| row["user_id"] == 65534 && row["accessible"] == true), "it sees itself");
    assert!(error_text(&output).contains("as far as this user may see"), "{}", error_text(&output));
}

#[test]
fn wrong_flags_say_what_to_do() {
    for (arguments, expected) in [
        (&[][..], "give --socket PATH to publish, or --once to print"),
        (&["--once", "--socket", "x"], "cannot be used with"),
        (&["--socket", "x", "--interval", "5"], "write a number and a unit"),
        (&["--socket", "x", "--interval", "5ms"], "10ms is the shortest"),
        (&["--socket", "x", "--interval", "25h"], "1d 1h is out of range"),
        (&["--socket", "x", "--interval=-3s"], "out of range"),
        (&["--sockte", "x"], "--socket"),
    ] {
        let output = output(arguments);
        let message = error_text(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
        assert!(message.contains(expected), "{arguments:?}: {message}");
    }
}

#[test]
fn signals_and_the_end_of_input_stop_it_without_an_agent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("absent.sock");
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut child = Publishing::start(&socket, &[]);
        child.has_failed_to_connect();
        kill(Pid::from_raw(child.0.id().try_into().unwrap()), signal).unwrap();
        assert_eq!(child.ends_within(Duration::from_secs(1)).code(), Some(0));
    }
    let mut child = Publishing::start(&socket, &["--exit-with-stdin"]);
    child.has_failed_to_connect();
    assert!(child.0.try_wait().unwrap().is_none());
    drop(child.0.stdin.take());
    assert_eq!(child.ends_within(Duration::from_secs(1)).code(), Some(0));
    let mut child = Publishing::start(&socket, &[]);
    drop(child.0.stdin.take());
    child.has_failed_to_connect();
    thread::sleep(Duration::from_millis(200));
    assert!(child.0.try_wait().unwrap().is_none(), "standard input does not matter without the flag");
}

async fn next(subscription: &mut Subscription) -> (SnapshotBatch, Delivery) {
    let delivery = tokio::time::timeout(Duration::from_secs(20), subscription.message()).await;
    let delivery = delivery.expect("a snapshot comes in time").expect("the broker lives");
    assert_eq!(delivery.topic(), "events.processes");
    (SnapshotBatch::from_payload(delivery.payload.clone()).unwrap(), delivery)
}

/// A broker with the key that lies beside its socket.
fn listen(socket: &Path) -> Broker {
    let gate = Gate::new(Key::load_or_create(&socket.with_file_name("agent.key")).unwrap(), None);
    Broker::bind(socket, Settings { gate, tree: tree::PRODUCT, limits: Limits::default(), group: None }).unwrap()
}

async fn subscribed(broker: &Broker, pattern: &str) -> Subscription {
    broker.client("test").unwrap().subscribe(&Interest::new(pattern).answering()).await.unwrap()
}

fn has_process(batch: &SnapshotBatch, pid: u32) -> bool {
    let schema = Catalog::builtin().table(&batch.table).unwrap().schema();
    let rows = ipc::decode(&batch.rows, &schema).unwrap();
    let pids = rows.column_by_name("pid").unwrap();
    (0..rows.num_rows()).any(|row| Value::at(pids, row).as_integer() == Some(pid.into()))
}

#[tokio::test]
async fn snapshots_are_published_again_after_the_agent_was_away() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("agent.sock");
    let mut broker = listen(&socket);
    let mut subscription = subscribed(&broker, "events.>").await;
    let child = Publishing::start(&socket, &["--interval", "100ms", "--exit-with-stdin"]);
    let (first, delivery) = next(&mut subscription).await;
    assert_eq!((first.sequence, first.table.as_str()), (1, "processes"));
    assert!(has_process(&first, child.0.id()));
    delivery.acknowledge();
    let (second, delivery) = next(&mut subscription).await;
    assert_eq!((&second.source, second.sequence), (&first.source, 2));
    assert!((50_000..5_000_000).contains(&(second.collected_at - first.collected_at)));
    delivery.refuse("not now");
    let (third, delivery) = next(&mut subscription).await;
    assert_eq!(third.sequence, 3, "a refused snapshot is not sent again");
    drop((delivery, subscription));
    broker.shutdown().await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker = listen(&socket);
    let mut subscription = subscribed(&broker, "events.processes").await;
    let (again, delivery) = next(&mut subscription).await;
    delivery.acknowledge();
    assert_eq!(again.source, first.source);
    assert!(again.sequence > 3 && has_process(&again, child.0.id()));
}
