//! Clients that stay connected, whatever becomes of the broker.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use daemoneye_broker::{
    Backoff, Broker, Bytes, Client, Error, Event, Gap, Identity, Interest, Key, Outcome, Role, Subscription,
};
use tokio::time::{sleep, timeout};

use crate::place::{PATIENCE, Place, event, number, numbered, received};

impl Place {
    fn keep(&self, name: &str) -> Client {
        Client::keep(&self.path, self.identity(name), Backoff::default()).unwrap()
    }

    /// Ends a broker at once; its socket is gone.
    async fn fall(&self, broker: Broker) {
        drop(broker);
        while self.path.exists() {
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// A broker with a subscriber in its process that is there before anybody else.
    async fn bind_beside(&self, interest: &Interest) -> (Broker, Subscription) {
        let draft = self.path.with_extension("draft");
        let broker = Broker::bind(&draft, self.settings()).unwrap();
        let subscription = broker.client("first").unwrap().subscribe(interest).await.unwrap();
        std::fs::rename(draft, &self.path).unwrap();
        (broker, subscription)
    }
}

/// Has a question answered by a client that comes and goes; nobody may be there at first.
async fn reached(publisher: &Client, subscription: &mut Subscription) {
    let ask = async {
        while publisher.request("hello", "", PATIENCE).await.unwrap() == Outcome::Nobody {
            sleep(Duration::from_millis(5)).await;
        }
    };
    let answer = async { subscription.message().await.expect("it is kept").acknowledge() };
    let both = async { tokio::join!(ask, answer) };
    timeout(PATIENCE, both).await.unwrap();
}

#[tokio::test]
async fn subscriptions_come_back_and_say_that_they_were_away() {
    let place = Place::new();
    let client = place.keep("kept");
    // Before there is a broker at all.
    let subscribing = tokio::spawn(async move {
        let plain = client.subscribe(&Interest::new("t")).await.unwrap();
        let hello = client.subscribe(&Interest::new("hello").answering()).await.unwrap();
        (client, plain, hello)
    });
    sleep(Duration::from_millis(100)).await;
    let mut broker = place.bind();
    let (client, mut plain, mut hello) = timeout(PATIENCE, subscribing).await.unwrap().unwrap();
    assert_ne!(client.connection(), 0);
    for round in 0..3 {
        let publisher = broker.client("publisher").unwrap();
        publisher.publish("t", numbered(round, 8)).await.unwrap();
        assert_eq!(received(&mut plain).await, numbered(round, 8));
        publisher.publish("t", numbered(100 + round, 8)).await.unwrap();
        reached(&publisher, &mut hello).await;
        place.fall(broker).await;
        broker = place.bind();
        reached(&broker.client("publisher").unwrap(), &mut hello).await;
        // What came is not lost with the connection, and what may be missing is said once.
        assert_eq!(received(&mut plain).await, numbered(100 + round, 8));
        assert!(matches!(event(&mut plain).await, Some(Event::Gap(Gap::Away))));
    }
    drop(plain);
    assert_eq!(broker.client("publisher").unwrap().request("t", "", PATIENCE).await.unwrap(), Outcome::Nobody);
}

/// However often the connection is lost, what a program does not take is bounded: what came between two losses goes.
#[tokio::test]
async fn a_program_that_takes_nothing_keeps_little_of_many_connections() {
    let place = Place::new();
    let client = place.keep("kept");
    let mut broker = place.bind();
    let mut plain = client.subscribe(&Interest::new("t")).await.unwrap();
    let mut hello = client.subscribe(&Interest::new("hello").answering()).await.unwrap();
    for round in 0..5 {
        let publisher = broker.client("publisher").unwrap();
        reached(&publisher, &mut hello).await;
        publisher.publish("t", numbered(round, 8)).await.unwrap();
        reached(&publisher, &mut hello).await;
        place.fall(broker).await;
        broker = place.bind();
    }
    let publisher = broker.client("publisher").unwrap();
    reached(&publisher, &mut hello).await;
    assert_eq!(received(&mut plain).await, numbered(0, 8));
    assert!(matches!(event(&mut plain).await, Some(Event::Gap(Gap::Away))));
    publisher.publish("t", numbered(9, 8)).await.unwrap();
    assert_eq!(received(&mut plain).await, numbered(9, 8));
}

#[tokio::test]
async fn the_outbox_is_bounded_and_counts_what_gave_way() {
    const COUNT: u64 = 40;
    let place = Place::new();
    let broker = place.bind();
    let client = place.keep("kept");
    timeout(PATIENCE, client.connected()).await.unwrap().unwrap();
    place.fall(broker).await;
    while client.connection() != 0 {
        sleep(Duration::from_millis(1)).await;
    }
    for count in 0..COUNT {
        let publishing = client.publish("t", numbered(count, 1 << 20));
        timeout(PATIENCE, publishing).await.expect("it waits for nobody").unwrap();
    }
    let shed = client.shed();
    assert_eq!(shed, COUNT - 15, "16 MiB less what a message counts for besides its payload");
    let (_broker, mut subscription) = place.bind_beside(&Interest::new("t").blocking(PATIENCE)).await;
    for count in shed..COUNT {
        assert_eq!(number(&received(&mut subscription).await), count);
    }
    client.publish("t", numbered(COUNT, 8)).await.unwrap();
    assert_eq!(received(&mut subscription).await, numbered(COUNT, 8));
    assert_eq!(client.shed(), shed);
}

#[tokio::test]
async fn a_request_that_was_given_up_is_not_sent_and_one_that_waits_is() {
    let place = Place::new();
    let client = place.keep("kept");
    let broker = place.bind();
    timeout(PATIENCE, client.connected()).await.unwrap().unwrap();
    place.fall(broker).await;
    // Given up while there is no connection: nobody is asked any more, or it would be done after all.
    let late = client.request("t", "given up", Duration::from_millis(50)).await;
    assert!(matches!(late, Err(Error::TimedOut(_))), "{late:?}");
    let waits = client.request("t", "not sent yet", PATIENCE);
    let restart = async {
        sleep(Duration::from_millis(50)).await;
        let (broker, mut answers) = place.bind_beside(&Interest::new("t").answering()).await;
        let delivery = answers.message().await.unwrap();
        assert_eq!(delivery.payload, "not sent yet");
        delivery.reply("done");
        // It is to arrive before the broker goes.
        sleep(Duration::from_millis(100)).await;
        broker
    };
    let (outcome, _broker) = tokio::join!(waits, restart);
    assert_eq!(outcome.unwrap(), Outcome::Accepted(Bytes::from_static(b"done")));
}

/// Answers that come after a loss are for questions of another connection, though the numbers may be the same.
#[tokio::test]
async fn an_answer_from_before_does_not_answer_what_came_after() {
    let place = Place::new();
    let mut broker = place.bind();
    let worker = place.keep("worker");
    let mut work = worker.subscribe(&Interest::new("hello").answering()).await.unwrap();
    for round in 0..3 {
        let publisher = broker.client("publisher").unwrap();
        reached(&publisher, &mut work).await;
        let given_up = publisher.request("hello", "held", Duration::from_millis(50));
        let (_given_up, stale) = tokio::join!(given_up, work.message());
        let stale = stale.unwrap();
        place.fall(broker).await;
        broker = place.bind();

        // The next is the second of its connection too.
        let publisher = broker.client("publisher").unwrap();
        reached(&publisher, &mut work).await;
        let question = numbered(round, 8);
        let answer = async {
            let delivery = work.message().await.unwrap();
            assert!(stale.is_cancelled() && !delivery.is_cancelled());
            stale.refuse("of another connection");
            sleep(Duration::from_millis(20)).await;
            let echo = delivery.payload.clone();
            delivery.reply(echo);
        };
        let (outcome, ()) = tokio::join!(publisher.request("hello", question.clone(), PATIENCE), answer);
        assert_eq!(outcome.unwrap(), Outcome::Accepted(question));
        place.fall(broker).await;
        broker = place.bind();
    }
}

#[tokio::test]
async fn who_ends_while_there_is_no_broker_does_not_wait_for_one() {
    let place = Place::new();
    let client = place.keep("kept");
    sleep(Duration::from_secs(1)).await;
    client.publish("t", "lost").await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let start = Instant::now();
    timeout(PATIENCE, client.close()).await.unwrap();
    assert!(start.elapsed() < Duration::from_millis(100), "{:?}", start.elapsed());
}

#[tokio::test]
async fn a_broker_that_never_will_is_not_asked_again() {
    let place = Place::new();
    let _broker = place.bind();
    let identity = Identity { role: Role::Agent, ..place.identity("pretender") };
    let client = Client::keep(&place.path, identity, Backoff::default()).unwrap();
    let error = timeout(PATIENCE, client.closed()).await.unwrap().to_string();
    assert_eq!(error, "refused by the broker: nobody is the agent but the process that the broker is in");
}

/// What is logged, as it is written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_impostor_is_warned_of_once_and_the_real_one_is_found() {
    let log = Log::default();
    let writer = log.clone();
    let _logging = tracing::subscriber::set_default(
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(move || writer.clone()).finish(),
    );
    let place = Place::new();
    // Whoever listens there has a key, and not ours.
    let impostor = Place::at(place.path.clone(), Key::generate().unwrap()).bind();
    let client = place.keep("kept");
    let text = "does not hold the installation's key";
    let tried = async {
        while log.text().matches("connection lost").count() < 4 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, tried).await.expect("it goes on trying");
    let warned = |log: &Log| log.text().lines().filter(|line| line.contains("WARN") && line.contains(text)).count();
    assert_eq!(warned(&log), 1, "{}", log.text());
    place.fall(impostor).await;
    let _broker = place.bind();
    timeout(PATIENCE, client.connected()).await.unwrap().unwrap();
    assert_eq!(warned(&log), 1, "{}", log.text());
}

#[tokio::test]
async fn who_closes_while_there_is_nobody_learns_what_was_lost() {
    let place = Place::new();
    let client = Client::keep(&place.path, place.identity("kept"), Backoff::default()).unwrap();
    for number in 0..100 {
        client.publish("t", numbered(number, 100)).await.unwrap();
    }
    assert_eq!(client.close().await, 100);
    let broker = place.bind();
    let client = Client::keep(&place.path, place.identity("kept"), Backoff::default()).unwrap();
    let mut course = broker.client("listener").unwrap().subscribe(&Interest::new("t")).await.unwrap();
    client.publish("t", "it is sent").await.unwrap();
    client.connected().await.unwrap();
    assert_eq!(client.close().await, 0);
    assert_eq!(&received(&mut course).await[..], b"it is sent");
}

#[tokio::test]
async fn nobody_is_called_what_a_name_cannot_be() {
    let place = Place::new();
    let refused = place.bind().client("a b").unwrap_err().to_string();
    assert!(refused.starts_with("a name has 1 to 64 letters"), "{refused}");
}
