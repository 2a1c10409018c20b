//! Broker and clients in one process, over the socket and past it: the same semantics either way.

use std::time::Duration;

use daemoneye_broker::message::Code;
use daemoneye_broker::{Broker, Bytes, Client, Error, Event, Gap, Identity, Interest, Limits, Outcome, Settings};
use tokio::time::timeout;

use crate::place::{Course, PATIENCE, Place, course, event, numbered, received};

fn accepted(reply: &'static str) -> Outcome {
    Outcome::Accepted(Bytes::from_static(reply.as_bytes()))
}

async fn outcomes() {
    let place = Place::new();
    let broker = place.bind();
    for publisher in place.both_ways(&broker, "publisher").await {
        for subscriber in place.both_ways(&broker, "subscriber").await {
            outcomes_between(&publisher, subscriber).await;
        }
    }
    broker.shutdown().await;
}

async fn outcomes_between(publisher: &Client, subscriber: Client) {
    let ask = |payload: &'static str| publisher.request("events.t", payload, PATIENCE);
    assert_eq!(ask("a").await.unwrap(), Outcome::Nobody);

    let mut plain = subscriber.subscribe(&Interest::new("events.*")).await.unwrap();
    assert_eq!(ask("b").await.unwrap(), Outcome::Nobody);
    assert_eq!(received(&mut plain).await, "b");

    let mut answering = subscriber.subscribe(&Interest::new("events.>").answering()).await.unwrap();
    let (outcome, payload) = tokio::join!(ask("c"), received(&mut answering));
    assert_eq!((outcome.unwrap(), &payload[..]), (accepted(""), &b"c"[..]));

    let reply = async { answering.message().await.unwrap().reply("done") };
    let (outcome, ()) = tokio::join!(ask("r"), reply);
    assert_eq!(outcome.unwrap(), accepted("done"));

    let refuse = async { answering.message().await.unwrap().refuse("the disk is full") };
    let (outcome, ()) = tokio::join!(ask("d"), refuse);
    assert_eq!(outcome.unwrap(), Outcome::Refused("the disk is full".to_owned()));

    let forget = async { drop(answering.message().await.unwrap()) };
    let (outcome, ()) = tokio::join!(ask("e"), forget);
    assert_eq!(outcome.unwrap(), Outcome::Lost("the subscriber dropped it unanswered".to_owned()));

    let late = publisher.request("events.t", "f", Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");
    let leave = async {
        let held = answering.message().await.unwrap();
        assert_eq!(held.payload, "f");
        timeout(PATIENCE, held.cancelled()).await.unwrap();
        let held = answering.message().await.unwrap();
        assert!(!held.is_cancelled());
        drop(answering);
        held
    };
    let (outcome, held) = tokio::join!(ask("g"), leave);
    assert_eq!(outcome.unwrap(), Outcome::Lost("subscriber `subscriber` unsubscribed before it answered".to_owned()));
    held.acknowledge();

    drop(plain);
    assert_eq!(ask("h").await.unwrap(), Outcome::Nobody);
    subscriber.close().await;
}

#[tokio::test]
async fn outcomes_on_one_thread() {
    outcomes().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn outcomes_on_many_threads() {
    outcomes().await;
}

/// Whoever asked and gave up, in whichever way, is nobody to work for any more.
#[tokio::test]
async fn who_works_learns_that_nobody_waits() {
    let place = Place::new();
    let broker = place.bind();
    for subscriber in place.both_ways(&broker, "worker").await {
        let mut work = subscriber.subscribe(&Interest::new("work").answering()).await.unwrap();
        for asker in place.both_ways(&broker, "asker").await {
            let asking = tokio::spawn(async move {
                let dropped = timeout(Duration::from_millis(50), asker.request("work", "", PATIENCE)).await;
                assert!(dropped.is_err());
                let lost = asker.request("work", "", PATIENCE);
                tokio::select! {
                    outcome = lost => panic!("{outcome:?}"),
                    () = tokio::time::sleep(Duration::from_millis(50)) => {}
                }
                drop(asker);
            });
            for _ in 0..2 {
                let delivery = work.message().await.unwrap();
                timeout(PATIENCE, delivery.cancelled()).await.expect("it is told");
                assert!(delivery.is_cancelled());
                delivery.acknowledge();
            }
            asking.await.unwrap();
        }
    }
}

#[tokio::test]
async fn payloads_are_not_copied_within_the_process() {
    let place = Place::new();
    let broker = place.bind();
    let client = broker.client("agent").unwrap();
    let mut subscription = client.subscribe(&Interest::new(">")).await.unwrap();
    let payload = Bytes::from(vec![1; 100]);
    client.publish("a", payload.clone()).await.unwrap();
    assert_eq!(received(&mut subscription).await.as_ptr(), payload.as_ptr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_publishers_keep_their_order() {
    const COUNT: u64 = 3_000;
    let place = Place::new();
    let broker = place.bind();
    let mut subscriptions = Vec::new();
    for subscriber in place.both_ways(&broker, "subscriber").await {
        for pattern in ["n.0", "n.1"] {
            subscriptions.push(subscriber.subscribe(&Interest::new(pattern)).await.unwrap());
        }
    }
    let mut tasks = Vec::new();
    for (n, client) in place.both_ways(&broker, "publisher").await.into_iter().enumerate() {
        tasks.push(tokio::spawn(async move {
            for count in 0..COUNT {
                client.publish(&format!("n.{n}"), numbered(count, 8)).await.unwrap();
            }
            client.close().await;
        }));
    }
    for mut subscription in subscriptions {
        tasks.push(tokio::spawn(async move {
            let whole = Course { came: (0..COUNT).collect(), gaps: vec![] };
            assert_eq!(course(&mut subscription, COUNT).await, whole);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test]
async fn shutdown_drains_and_says_so() {
    const COUNT: u64 = 3_000;
    let place = Place::new();
    let broker = place.bind();
    let publisher = place.client("publisher").await;
    let subscriber = place.client("subscriber").await;
    // More than a window, so that the last of it can only go when the first was taken.
    let mut plain = subscriber.subscribe(&Interest::new("plain")).await.unwrap();
    let _mute = subscriber.subscribe(&Interest::new("asked").answering()).await.unwrap();
    for count in 0..COUNT {
        publisher.publish("plain", numbered(count, 2048)).await.unwrap();
    }
    let ask = publisher.request("asked", "", PATIENCE);
    let stop = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        timeout(Duration::from_secs(3), broker.shutdown()).await.expect("nobody is behind, so nothing is waited for");
    };
    let take = async {
        tokio::time::sleep(Duration::from_millis(600)).await;
        course(&mut plain, COUNT).await
    };
    let (outcome, (), drained) = tokio::join!(ask, stop, take);
    assert_eq!(outcome.unwrap(), Outcome::Lost("the broker is shutting down".to_owned()));
    assert_eq!(drained.gaps, []);
    assert!(matches!(event(&mut plain).await, Some(Event::Gap(Gap::Away))));
    assert!(event(&mut plain).await.is_none());
    assert!(!place.path.exists(), "the socket file is gone");
    let error = publisher.closed().await.to_string();
    assert!(error.starts_with("the connection to the broker is closed: "), "{error}");
    assert!(matches!(publisher.publish("t", "").await, Err(Error::Closed(_))));
    assert!(matches!(publisher.subscribe(&Interest::new("t")).await, Err(Error::Closed(_))));
    assert!(matches!(publisher.request("t", "", PATIENCE).await, Err(Error::Closed(_))));
    let late = Client::connect(&place.path, &place.identity("late")).await;
    assert!(matches!(late, Err(Error::Connect { .. })));
}

#[tokio::test]
async fn a_dropped_broker_closes_its_clients() {
    let place = Place::new();
    let broker = place.bind();
    let mut clients = Vec::new();
    for client in place.both_ways(&broker, "client").await {
        let subscription = client.subscribe(&Interest::new("t")).await.unwrap();
        clients.push((client, subscription));
    }
    drop(broker);
    for (client, mut subscription) in clients {
        assert!(matches!(event(&mut subscription).await, Some(Event::Gap(Gap::Away))));
        assert!(event(&mut subscription).await.is_none());
        timeout(PATIENCE, client.closed()).await.unwrap();
    }
    assert!(!place.path.exists());
}

#[tokio::test]
async fn a_client_that_nobody_holds_disconnects() {
    let place = Place::new();
    let broker = place.bind();
    let publisher = broker.client("publisher").unwrap();
    for subscriber in place.both_ways(&broker, "subscriber").await {
        let subscription = subscriber.subscribe(&Interest::new("t").answering()).await.unwrap();
        let before = broker.connections_len();
        drop(subscriber);
        let late = publisher.request("t", "", Duration::from_millis(50)).await;
        assert!(matches!(late, Err(Error::TimedOut(_))), "the subscription alone keeps it: {late:?}");
        assert_eq!(broker.connections_len(), before);
        drop(subscription);
        let gone = async {
            while broker.connections_len() == before {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(PATIENCE, gone).await.unwrap();
        assert_eq!(publisher.request("t", "", PATIENCE).await.unwrap(), Outcome::Nobody);
    }
    broker.shutdown().await;
}

#[tokio::test]
async fn wrong_arguments_are_named() {
    let place = Place::new();
    let _broker = place.bind();
    let client = place.client("client").await;
    let text = |result: Result<(), Error>| result.unwrap_err().to_string();
    assert_eq!(text(client.publish("a.*", "").await), "invalid topic \"a.*\": `*` and `>` are for patterns");
    let subscribed = client.subscribe(&Interest::new("a..b")).await.map(drop);
    assert_eq!(text(subscribed), "invalid pattern \"a..b\": no part between dots is empty");
    let large = Bytes::from(vec![0; 64 << 20]);
    let error = text(client.publish("a", large).await);
    assert_eq!(error, "payload of 67108864 bytes, at most 67104768 are allowed");
    let nameless = "a name has 1 to 64 letters, digits, `-`, `_` and `.`";
    let identity = Identity { name: "a b".to_owned(), ..place.identity("a") };
    assert_eq!(text(Client::connect(&place.path, &identity).await.map(drop)), nameless);
    let group = client.subscribe(&Interest::new("a").group("a b")).await.map(drop);
    assert_eq!(text(group), format!("refused by the broker: {nameless}"));
    client.publish("a", "").await.unwrap();
}

#[tokio::test]
async fn connections_from_outside_are_limited() {
    let place = Place::new();
    let limits = Limits { connections_len: 5, ..Limits::default() };
    let broker = Broker::bind(&place.path, Settings { limits, ..place.settings() }).unwrap();
    let _inside: Vec<_> = (0..10).map(|_| broker.client("inside").unwrap()).collect();
    let mut clients = Vec::new();
    let error = loop {
        match Client::connect(&place.path, &place.identity("client")).await {
            Ok(client) => clients.push(client),
            Err(error) => break error,
        }
    };
    assert_eq!(clients.len(), 5);
    assert!(matches!(&error, Error::Refused(fault) if fault.code() == Code::Busy), "{error:?}");
    assert_eq!(error.to_string(), "refused by the broker: 5 connections already, try later");
    clients.pop().unwrap().close().await;
    let again = async { while Client::connect(&place.path, &place.identity("client")).await.is_err() {} };
    timeout(PATIENCE, again).await.unwrap();
    broker.shutdown().await;
}
