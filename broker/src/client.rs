//! A client, of a broker in another process or in this one.
//!
//! One task reads and never waits for the program: each [`Subscription`] has a queue like the one in the broker, with
//! the same bounds and the same answer when full. What a client sends is bounded too: a publication waits until there
//! is room for it, while answers, which are fewer than what the broker sends, go out at once.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::connection::{self, End, HANDSHAKE_SECS, Inlet, Outlet};
use crate::error::Error;
use crate::frame::FRAME_LEN_MAX;
use crate::listener;
use crate::message::{
    Acknowledge, Code, Deliver, Fault, Hello, Message, Mode, Outcome, PAYLOAD_LEN_MAX, PROTOCOL_MAX, PROTOCOL_MIN,
    Pong, Publish, Subscribe, Unsubscribe, check_name, truncated,
};
use crate::queue::{QUEUE_LEN_MAX, Queue};
use crate::topic::{Pattern, Topic};

/// Publications that may wait to be sent, counted by [`COST_UNIT`].
const UNSENT_COST_MAX: usize = FRAME_LEN_MAX / COST_UNIT;
const COST_UNIT: usize = 1024;
/// How long the broker may take to answer anything but an acknowledged publication.
const ANSWER: Duration = Duration::from_secs(HANDSHAKE_SECS);

/// A connection to a broker. Clones share it; it closes when the last of them and of their subscriptions is dropped.
#[derive(Clone, Debug)]
pub struct Client {
    table: Arc<Table>,
    commands: Commands,
}

/// What goes to the connection's task; `None` asks it to end.
type Commands = mpsc::UnboundedSender<Option<Command>>;

/// A message to send, and the room that it takes until then.
#[derive(Debug)]
struct Command(Message, Option<OwnedSemaphorePermit>);

/// A client that is connected to nothing yet, and the two ends of it.
pub(crate) fn open(name: &str) -> (Client, ClientInlet, ClientOutlet) {
    let (commands, receiver) = mpsc::unbounded_channel();
    let table = Arc::new(Table::default());
    let inlet = ClientInlet { table: table.clone(), commands: commands.downgrade() };
    let client = Client { table, commands };
    client.send(Hello { protocol_min: PROTOCOL_MIN, protocol_max: PROTOCOL_MAX, name: name.to_owned() });
    (client, inlet, ClientOutlet(receiver))
}

impl Client {
    /// Connects to the broker that listens at `path`, under a name of letters, digits, `-`, `_` and `.`.
    pub async fn connect(path: impl AsRef<Path>, name: &str) -> Result<Self, Error> {
        check_name(name).map_err(Error::Invalid)?;
        let stream = listener::connect(path.as_ref()).await?;
        let (client, inlet, mut outlet) = open(name);
        tokio::spawn(async move {
            let end = connection::run(&stream, &stream, &inlet, &mut outlet).await;
            inlet.end(&end);
        });
        let mut welcome = client.table.welcomed.subscribe();
        let mut ended = client.table.ended.subscribe();
        let answered = async {
            tokio::select! {
                biased;
                _ = welcome.wait_for(|welcomed| *welcomed) => Ok(()),
                _ = ended.wait_for(Option::is_some) => Err(client.table.closed_error()),
            }
        };
        timeout(ANSWER, answered).await.map_err(|_| Error::TimedOut(ANSWER))??;
        Ok(client)
    }

    /// Subscribes to every topic that `pattern` matches. Once this returns, nothing published afterwards is missed.
    pub async fn subscribe(&self, pattern: &str, mode: Mode) -> Result<Subscription, Error> {
        let pattern = Pattern::parse(pattern)?;
        let inbox = Arc::new(Inbox { mode, ..Inbox::default() });
        let (answer, answered) = oneshot::channel();
        let number = self.table.number();
        self.table.with_open(|state| {
            state.inboxes.insert(number, inbox.clone());
            state.subscribing.insert(number, answer);
        })?;
        // From here on, dropping it leaves nothing behind.
        let subscription = Subscription { number, inbox, client: self.clone() };
        self.send(Subscribe { subscription: number, pattern: pattern.to_string(), mode: mode.into() });
        let answered = timeout(ANSWER, answered).await.map_err(|_| Error::TimedOut(ANSWER))?;
        match answered.map_err(|_| self.table.closed_error())? {
            Some(reason) => Err(Error::Refused(Fault::new(Code::Busy, reason).printable())),
            None => Ok(subscription),
        }
    }

