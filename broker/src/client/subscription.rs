//! A subscription as the program sees it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::client::{ANSWER, Client, refusal};
use crate::error::Error;
use crate::gate::Publisher;
use crate::message::{Acknowledge, Code, Deliver, Fault, Outcome, Subscribe, Taken, Unsubscribe, WINDOW, WhenFull};
use crate::parcel::{Entry, PARCEL_LEN_MAX, Parcel};
use crate::queue::Room;
use crate::topic::Pattern;

/// What one wants to get, and how. Plain to begin with: not answered, the oldest gives way.
#[derive(Clone, Debug)]
pub struct Interest(Subscribe);

impl Interest {
    /// In every topic that `pattern` matches.
    pub fn new(pattern: impl Into<String>) -> Self {
        Self(Subscribe { pattern: pattern.into(), ..Subscribe::default() })
    }

    /// Each message is answered, and its publisher learns how where it asked.
    #[must_use]
    pub fn answering(mut self) -> Self {
        self.0.answers = true;
        self.when_full(WhenFull::DropNewest)
    }

    /// As a member of a queue group: one member gets each message.
    #[must_use]
    pub fn group(mut self, name: impl Into<String>) -> Self {
        self.0.group = name.into();
        self
    }

    /// Beginning with the last retained message of each topic.
    #[must_use]
    pub fn retained(mut self) -> Self {
        self.0.retained = true;
        self
    }

    /// What happens to messages that there is no room for.
    #[must_use]
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.0.when_full = policy.into();
        self
    }

    /// Publishers wait for room, for so long at most.
    #[must_use]
    pub fn blocking(mut self, patience: Duration) -> Self {
        self.0.patience_ms = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        self.when_full(WhenFull::Block)
    }

    /// What may wait.
    #[must_use]
    pub fn room(mut self, room: Room) -> Self {
        self.0.room_len = u32::try_from(room.len).unwrap_or(u32::MAX);
        self.0.room_bytes = room.bytes as u64;
        self
    }
}

/// What one client gets under one pattern. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    number: u64,
    inbox: Arc<Inbox>,
    client: Client,
    /// The parcel that is being taken apart, and the number of its first message.
    parcel: Parcel,
    next: u64,
    epoch: u64,
    /// What was taken and not told yet.
    untold: Room,
}

/// What comes on a subscription.
#[derive(Debug)]
pub enum Event {
    /// A message.
    Message(Delivery),
    /// Messages are missing here.
    Gap(Gap),
}

/// What is missing between the message before and the one after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gap {
    /// So many messages had no room.
    Dropped(u64),
    /// Whatever was published while there was no connection.
    Away,
}

/// One message as a subscriber gets it.
#[derive(Debug)]
pub struct Delivery {
    /// What was published.
    pub payload: Bytes,
    topic: Bytes,
    publisher: Option<Arc<Publisher>>,
    receipt: Option<Receipt>,
}

impl Subscription {
    pub(super) async fn open(client: Client, interest: &Interest) -> Result<Self, Error> {
        let Interest(subscribe) = interest;
        Pattern::parse(subscribe.pattern.as_str())?;
        let inbox = Arc::new(Inbox::new(subscribe.clone()));
        let number = client.table().number();
        let answered = client.table().subscribe(number, &inbox)?;
        // From here on, dropping it leaves nothing behind.
        let parcel = Vec::new().into();
        let subscription = Self {
            number,
            inbox,
            client: client.clone(),
            parcel,
            next: 0,
            epoch: 0,
            untold: Room { len: 0, bytes: 0 },
        };
        let opened = async {
            client.table().opened().await?;
            timeout(ANSWER, answered).await.map_err(|_| Error::TimedOut(ANSWER))
        };
        match opened.await?.map_err(|_| client.table().closed_error())? {
            Some(reason) => Err(refusal(reason)),
            None => Ok(subscription),
        }
    }

