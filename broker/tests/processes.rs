//! Brokers and clients in processes of their own, and peers that misbehave.
//!
//! The test binary starts itself again with [`ROLE`] set; the test `child` then plays that role and tells what happens
//! line by line.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::{Code, Fault, Hello, Message, Ping, Pong, Publish, Subscribe, Subscribed, Welcome};
use daemoneye_broker::{Backoff, Broker, Bytes, Client, Error, Mode, Outcome, connect_with_backoff};
use tempfile::TempDir;
use tokio::time::timeout;

const ROLE: &str = "DAEMONEYE_BROKER_TEST_ROLE";
const SOCKET: &str = "DAEMONEYE_BROKER_TEST_SOCKET";
const MARK: &str = "child: ";
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let path = PathBuf::from(std::env::var(SOCKET).unwrap());
    match role.as_str() {
        "broker" => {
            let _broker = Broker::bind(&path).unwrap();
            tell("ready");
            std::future::pending::<()>().await;
        }
        "acknowledges" => subscriber(&path, Mode::Acknowledged, true).await,
        "holds" => subscriber(&path, Mode::Acknowledged, false).await,
        "listens" => subscriber(&path, Mode::Plain, false).await,
        _ => panic!("{role}"),
    }
}

/// Tells of every delivery; after one under `t.end` also of how many came and were dropped in all.
async fn subscriber(path: &Path, mode: Mode, answers: bool) {
    let client = Client::connect(path, "child").await.unwrap();
    let mut subscription = client.subscribe("t.>", mode).await.unwrap();
    tell("ready");
    let (mut held, mut got, mut dropped) = (Vec::new(), 0, 0);
    while let Some(delivery) = subscription.recv().await {
        got += 1;
        dropped += delivery.dropped;
        match delivery.topic.as_str() {
            "t.end" => tell(&format!("end got={got} dropped={dropped}")),
            "t.quiet" => {}
            _ => tell(&format!("{} bytes {:08x}", delivery.payload.len(), crc32c::crc32c(&delivery.payload))),
        }
        if answers {
            delivery.acknowledge();
        } else if mode == Mode::Acknowledged {
            held.push(delivery);
        }
    }
    tell("closed");
}

fn tell(text: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{MARK}{text}").unwrap();
}

/// A process of this binary in a role, killed when dropped.
struct Role {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Role {
    fn start(role: &str, path: &Path) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["child", "--exact", "--nocapture"])
            .env(ROLE, role)
            .env(SOCKET, path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut role = Self { process, lines };
        assert_eq!(role.told(), "ready");
        role
    }

    /// The next thing it tells; the rest of its output is the test harness's.
    fn told(&mut self) -> String {
        let marked = |line: std::io::Result<String>| line.unwrap().split_once(MARK).map(|(_, text)| text.to_owned());
        self.lines.by_ref().find_map(marked).expect("the child tells more")
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.process.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _status = self.process.wait();
    }
}

fn socket() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.sock");
    (dir, path)
}

/// Bytes that do not repeat.
fn noise(len: usize) -> Bytes {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    (0..len).map(|_| u8::try_from(next() & 0xff).unwrap()).collect()
}