    /// Publishes without asking what becomes of it. Waits while there is no room to send.
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.send_publish(topic, payload.into(), None).await
    }

    /// Publishes and waits for what the subscribers in acknowledged mode say. After a time-out it may yet be accepted.
    pub async fn publish_acknowledged(
        &self,
        topic: &str,
        payload: impl Into<Bytes>,
        patience: Duration,
    ) -> Result<Outcome, Error> {
        let (answer, answered) = oneshot::channel();
        let request = self.table.number();
        self.table.with_open(|state| state.publishing.insert(request, answer))?;
        let published = async {
            self.send_publish(topic, payload.into(), Some(request)).await?;
            answered.await.map_err(|_| self.table.closed_error())
        };
        let outcome = timeout(patience, published).await;
        self.table.lock().publishing.remove(&request);
        outcome.map_err(|_| Error::TimedOut(patience))?
    }

    /// Sends what waits to be sent, then closes the connection, for clones and subscriptions too.
    pub async fn close(self) {
        let _ended_already = self.commands.send(None);
        self.closed().await;
    }

    /// Resolves when the connection is gone, and says why.
    pub async fn closed(&self) -> Error {
        let mut ended = self.table.ended.subscribe();
        let _value = ended.wait_for(Option::is_some).await;
        self.table.closed_error()
    }

    async fn send_publish(&self, topic: &str, payload: Bytes, request: Option<u64>) -> Result<(), Error> {
        let topic = Topic::parse(topic)?.into();
        let len = payload.len();
        if len > PAYLOAD_LEN_MAX {
            return Err(Error::Invalid(format!("payload of {len} bytes, at most {PAYLOAD_LEN_MAX} are allowed")));
        }
        let cost = u32::try_from(len / COST_UNIT + 1).expect("payloads are bounded");
        let room = self.table.room.clone().acquire_many_owned(cost).await;
        let room = room.map_err(|_| self.table.closed_error())?;
        let message = Publish { request, topic, payload }.into();
        self.commands.send(Some(Command(message, Some(room)))).map_err(|_| self.table.closed_error())
    }

    /// Sends what needs no room of its own. Where the connection has ended, whoever waits for an answer learns it.
    fn send(&self, message: impl Into<Message>) {
        let _ended = self.commands.send(Some(Command(message.into(), None)));
    }
}

/// What one client gets under one pattern. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    number: u64,
    inbox: Arc<Inbox>,
    client: Client,
}

impl Subscription {
    /// The next message, or nothing once the connection is gone and everything that came before has been received.
    pub async fn recv(&mut self) -> Option<Delivery> {
        loop {
            if let Some(message) = self.inbox.lock().pop() {
                return Some(self.deliver(message));
            }
            if self.client.table.has_ended() {
                // Something may have come between the two looks.
                let last = self.inbox.lock().pop();
                return last.map(|message| self.deliver(message));
            }
            self.inbox.filled.notified().await;
        }
    }

    fn deliver(&self, message: Deliver) -> Delivery {
        let Deliver { delivery, dropped, topic, payload, .. } = message;
        let receipt = (delivery != 0).then(|| Receipt { delivery, commands: self.client.commands.clone() });
        Delivery { topic, payload, dropped, receipt }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.table.lock().inboxes.remove(&self.number);
        self.client.send(Unsubscribe { subscription: self.number });
    }
}

/// One message as a subscriber gets it.
#[derive(Debug)]
pub struct Delivery {
    /// What it was published under.
    pub topic: String,
    /// What was published.
    pub payload: Bytes,
    /// Messages that matched and were dropped between the delivery before this one and this one.
    pub dropped: u64,
    receipt: Option<Receipt>,
}

impl Delivery {
    /// Tells the publisher that this subscriber has done what it wants done with it. Nothing in plain mode.
    pub fn acknowledge(mut self) {
        if let Some(receipt) = self.receipt.take() {
            receipt.answer(None);
        }
    }

    /// Tells the publisher that it was not taken, and why.
    pub fn refuse(mut self, reason: &str) {
        if let Some(receipt) = self.receipt.take() {
            receipt.answer(Some(reason));
        }
    }
}

/// The duty to answer a delivery: one that is dropped is refused, so that no publisher waits in vain.
#[derive(Debug)]
struct Receipt {
    delivery: u64,
    commands: Commands,
}

impl Receipt {
    fn answer(mut self, refused: Option<&str>) {
        let delivery = std::mem::take(&mut self.delivery);
        self.send(delivery, refused);
    }

    fn send(&self, delivery: u64, refused: Option<&str>) {
        let body = Acknowledge { delivery, refused: refused.map(|reason| truncated(reason.to_owned())) };
        // Where the connection has ended, the broker has refused it already.
        let _ended = self.commands.send(Some(Command(body.into(), None)));
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.delivery != 0 {
            self.send(self.delivery, Some("the subscriber dropped it unanswered"));
        }
    }
}

/// A subscription's queue and its bell.
#[derive(Debug, Default)]
struct Inbox {
    mode: Mode,
    queue: Mutex<Queue>,
    filled: Notify,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().expect("nothing panics while it holds a queue")
    }
}

