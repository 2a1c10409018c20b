//! Where a test's broker listens, and what tests say to it.

use std::path::PathBuf;
use std::time::Duration;

use daemoneye_broker::payload::Notice;
use daemoneye_broker::{
    Broker, Bytes, Client, Credential, Encryption, Event, Gap, Gate, Identity, Interest, Key, Limits, Outcome, Role,
    Settings, Subscription, tree,
};
use tempfile::TempDir;
use tokio::time::timeout;

/// Longer than anything takes here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A folder with a socket, and the key to the broker that listens there.
pub(crate) struct Place {
    _dir: Option<TempDir>,
    pub(crate) path: PathBuf,
    pub(crate) key: Key,
}

impl Place {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broker.sock");
        Self { _dir: Some(dir), path, key: Key::generate().unwrap() }
    }

    /// One that another process has made.
    pub(crate) fn at(path: PathBuf, key: Key) -> Self {
        Self { _dir: None, path, key }
    }

    /// Everything is open to whoever holds the key.
    pub(crate) fn settings(&self) -> Settings {
        let gate = Gate::new(self.key.clone(), None);
        Settings { gate, tree: tree::OPEN, limits: Limits::default(), group: None }
    }

    pub(crate) fn bind(&self) -> Broker {
        Broker::bind(&self.path, self.settings()).unwrap()
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        let key = Credential::Installation(self.key.clone());
        Identity { name: name.to_owned(), role: Role::Collector, key, encryption: Encryption::IfAsked }
    }

    pub(crate) async fn client(&self, name: &str) -> Client {
        Client::connect(&self.path, &self.identity(name)).await.unwrap()
    }

    /// One client past the socket and one over it.
    pub(crate) async fn both_ways(&self, broker: &Broker, name: &str) -> [Client; 2] {
        [broker.client(name).unwrap(), self.client(name).await]
    }
}

/// What comes next, which is soon.
pub(crate) async fn event(subscription: &mut Subscription) -> Option<Event> {
    timeout(PATIENCE, subscription.recv()).await.expect("it comes")
}

/// The next message, acknowledged.
pub(crate) async fn received(subscription: &mut Subscription) -> Bytes {
    match event(subscription).await {
        Some(Event::Message(delivery)) => {
            let payload = delivery.payload.clone();
            delivery.acknowledge();
            payload
        }
        other => panic!("a message was to come, not {other:?}"),
    }
}

/// A payload that says which it is.
pub(crate) fn numbered(number: u64, len: usize) -> Bytes {
    let mut payload = vec![0; len.max(8)];
    payload[..8].copy_from_slice(&number.to_le_bytes());
    payload.into()
}

pub(crate) fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload[..8].try_into().unwrap())
}

/// What came of the messages `0..count` of one publisher: each has its place, and what has none is in the gap there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Course {
    /// The numbers that came.
    pub(crate) came: Vec<u64>,
    /// Each gap: the number of the first that is missing, and how many are.
    pub(crate) gaps: Vec<(u64, u64)>,
}

/// Receives until everything is accounted for.
pub(crate) async fn course(subscription: &mut Subscription, count: u64) -> Course {
    let (mut course, mut at) = (Course { came: Vec::new(), gaps: Vec::new() }, 0);
    while at < count {
        match event(subscription).await.unwrap_or_else(|| panic!("the connection lives: {at} of {count}")) {
            Event::Message(delivery) => {
                assert_eq!(number(&delivery.payload), at, "the place of a message");
                course.came.push(at);
                at += 1;
                delivery.acknowledge();
            }
            Event::Gap(Gap::Dropped(messages)) => {
                course.gaps.push((at, messages));
                at += messages;
            }
            Event::Gap(Gap::Away) => panic!("the connection was never lost"),
        }
    }
    assert_eq!(at, count, "no more is missing than was published");
    course
}

/// Has a question answered that was asked after everything else: the broker has dealt with all of that.
pub(crate) struct Barrier {
    subscription: Subscription,
}

impl Barrier {
    pub(crate) async fn new(client: &Client) -> Self {
        Self { subscription: client.subscribe(&Interest::new("barrier").answering()).await.unwrap() }
    }

    pub(crate) async fn passed_by(&mut self, publisher: &Client) {
        let ask = publisher.request("barrier", "", PATIENCE);
        let (outcome, _) = tokio::join!(ask, received(&mut self.subscription));
        assert_eq!(outcome.unwrap(), Outcome::Accepted(Bytes::new()));
    }
}

/// What the broker refused, as it comes.
pub(crate) struct Notices(Subscription);

impl Notices {
    pub(crate) async fn of(broker: &Broker) -> Self {
        Self(broker.client("audit").unwrap().subscribe(&Interest::new("audit.broker.>")).await.unwrap())
    }

    pub(crate) async fn next(&mut self) -> Notice {
        match event(&mut self.0).await {
            Some(Event::Message(delivery)) => {
                let notice = Notice::from_payload(delivery.payload.clone()).unwrap();
                assert_eq!(delivery.topic(), format!("audit.broker.{}", notice.action));
                notice
            }
            other => panic!("a notice was to come, not {other:?}"),
        }
    }

    /// None is left.
    pub(crate) fn is_empty(&mut self) -> bool {
        self.0.try_recv().is_none()
    }
}