#[tokio::test]
async fn large_payloads_arrive_intact() {
    let (_dir, path) = socket();
    let _broker = Role::start("broker", &path);
    let mut subscriber = Role::start("acknowledges", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    for len in [0, 65_535, 65_537, 8 << 20, daemoneye_broker::message::PAYLOAD_LEN_MAX] {
        let payload = noise(len);
        let outcome = publisher.publish_acknowledged("t.large", payload.clone(), PATIENCE).await.unwrap();
        assert_eq!(outcome, Outcome::Accepted);
        assert_eq!(subscriber.told(), format!("{len} bytes {:08x}", crc32c::crc32c(&payload)));
    }
}

#[tokio::test]
async fn an_idle_minute_changes_nothing() {
    let (_dir, path) = socket();
    let _broker = Role::start("broker", &path);
    let mut subscriber = Role::start("acknowledges", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    tokio::time::sleep(Duration::from_secs(61)).await;
    let outcome = publisher.publish_acknowledged("t.late", "still here", PATIENCE).await.unwrap();
    assert_eq!(outcome, Outcome::Accepted);
    assert!(subscriber.told().starts_with("10 bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_reader_costs_the_others_nothing_and_learns_what_it_missed() {
    const COUNT: u64 = 5_000;
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let mut stopped = Role::start("listens", &path);
    let mut healthy = Role::start("acknowledges", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    stopped.signal("-STOP");
    let payload = noise(64 << 10);
    let start = Instant::now();
    for _ in 0..COUNT {
        let outcome = publisher.publish_acknowledged("t.quiet", payload.clone(), PATIENCE).await.unwrap();
        assert_eq!(outcome, Outcome::Accepted);
    }
    let mib = COUNT * 64 / 1024;
    writeln!(std::io::stderr(), "{mib} MiB acknowledged beside a stopped reader in {:?}", start.elapsed()).unwrap();
    assert!(start.elapsed() < Duration::from_secs(40), "before the stopped one is given up");
    publisher.publish("t.end", "").await.unwrap();
    assert_eq!(healthy.told(), format!("end got={} dropped=0", COUNT + 1));
    stopped.signal("-CONT");
    let told = stopped.told();
    let numbers: Vec<u64> = told.split(['=', ' ']).filter_map(|word| word.parse().ok()).collect();
    let [got, dropped] = numbers[..] else { panic!("{told}") };
    assert_eq!(got + dropped, COUNT + 1, "{told}");
    assert!(dropped > COUNT / 2, "{told}");
    broker.shutdown().await;
    assert_eq!(stopped.told(), "closed");
}

#[tokio::test]
async fn a_subscriber_killed_while_a_publication_waits_refuses_it() {
    let (_dir, path) = socket();
    let _broker = Role::start("broker", &path);
    let mut subscriber = Role::start("holds", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    let kill = async {
        let told = tokio::task::spawn_blocking(move || (subscriber.told(), subscriber)).await.unwrap();
        assert!(told.0.starts_with("1 bytes"));
        told.1.signal("-KILL");
    };
    let (outcome, ()) = tokio::join!(publisher.publish_acknowledged("t.x", "x", PATIENCE), kill);
    let reason = "subscriber `child` disconnected before acknowledging".to_owned();
    assert_eq!(outcome.unwrap(), Outcome::Refused(reason));
    assert_eq!(publisher.publish_acknowledged("t.x", "x", PATIENCE).await.unwrap(), Outcome::Nobody);
}

#[tokio::test]
async fn a_late_subscriber_gets_what_comes_after_it() {
    let (_dir, path) = socket();
    let _broker = Role::start("broker", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    assert_eq!(publisher.publish_acknowledged("t.x", "before", PATIENCE).await.unwrap(), Outcome::Nobody);
    let mut subscriber = Role::start("acknowledges", &path);
    assert_eq!(publisher.publish_acknowledged("t.x", "then", PATIENCE).await.unwrap(), Outcome::Accepted);
    assert!(subscriber.told().starts_with("4 bytes"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_back_after_the_broker_was_killed() {
    let (_dir, path) = socket();
    let broker = Role::start("broker", &path);
    let client = Client::connect(&path, "client").await.unwrap();
    let mut subscription = client.subscribe("t", Mode::Plain).await.unwrap();
    broker.signal("-KILL");
    assert!(timeout(PATIENCE, subscription.recv()).await.unwrap().is_none());
    let error = timeout(PATIENCE, client.closed()).await.unwrap();
    assert!(matches!(error, Error::Closed(_)), "{error}");
    drop(broker);
    assert!(path.exists(), "a killed broker leaves its socket file");

    let mut backoff = Backoff::default();
    let connecting = connect_with_backoff(&path, "client", &mut backoff);
    let restart = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| Role::start("broker", &path))
    };
    let restart = async { tokio::join!(connecting, restart) };
    let (client, _broker) = timeout(PATIENCE, restart).await.unwrap();
    let client = client.unwrap();
    let mut subscription = client.subscribe("t", Mode::Plain).await.unwrap();
    client.publish("t", "again").await.unwrap();
    assert_eq!(timeout(PATIENCE, subscription.recv()).await.unwrap().unwrap().payload, "again");
    let hopeless = connect_with_backoff(&path, "no name", &mut Backoff::default()).await;
    assert!(matches!(hopeless, Err(Error::Invalid(_))));
}

/// A peer that writes what it likes.
struct Peer {
    stream: UnixStream,
    unread: BytesMut,
}

impl Peer {
    fn connect(path: &Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { stream, unread: BytesMut::new() }
    }

    fn greeted(path: &Path) -> Self {
        let mut peer = Self::connect(path);
        peer.say(Hello { protocol_min: 1, protocol_max: 1, name: "peer".to_owned() });
        assert_eq!(peer.heard(), Some(Welcome { protocol: 1 }.into()));
        peer
    }

    fn say(&mut self, message: impl Into<Message>) {
        self.write(&encoded(message));
    }

    fn write(&mut self, bytes: &[u8]) {
        // A broker that has heard enough may have closed already.
        let _closed = self.stream.write_all(bytes);
    }

    /// The next message, or nothing at the end of the connection.
    fn heard(&mut self) -> Option<Message> {
        loop {
            if let Some(frame) = frame::decode(&mut self.unread, FRAME_LEN_MAX).unwrap() {
                return Some(Message::decode(frame).unwrap());
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk) {
                Ok(0) => return None,
                Ok(len) => self.unread.put_slice(&chunk[..len]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn encoded(message: impl Into<Message>) -> BytesMut {
    let mut bytes = BytesMut::new();
    message.into().encode(&mut bytes);
    bytes
}

/// A frame with a correct checksum and whatever else.
fn framed(kind: u8, version: u8, body: &[u8]) -> Vec<u8> {
    let counted = [&[kind, version], body].concat();
    let len = u32::try_from(counted.len()).unwrap().to_le_bytes();
    [&len[..], &crc32c::crc32c(&counted).to_le_bytes(), &counted].concat()
}

#[tokio::test]
async fn peers_at_fault_are_told_and_harm_nobody() {
    let (_dir, path) = socket();
    let broker = Role::start("broker", &path);
    let mut bystander = Role::start("acknowledges", &path);
    let publisher = Client::connect(&path, "publisher").await.unwrap();

    let hello = encoded(Hello { protocol_min: 1, protocol_max: 1, name: "peer".to_owned() });
    let mut flipped = hello.to_vec();
    flipped[12] ^= 1;
    let claim = |len: u32| [&len.to_le_bytes()[..], &[0; 60]].concat();
    let before: [(&[u8], Code, &str); 8] = [
        (b"GET / HTTP/1.1\r\n\r\n", Code::Protocol, "frame of 542393671 bytes, between 2 and 4096 are allowed"),
        (&claim(64 << 20), Code::Protocol, "frame of 67108864 bytes, between 2 and 4096 are allowed"),
        (&claim(0), Code::Protocol, "frame of 0 bytes, between 2 and 4096 are allowed"),
        (&flipped, Code::Protocol, "frame with a wrong checksum"),
        (&framed(1, 9, b""), Code::Version, "frame of version 9, this broker speaks 1"),
        (&framed(77, 1, b""), Code::Protocol, "message of unknown type 77"),
        (&encoded(Ping {}), Code::Protocol, "Ping before Hello"),
        (
            &encoded(Hello { protocol_min: 2, protocol_max: 3, name: "peer".to_owned() }),
            Code::Version,
            "protocol 2 to 3 offered, this broker speaks 1 to 1",
        ),
    ];
    for (bytes, code, text) in before {
        let mut peer = Peer::connect(&path);
        peer.write(bytes);
        assert_eq!(peer.heard(), Some(Fault::new(code, text).into()));
        assert_eq!(peer.heard(), None);
    }
    let wildcard = Publish { topic: "t.*".to_owned(), ..Publish::default() };
    let after: [(&[u8], &str); 4] = [
        (&claim(u32::MAX), "frame of 4294967295 bytes, between 2 and 67108864 are allowed"),
        (&framed(6, 1, &[0xff; 20]), "message that is not what its type says: "),
        (&encoded(wildcard), "invalid topic \"t.*\""),
        (&encoded(Welcome { protocol: 1 }), "unexpected Welcome"),
    ];
    for (bytes, text) in after {
        let mut peer = Peer::greeted(&path);
        peer.write(bytes);
        let Some(Message::Fault(fault)) = peer.heard() else { panic!("no fault for {text}") };
        assert!(fault.text.starts_with(text), "{fault}");
        assert_eq!(peer.heard(), None);
    }
    // A stream that ends in the midst of a frame.
    let mut peer = Peer::greeted(&path);
    peer.write(&encoded(Publish { payload: noise(1_000), topic: "t.x".to_owned(), request: None })[..500]);
    peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let cut = Fault::new(Code::Protocol, "the stream ends in the midst of a frame");
    assert_eq!(peer.heard(), Some(cut.into()));

    let resident = broker.resident_kib();
    for n in 0..2_000u32 {
        let mut peer = if n % 2 == 0 { Peer::connect(&path) } else { Peer::greeted(&path) };
        peer.write(&claim((64 << 20) - n % 2));
        peer.write(&noise(4096));
    }
    let outcome = publisher.publish_acknowledged("t.x", "fine", PATIENCE).await.unwrap();
    assert_eq!(outcome, Outcome::Accepted);
    assert!(bystander.told().starts_with("4 bytes"));
    let grown = broker.resident_kib().saturating_sub(resident);
    writeln!(std::io::stderr(), "resident memory grew by {grown} KiB over 2000 peers at fault").unwrap();
    assert!(grown < 16 << 10, "{grown} KiB");
}

#[tokio::test]
async fn peers_that_stall_are_let_go() {
    let (_dir, path) = socket();
    let _broker = Role::start("broker", &path);
    let mut mute = Peer::connect(&path);
    let mut half = Peer::connect(&path);
    half.write(&[9, 0, 0, 0, 1]);
    let start = Instant::now();
    for peer in [&mut mute, &mut half] {
        assert_eq!(peer.heard(), Some(Fault::new(Code::Silence, "no frame for 5 seconds").into()));
        assert_eq!(peer.heard(), None);
    }
    assert!(start.elapsed() >= Duration::from_secs(4));
}

/// A peer that asks without reading the answers is no longer read, instead of filling the broker's memory.
#[tokio::test]
async fn replies_that_nobody_reads_stop_the_asker() {
    let (_dir, path) = socket();
    let broker = Role::start("broker", &path);
    let mut peer = Peer::greeted(&path);
    peer.say(Subscribe { subscription: 1, pattern: "t".to_owned(), mode: Mode::Plain.into() });
    assert_eq!(peer.heard(), Some(Subscribed { subscription: 1, refused: None }.into()));
    let resident = broker.resident_kib();
    peer.stream.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let pings = encoded(Ping {}).repeat(10_000);
    let mut written = 0;
    let blocked = loop {
        match peer.stream.write(&pings) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
        assert!(written < 1 << 30, "the broker reads on");
    };
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    assert!(broker.resident_kib().saturating_sub(resident) < 16 << 10);
    assert_eq!(peer.heard(), Some(Pong {}.into()));
    Client::connect(&path, "other").await.unwrap();
}