    /// The next message or gap, or nothing once the connection is gone for good and everything that came before has
    /// been received. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.try_recv() {
                return Some(event);
            }
            let has_ended = self.client.table().has_ended();
            if has_ended && self.inbox.lock().items.is_empty() {
                return None;
            }
            if !has_ended {
                self.inbox.filled.notified().await;
            }
        }
    }

    /// The next message, past gaps.
    pub async fn message(&mut self) -> Option<Delivery> {
        loop {
            if let Event::Message(delivery) = self.recv().await? {
                return Some(delivery);
            }
        }
    }

    /// The next message or gap that is here already.
    pub fn try_recv(&mut self) -> Option<Event> {
        if self.parcel.is_empty() {
            let mut inbox = self.inbox.lock();
            let (epoch, first, parcel) = match inbox.items.pop_front()? {
                Incoming::Gap(gap) => return Some(Event::Gap(gap)),
                Incoming::Parcel { epoch, first, parcel } => (epoch, first, parcel),
            };
            inbox.len -= parcel.len();
            drop(inbox);
            if epoch != self.epoch {
                (self.epoch, self.untold) = (epoch, Room { len: 0, bytes: 0 });
            }
            (self.next, self.parcel) = (first, parcel);
            self.untold = self.untold + Room { len: self.parcel.len(), bytes: self.parcel.cost() };
        }
        let Entry { topic, payload, .. } = self.parcel.pop()?;
        let publisher = self.parcel.publisher().cloned();
        let number = self.next;
        self.next += 1;
        if self.parcel.is_empty() && (self.untold.len >= WINDOW.len / 4 || self.untold.bytes >= WINDOW.bytes / 4) {
            self.untold = Room { len: 0, bytes: 0 };
            self.client.table().control_in(self.epoch, Taken { subscription: self.number, number });
        }
        let receipt = self.inbox.subscribe.answers.then(|| Receipt {
            subscription: self.number,
            number,
            epoch: self.epoch,
            inbox: self.inbox.clone(),
            client: self.client.clone(),
        });
        Some(Event::Message(Delivery { payload, topic, publisher, receipt }))
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.table().lock().inboxes.remove(&self.number);
        self.client.table().control(Unsubscribe { subscription: self.number });
    }
}

impl Delivery {
    /// What it was published under.
    pub fn topic(&self) -> &str {
        std::str::from_utf8(&self.topic).unwrap_or("?")
    }

    /// Who published it, as the broker knows them and nobody can forge; for subscribers in the broker's process, and
    /// nothing for others.
    pub fn publisher(&self) -> Option<&Publisher> {
        self.publisher.as_deref()
    }

    /// Tells the publisher that this subscriber has done what it wants done with it. Nothing where it does not answer.
    pub fn acknowledge(self) {
        self.reply(Bytes::new());
    }

    /// [`Delivery::acknowledge`], and this for a publisher that asked.
    pub fn reply(mut self, reply: impl Into<Bytes>) {
        if let Some(receipt) = self.receipt.take() {
            receipt.answer(Outcome::Accepted(reply.into()));
        }
    }

    /// Tells the publisher that it was not taken, and why.
    pub fn refuse(mut self, reason: &str) {
        if let Some(receipt) = self.receipt.take() {
            receipt.answer(Outcome::Refused(reason.to_owned()));
        }
    }

    /// Whether nobody waits for the answer any more: the publisher gave up, or there is no connection to it.
    pub fn is_cancelled(&self) -> bool {
        self.receipt.as_ref().is_some_and(Receipt::is_cancelled)
    }

    /// Resolves once [`Delivery::is_cancelled`].
    pub async fn cancelled(&self) {
        let Some(receipt) = &self.receipt else { return std::future::pending().await };
        loop {
            let changed = receipt.inbox.changed.notified();
            if receipt.is_cancelled() {
                return;
            }
            changed.await;
        }
    }
}

/// The duty to answer a message: one that is dropped is lost, so that no publisher waits in vain.
#[derive(Debug)]
struct Receipt {
    subscription: u64,
    /// The message's number, which only means something on the connection that it came by.
    number: u64,
    epoch: u64,
    inbox: Arc<Inbox>,
    client: Client,
}

impl Receipt {
    fn is_cancelled(&self) -> bool {
        let inbox = self.inbox.lock();
        inbox.epoch != self.epoch || inbox.cancelled.contains(&self.number)
    }

    fn answer(mut self, outcome: Outcome) {
        self.send(outcome);
        self.number = 0;
    }

