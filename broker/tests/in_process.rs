//! Broker and clients in one process, over the socket and past it: the same semantics either way.

#![cfg(unix)]

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use daemoneye_broker::{Broker, Bytes, Client, Error, Mode, Outcome, Subscription};
use tempfile::TempDir;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);

fn socket() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.sock");
    (dir, path)
}

/// One client past the socket and one over it.
async fn both_ways(broker: &Broker, path: &Path, name: &str) -> [Client; 2] {
    [broker.client(name), Client::connect(path, name).await.unwrap()]
}

async fn received(subscription: &mut Subscription) -> Bytes {
    let delivery = timeout(PATIENCE, subscription.recv()).await.expect("it comes").expect("the connection lives");
    let payload = delivery.payload.clone();
    delivery.acknowledge();
    payload
}

async fn outcomes() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    for publisher in both_ways(&broker, &path, "publisher").await {
        for subscriber in both_ways(&broker, &path, "subscriber").await {
            let ask = |payload: &'static str| publisher.publish_acknowledged("events.t", payload, PATIENCE);
            assert_eq!(ask("a").await.unwrap(), Outcome::Nobody);

            let mut plain = subscriber.subscribe("events.*", Mode::Plain).await.unwrap();
            assert_eq!(ask("b").await.unwrap(), Outcome::Nobody);
            assert_eq!(received(&mut plain).await, "b");

            let mut answering = subscriber.subscribe("events.>", Mode::Acknowledged).await.unwrap();
            let (outcome, payload) = tokio::join!(ask("c"), received(&mut answering));
            assert_eq!((outcome.unwrap(), &payload[..]), (Outcome::Accepted, &b"c"[..]));

            let refuse = async { answering.recv().await.unwrap().refuse("the disk is full") };
            let (outcome, ()) = tokio::join!(ask("d"), refuse);
            assert_eq!(outcome.unwrap(), Outcome::Refused("the disk is full".to_owned()));

            let forget = async { drop(answering.recv().await.unwrap()) };
            let (outcome, ()) = tokio::join!(ask("e"), forget);
            assert_eq!(outcome.unwrap(), Outcome::Refused("the subscriber dropped it unanswered".to_owned()));

            let late = publisher.publish_acknowledged("events.t", "f", Duration::from_millis(50)).await;
            assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");

            let leave = async {
                let held = answering.recv().await.unwrap();
                assert_eq!(held.payload, "f");
                let held = answering.recv().await.unwrap();
                drop(answering);
                held
            };
            let (outcome, held) = tokio::join!(ask("g"), leave);
            assert_eq!(outcome.unwrap(), Outcome::Refused("subscriber `subscriber` unsubscribed".to_owned()));
            held.acknowledge();

            drop(plain);
            assert_eq!(ask("h").await.unwrap(), Outcome::Nobody);
            subscriber.close().await;
        }
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn outcomes_on_one_thread() {
    outcomes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outcomes_on_many_threads() {
    outcomes().await;
}

#[tokio::test]
async fn payloads_are_not_copied_within_the_process() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let client = broker.client("agent");
    let mut subscription = client.subscribe(">", Mode::Plain).await.unwrap();
    let payload = Bytes::from(vec![1; 100]);
    client.publish("a", payload.clone()).await.unwrap();
    assert_eq!(received(&mut subscription).await.as_ptr(), payload.as_ptr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_publishers_keep_their_order() {
    const COUNT: u32 = 2_000;
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let mut subscriptions = Vec::new();
    for subscriber in both_ways(&broker, &path, "subscriber").await {
        subscriptions.push(subscriber.subscribe("n.*", Mode::Plain).await.unwrap());
    }
    let mut publishing = Vec::new();
    for (n, client) in both_ways(&broker, &path, "publisher").await.into_iter().enumerate() {
        publishing.push(tokio::spawn(async move {
            for count in 0..COUNT {
                client.publish(&format!("n.{n}"), count.to_le_bytes().to_vec()).await.unwrap();
            }
            client.close().await;
        }));
    }
    let mut reading = Vec::new();
    for mut subscription in subscriptions {
        reading.push(tokio::spawn(async move {
            let (mut next, mut got, mut dropped) = ([0; 2], 0, 0);
            while got + dropped < u64::from(2 * COUNT) {
                let delivery = timeout(PATIENCE, subscription.recv()).await.unwrap().unwrap();
                let count = u32::from_le_bytes(delivery.payload[..].try_into().unwrap());
                let publisher = usize::from(delivery.topic == "n.1");
                assert!(count >= next[publisher], "{count} after {}", next[publisher]);
                next[publisher] = count + 1;
                got += 1;
                dropped += delivery.dropped;
            }
            assert_eq!(got + dropped, u64::from(2 * COUNT));
        }));
    }
    for task in publishing.into_iter().chain(reading) {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a_program_that_does_not_receive_loses_the_oldest_and_is_told() {
    const COUNT: u64 = 5_000;
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let publisher = broker.client("publisher");
    let client = Client::connect(&path, "lazy").await.unwrap();
    let mut lazy = client.subscribe("n", Mode::Plain).await.unwrap();
    // The same client's other subscription does not suffer.
    let mut other = client.subscribe("done", Mode::Acknowledged).await.unwrap();
    for count in 0..COUNT {
        publisher.publish("n", count.to_le_bytes().to_vec()).await.unwrap();
    }
    let (outcome, _) = tokio::join!(publisher.publish_acknowledged("done", "", PATIENCE), received(&mut other));
    assert_eq!(outcome.unwrap(), Outcome::Accepted);
    let mut at = 0;
    let mut dropped = 0;
    while at < COUNT {
        let delivery = timeout(PATIENCE, lazy.recv()).await.unwrap().unwrap();
        at += delivery.dropped;
        dropped += delivery.dropped;
        assert_eq!(delivery.payload[..], at.to_le_bytes());
        at += 1;
    }
    assert!(dropped >= COUNT - 2 * 1024 - 1, "{dropped}");
}

#[tokio::test]
async fn shutdown_drains_and_says_so() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let publisher = Client::connect(&path, "publisher").await.unwrap();
    let subscriber = Client::connect(&path, "subscriber").await.unwrap();
    let mut plain = subscriber.subscribe("plain", Mode::Plain).await.unwrap();
    let _mute = subscriber.subscribe("asked", Mode::Acknowledged).await.unwrap();
    for count in 0..100u8 {
        publisher.publish("plain", vec![count]).await.unwrap();
    }
    let ask = publisher.publish_acknowledged("asked", "", PATIENCE);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        timeout(Duration::from_secs(3), broker.shutdown()).await.expect("nobody is behind, so nothing is waited for");
    };
    let (outcome, ()) = tokio::join!(ask, stop);
    assert_eq!(outcome.unwrap(), Outcome::Refused("the broker is shutting down".to_owned()));
    for count in 0..100u8 {
        assert_eq!(received(&mut plain).await[..], [count]);
    }
    assert!(plain.recv().await.is_none());
    assert!(!path.exists(), "the socket file is gone");
    let error = publisher.closed().await.to_string();
    assert!(error.starts_with("the connection to the broker is closed: "), "{error}");
    assert!(matches!(publisher.publish("t", "").await, Err(Error::Closed(_))));
    assert!(matches!(publisher.subscribe("t", Mode::Plain).await, Err(Error::Closed(_))));
    assert!(matches!(publisher.publish_acknowledged("t", "", PATIENCE).await, Err(Error::Closed(_))));
    assert!(matches!(Client::connect(&path, "late").await, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn a_dropped_broker_closes_its_clients() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    for client in both_ways(&broker, &path, "client").await {
        let mut subscription = client.subscribe("t", Mode::Plain).await.unwrap();
        tokio::spawn(async move { while subscription.recv().await.is_some() {} });
        tokio::spawn(async move { client.closed().await });
    }
    let client = broker.client("last");
    drop(broker);
    timeout(PATIENCE, client.closed()).await.unwrap();
    assert!(!path.exists());
}

#[tokio::test]
async fn a_client_that_nobody_holds_disconnects() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let publisher = broker.client("publisher");
    for subscriber in both_ways(&broker, &path, "subscriber").await {
        let subscription = subscriber.subscribe("t", Mode::Acknowledged).await.unwrap();
        drop(subscriber);
        let late = publisher.publish_acknowledged("t", "", Duration::from_millis(50)).await;
        assert!(matches!(late, Err(Error::TimedOut(_))), "the subscription alone keeps it: {late:?}");
        drop(subscription);
        let gone =
            async { while publisher.publish_acknowledged("t", "", PATIENCE).await.unwrap() != Outcome::Nobody {} };
        timeout(PATIENCE, gone).await.unwrap();
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let client = Client::connect(&path, "client").await.unwrap();
    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(text(client.publish("a.*", "").await), "invalid topic \"a.*\": `*` and `>` are for patterns");
    let subscribed = client.subscribe("a..b", Mode::Plain).await.map(drop);
    assert_eq!(text(subscribed), "invalid pattern \"a..b\": no part between dots is empty");
    let large = Bytes::from(vec![0; 64 << 20]);
    let error = text(client.publish("a", large).await);
    assert_eq!(error, "payload of 67108864 bytes, at most 67104768 are allowed");
    let error = text(Client::connect(&path, "a b").await.map(drop));
    assert_eq!(error, "a client's name has 1 to 64 letters, digits, `-`, `_` and `.`");
    let nameless = broker.client("a b");
    assert_eq!(
        nameless.closed().await.to_string(),
        "refused by the broker: a client's name has 1 to 64 letters, digits, `-`, `_` and `.`"
    );
    client.publish("a", "").await.unwrap();
}

#[tokio::test]
async fn the_socket_file_is_private_and_guarded() {
    let (dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let error = Broker::bind(&path).unwrap_err().to_string();
    assert!(error.starts_with(&format!("another broker already listens at {}; stop", path.display())), "{error}");
    broker.shutdown().await;
    assert!(!path.exists());

    // Nobody listens any more, but the file is there.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let broker = Broker::bind(&path).unwrap();
    Client::connect(&path, "client").await.unwrap();
    broker.shutdown().await;

    std::fs::File::create(&path).unwrap().write_all(b"precious").unwrap();
    let error = Broker::bind(&path).unwrap_err().to_string();
    let expected = format!("cannot listen at {}: the file there is not a socket; move it away", path.display());
    assert!(error.starts_with(&expected), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");

    let long = dir.path().join("x".repeat(120));
    let expected = format!(
        "socket path {} has {} bytes, at most 107 are possible; choose a shorter one",
        long.display(),
        long.as_os_str().len()
    );
    assert_eq!(Broker::bind(&long).unwrap_err().to_string(), expected);
    assert_eq!(Client::connect(&long, "client").await.unwrap_err().to_string(), expected);
    let nowhere = dir.path().join("none").join("broker.sock");
    let error = Broker::bind(&nowhere).unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot listen at {}: ", nowhere.display())), "{error}");
}

#[tokio::test]
async fn connections_are_limited() {
    let (_dir, path) = socket();
    let broker = Broker::bind(&path).unwrap();
    let mut clients = Vec::new();
    let error = loop {
        match Client::connect(&path, "client").await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(clients.len(), 256);
    assert_eq!(error.to_string(), "refused by the broker: 256 connections already, try later");
    clients.pop().unwrap().close().await;
    let again = async { while Client::connect(&path, "client").await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
    broker.shutdown().await;
}