/// What waits for messages from the broker.
#[derive(Debug)]
struct Table {
    state: Mutex<TableState>,
    last_number: AtomicU64,
    room: Arc<Semaphore>,
    welcomed: watch::Sender<bool>,
    /// The error for everything that comes after the end.
    ended: watch::Sender<Option<Ended>>,
}

#[derive(Debug, Default)]
struct TableState {
    inboxes: HashMap<u64, Arc<Inbox>>,
    subscribing: HashMap<u64, oneshot::Sender<Option<String>>>,
    publishing: HashMap<u64, oneshot::Sender<Outcome>>,
}

#[derive(Clone, Debug)]
enum Ended {
    Refused(Fault),
    Closed(String),
}

impl Default for Table {
    fn default() -> Self {
        Self {
            state: Mutex::default(),
            last_number: AtomicU64::new(0),
            room: Arc::new(Semaphore::new(UNSENT_COST_MAX)),
            welcomed: watch::Sender::new(false),
            ended: watch::Sender::new(None),
        }
    }
}

impl Table {
    fn number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn lock(&self) -> MutexGuard<'_, TableState> {
        self.state.lock().expect("nothing panics while it holds the table")
    }

    fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Changes the table unless the connection has ended, after which nobody would answer.
    fn with_open<T>(&self, change: impl FnOnce(&mut TableState) -> T) -> Result<T, Error> {
        let mut state = self.lock();
        if self.has_ended() {
            return Err(self.closed_error());
        }
        Ok(change(&mut state))
    }

    fn closed_error(&self) -> Error {
        match self.ended.borrow().clone() {
            Some(Ended::Refused(fault)) => Error::Refused(fault),
            Some(Ended::Closed(reason)) => Error::Closed(reason),
            None => Error::Closed("it is about to close".to_owned()),
        }
    }
}

/// The end of a client that takes in messages. Holds the way back weakly: a client that nobody holds closes.
#[derive(Debug)]
pub(crate) struct ClientInlet {
    table: Arc<Table>,
    commands: mpsc::WeakUnboundedSender<Option<Command>>,
}

impl ClientInlet {
    /// Tells everyone who waits that nothing will come.
    pub(crate) fn end(&self, end: &End) {
        let ended = match end {
            End::Told(fault) => Ended::Refused(fault.clone()),
            other => Ended::Closed(other.to_string()),
        };
        let mut state = self.table.lock();
        self.table.ended.send_replace(Some(ended));
        self.table.room.close();
        state.subscribing.clear();
        state.publishing.clear();
        state.inboxes.drain().for_each(|(_, inbox)| inbox.filled.notify_one());
    }

    fn send(&self, message: impl Into<Message>) {
        if let Some(commands) = self.commands.upgrade() {
            let _ended = commands.send(Some(Command(message.into(), None)));
        }
    }

    fn deliver(&self, message: Deliver) {
        let Some(inbox) = self.table.lock().inboxes.get(&message.subscription).cloned() else {
            // It was dropped; the broker learns so and refuses what waits for it.
            return;
        };
        let mut queue = inbox.lock();
        if inbox.mode == Mode::Acknowledged && queue.len() >= QUEUE_LEN_MAX {
            // A broker that keeps its own bound does not get here.
            queue.count_dropped(message.dropped.saturating_add(1));
            drop(queue);
            self.send(Acknowledge { delivery: message.delivery, refused: Some("the queue is full".to_owned()) });
            return;
        }
        queue.push(message);
        drop(queue);
        inbox.filled.notify_one();
    }
}

impl Inlet for ClientInlet {
    fn receive(&self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Welcome(_) => {
                self.table.welcomed.send_replace(true);
            }
            Message::Deliver(body) => self.deliver(body),
            Message::Subscribed(body) => {
                if let Some(answer) = self.table.lock().subscribing.remove(&body.subscription) {
                    let _given_up = answer.send(body.refused);
                }
            }
            Message::Published(body) => {
                if let Some(answer) = self.table.lock().publishing.remove(&body.request) {
                    let _given_up = answer.send(body.into_outcome()?);
                }
            }
            Message::Ping(_) => self.send(Pong {}),
            Message::Pong(_) => {}
            other => return Err(Fault::new(Code::Protocol, format!("unexpected {}", other.name()))),
        }
        Ok(())
    }

    async fn room(&self) {}
}

/// The end of a client that gives out messages.
#[derive(Debug)]
pub(crate) struct ClientOutlet(mpsc::UnboundedReceiver<Option<Command>>);

impl Outlet for ClientOutlet {
    async fn next(&mut self) -> Option<Message> {
        let Command(message, _room) = self.0.recv().await??;
        Some(message)
    }

    fn try_next(&mut self) -> Option<Message> {
        match self.0.try_recv() {
            Ok(Some(Command(message, _room))) => Some(message),
            Ok(None) => {
                // The next look finds it ended.
                self.0.close();
                None
            }
            Err(_) => None,
        }
    }
}