    fn send(&self, outcome: Outcome) {
        let mut inbox = self.inbox.lock();
        if inbox.epoch == self.epoch {
            inbox.cancelled.remove(&self.number);
            inbox.unanswered.remove(&self.number);
        }
        drop(inbox);
        let Self { subscription, number, epoch, .. } = *self;
        self.client.table().control_in(epoch, Acknowledge::new(subscription, number, outcome));
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if self.number != 0 {
            self.send(Outcome::Lost("the subscriber dropped it unanswered".to_owned()));
        }
    }
}

/// A subscription's messages that the program has not taken yet.
#[derive(Debug)]
pub(super) struct Inbox {
    subscribe: Subscribe,
    state: Mutex<InboxState>,
    pub(super) filled: Notify,
    /// Deliveries were cancelled.
    changed: Notify,
}

#[derive(Debug, Default)]
struct InboxState {
    items: VecDeque<Incoming>,
    len: usize,
    /// Counts the connections that were lost.
    epoch: u64,
    /// The number of the next message that comes.
    next: u64,
    /// Messages that came by this connection and are to be answered.
    unanswered: BTreeSet<u64>,
    /// Those among them, and among the next, that nobody waits for.
    cancelled: BTreeSet<u64>,
}

#[derive(Debug)]
enum Incoming {
    Gap(Gap),
    Parcel {
        /// Of the connection that it came by.
        epoch: u64,
        /// The first message's number.
        first: u64,
        parcel: Parcel,
    },
}

impl Inbox {
    fn new(subscribe: Subscribe) -> Self {
        Self { subscribe, state: Mutex::default(), filled: Notify::new(), changed: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, InboxState> {
        self.state.lock().expect("nothing panics while it holds an inbox")
    }

    /// What is asked of the broker.
    pub(super) fn subscribe(&self, subscription: u64) -> Subscribe {
        Subscribe { subscription, ..self.subscribe.clone() }
    }

    /// It is known from now on.
    pub(super) fn begin(&self, epoch: u64) {
        self.lock().epoch = epoch;
    }

    pub(super) fn deliver(&self, message: Deliver) -> Result<(), Fault> {
        let Deliver { head, parcel } = message;
        let mut state = self.lock();
        state.len += parcel.len();
        // What came by the last connection may be there still, see [`Inbox::lost`].
        if state.len > 2 * (WINDOW.len + PARCEL_LEN_MAX) {
            return Err(Fault::new(Code::Protocol, "more deliveries than the window of a subscription allows"));
        }
        if head.gap > 0 {
            state.items.push_back(Incoming::Gap(Gap::Dropped(head.gap)));
        }
        if !parcel.is_empty() {
            let (epoch, first) = (state.epoch, head.first);
            state.next = first.saturating_add(parcel.len() as u64);
            if self.subscribe.answers {
                let numbers = first..state.next;
                state.unanswered.extend(numbers);
            }
            state.items.push_back(Incoming::Parcel { epoch, first, parcel });
        }
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    pub(super) fn cancel(&self, number: u64) {
        let mut state = self.lock();
        // It may have been answered meanwhile.
        if number >= state.next || state.unanswered.contains(&number) {
            state.cancelled.insert(number);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// The connection is gone, and with it whoever waits for answers. What came by it and is to be answered cannot be
    /// any more, and comes again where its publisher still wants it. Of a program that takes nothing, what came between
    /// two losses is lost with them.
    pub(super) fn lost(&self, epoch: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        (state.epoch, state.next) = (epoch, 0);
        state.unanswered.clear();
        state.cancelled.clear();
        let is_away = |item: &Incoming| matches!(item, Incoming::Gap(Gap::Away));
        let kept = if self.subscribe.answers { Some(0) } else { state.items.iter().position(is_away) };
        for item in state.items.drain(kept.unwrap_or(state.items.len())..) {
            if let Incoming::Parcel { parcel, .. } = item {
                state.len -= parcel.len();
            }
        }
        state.items.push_back(Incoming::Gap(Gap::Away));
        drop(guard);
        self.changed.notify_waiters();
        self.filled.notify_one();
    }
}
