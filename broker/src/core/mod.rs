//! Who gets what: the broker's state machine. Messages in, messages out, no I/O, no clock.
//!
//! A connection is [`Core::connect`]ed, hands in messages by [`Core::receive`] and takes out what is for it by
//! [`Core::take`], at its own pace; [`Core::woken`] tells which connections have something new to take, or may hand in
//! messages again. Replies come out before deliveries; deliveries of one subscription keep the order in which they were
//! published, and subscriptions take turns. Time is told: each call says how much has passed since the beginning.
//!
//! What when full?
//!
//! | bound | answer |
//! |---|---|
//! | queue of a subscription, with what was taken and is to be answered | what it asked for, see [`WhenFull`]: every message that it does not get is counted, and told in its place among those that it gets |
//! | all queues together, and what waits with publishers | as if each were full, but that nothing which waits gives way, and nobody waits for room |
//! | publications of one connection that wait for their outcome | the new one is refused |
//! | replies that a connection has not taken; messages that wait with their publisher | its messages are not taken in, see [`Core::is_held`] |
//! | messages of one connection in a second | the same |
//! | subscriptions of one connection | the new one is refused |
//! | topics with a retained message, and their bytes | the new one is not retained |
//! | what publishers that went away had to wait with | the next one's waits no longer |
//!
//! Publishing waits for nobody but a subscriber that asked for it, and for that one only as long as it is allowed to.

mod asked;
mod publish;
mod retained;
mod subscribe;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use self::asked::Asked;
use self::publish::Held;
use self::retained::Retained;
use self::subscription::Subscription;
use crate::gate::{Admitted, Claim, Gate, Peer, Publisher};
use crate::key::{self, Key};
use crate::message::{Code, Fault, Hello, Message, Outcome, Pong, Proof, Taken, Welcome, check_name};
use crate::parcel::Entry;
use crate::payload::Notice;
use crate::routes::Routes;
use crate::seal::Seal;
use crate::topic;
use crate::tree::{Branch, Role, Tree};

/// Publications of one connection that may wait for their outcome.
pub const CREDIT: u32 = 1024;
/// Replies that may wait before nothing more is taken in from a connection.
pub const REPLIES_LEN_MAX: usize = 1024;
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_LEN_MAX: usize = 256;
/// How long a connection has to prove who is there.
const PROOF_TIME: Duration = Duration::from_secs(5);
/// The longest that a publisher can be made to wait.
const PATIENCE_MAX: Duration = Duration::from_secs(30);

/// What all connections together may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections from other processes at one time.
    pub connections_len: usize,
    /// Bytes that wait in all queues and with publishers; what several subscriptions share counts for each.
    pub queued_bytes: usize,
    /// Messages that one connection from another process may publish in a second; more are not read until then.
    pub messages_per_sec: Option<u32>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections_len: 256, queued_bytes: 256 << 20, messages_per_sec: None }
    }
}

/// One connection for its whole life; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

impl ConnectionId {
    /// The number that its client is told.
    pub fn number(self) -> u64 {
        self.0
    }
}

/// The state of a broker.
#[derive(Debug)]
pub struct Core {
    gate: Gate,
    limits: Limits,
    routes: Routes,
    connections: HashMap<ConnectionId, Connection>,
    asked: Asked,
    retained: Retained,
    /// Connections that have not proved who they are, with the end of their time for it.
    unproved: BTreeMap<ConnectionId, Duration>,
    /// Connections that wait with messages for a subscription to have room, or for the clock.
    holding: BTreeSet<ConnectionId>,
    queued_bytes: usize,
    woken: Vec<ConnectionId>,
    /// When whoever keeps the time calls next, as it was told.
    due: Option<Duration>,
    /// It is to call before what it was told.
    is_due_sooner: bool,
    /// The last number given to a connection, and to a turn in a group.
    last_number: u64,
    last_turn: u64,
    is_shut: bool,
}

#[derive(Debug)]
struct Connection {
    peer: Peer,
    stage: Stage,
    /// What it is encrypted with, if it is.
    seal: Option<Seal>,
    replies: VecDeque<Message>,
    subscriptions: BTreeMap<u64, Subscription>,
    /// Subscriptions whose queue is not empty, each once, in the order of their turns.
    ready: VecDeque<u64>,
    /// Those of its publications whose outcome is open, by its own number for them.
    asking: HashMap<u64, u64>,
    held: Option<Held>,
    allowance: Option<Allowance>,
    is_woken: bool,
    /// Nothing more is taken in from it; the fault is among its replies.
    is_ended: bool,
    presence: Presence,
}

/// A connection goes, and what its publisher had to wait with goes its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    There,
    /// Gone; what it left still waits for room, as long as it may.
    Left,
    /// Gone; what it left waits for nothing.
    Forgotten,
}

#[derive(Debug)]
enum Stage {
    Silent,
    Claims(Box<Claim>),
    Open(Arc<Publisher>),
}

/// How many messages may still come now.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    per_sec: f64,
    messages: f64,
    at: Duration,
}

impl Stage {
    fn name(&self) -> Option<&str> {
        self.publisher().map(|publisher| publisher.name.as_str())
    }

    /// Who is there, once proved.
    fn publisher(&self) -> Option<&Arc<Publisher>> {
        match self {
            Self::Open(publisher) => Some(publisher),
            Self::Silent | Self::Claims(_) => None,
        }
    }
}

impl Connection {
    fn new(peer: Peer, stage: Stage, allowance: Option<Allowance>) -> Self {
        Self {
            peer,
            stage,
            seal: None,
            replies: VecDeque::new(),
            subscriptions: BTreeMap::new(),
            ready: VecDeque::new(),
            asking: HashMap::new(),
            held: None,
            allowance,
            is_woken: false,
            is_ended: false,
            presence: Presence::There,
        }
    }
}

impl Core {
    /// A broker without connections.
    pub fn new(gate: Gate, tree: &'static [Branch], limits: Limits) -> Self {
        Self {
            gate,
            limits,
            routes: Routes::new(Tree::new(tree)),
            connections: HashMap::new(),
            asked: Asked::default(),
            retained: Retained::default(),
            unproved: BTreeMap::new(),
            holding: BTreeSet::new(),
            queued_bytes: 0,
            woken: Vec::new(),
            due: None,
            is_due_sooner: false,
            last_number: 0,
            last_turn: 0,
            is_shut: false,
        }
    }

    /// Takes in a connection from another process; its first message must be `Hello`.
    pub fn connect(&mut self, peer: Peer, now: Duration) -> ConnectionId {
        let allowance = self.limits.messages_per_sec.map(Allowance::new);
        let id = self.insert(peer, Stage::Silent, allowance);
        self.unproved.insert(id, now + PROOF_TIME);
        self.call_by(now + PROOF_TIME);
        id
    }

    /// Takes in a client of the process that the broker is in, under a valid name.
    pub fn connect_local(&mut self, name: &str) -> ConnectionId {
        check_name(name).expect("clients in the broker's process have valid names");
        let peer = Peer::default();
        let publisher = Publisher { name: name.to_owned(), role: Role::Agent, peer };
        self.insert(peer, Stage::Open(publisher.into()), None)
    }

    fn insert(&mut self, peer: Peer, stage: Stage, allowance: Option<Allowance>) -> ConnectionId {
        self.last_number += 1;
        let id = ConnectionId(self.last_number);
        self.connections.insert(id, Connection::new(peer, stage, allowance));
        id
    }

    /// Forgets a connection: refuses what waits for its answer, cancels what it asked. What it published and has to wait
    /// with goes its way without it, but without questions: nobody hears the answers.
    pub fn disconnect(&mut self, id: ConnectionId, now: Duration) {
        if self.connections.get(&id).is_none_or(|it| it.presence != Presence::There) {
            return;
        }
        let Some(connection) = self.connections.remove(&id) else { return };
        let Connection { peer, stage, subscriptions, asking, held, .. } = connection;
        self.unproved.remove(&id);
        for publication in asking.into_values() {
            self.cancel(publication);
        }
        let who_left = format!("subscriber `{}` disconnected", stage.name().unwrap_or("unnamed"));
        for number in subscriptions.keys() {
            self.routes.remove((id, *number));
        }
        for (number, subscription) in subscriptions {
            self.abandon((id, number), subscription, &who_left, now);
        }
        if let Some(held) = held {
            let presence = if self.may_stay(&held) { Presence::Left } else { Presence::Forgotten };
            let left = Connection { held: Some(held), presence, ..Connection::new(peer, stage, None) };
            self.connections.insert(id, left);
        }
        self.resume_all(now);
    }

    /// Handles one message. A fault ends the connection.
    pub fn receive(&mut self, from: ConnectionId, message: Message, now: Duration) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(&from).filter(|it| !it.is_ended) else { return Ok(()) };
        let handled = match (&connection.stage, message) {
            (Stage::Silent, Message::Hello(hello)) => self.greet(from, hello),
            (Stage::Claims(_), Message::Proof(proof)) => self.admit(from, &proof),
            (Stage::Silent | Stage::Claims(_), other) => {
                Err(Fault::new(Code::Protocol, format!("{} before the connection is proved", other.name())))
            }
            (Stage::Open(_), message) => self.handle(from, message, now),
        };
        handled.inspect_err(|fault| self.blame(from, fault, now))
    }

    fn handle(&mut self, from: ConnectionId, message: Message, now: Duration) -> Result<(), Fault> {
        match message {
            Message::Publish(parcel) => self.publish(from, parcel, now)?,
            Message::Acknowledge(body) => self.acknowledge(from, body, now)?,
            Message::Subscribe(body) => self.subscribe(from, &body, now)?,
            Message::Unsubscribe(body) => self.unsubscribe(from, &body, now),
            Message::Cancel(body) => self.withdraw(from, body.request, now),
            Message::Taken(Taken { subscription, number }) => self.taken((from, subscription), number),
            Message::Ping(_) => self.reply(from, Pong {}),
            Message::Pong(_) => {}
            other => return Err(Fault::new(Code::Protocol, format!("unexpected {}", other.name()))),
        }
        Ok(())
    }

    /// The next message for a connection.
    pub fn take(&mut self, id: ConnectionId, now: Duration) -> Option<Message> {
        let connection = self.connections.get_mut(&id)?;
        connection.is_woken = false;
        if let Some(reply) = connection.replies.pop_front() {
            return Some(reply);
        }
        if connection.is_ended {
            return None;
        }
        let number = connection.ready.pop_front()?;
        let subscription = connection.subscriptions.get_mut(&number).expect("those ready exist");
        let before = subscription.queued_bytes();
        let deliver = subscription.take(number);
        self.queued_bytes -= before - subscription.queued_bytes();
        if subscription.is_ready() {
            connection.ready.push_back(number);
        }
        if !subscription.awaited_by.is_empty() {
            self.resume_for((id, number), now);
        }
        Some(Message::Deliver(deliver))
    }

    /// Whether a connection has taken everything that is for it: nothing waits, here or with a publisher.
    pub fn is_drained(&self, id: ConnectionId) -> bool {
        let Some(connection) = self.connections.get(&id) else { return true };
        let nothing_waits = || connection.subscriptions.values().all(Subscription::is_empty);
        let mut held = self.holding.iter().filter_map(|publisher| self.connections[publisher].held.as_ref());
        connection.replies.is_empty() && (connection.is_ended || nothing_waits() && !held.any(|held| held.is_for(id)))
    }

    /// Whether nothing more should be taken in from a connection for now.
    pub fn is_held(&self, id: ConnectionId) -> bool {
        let is_over = self.queued_bytes >= self.limits.queued_bytes;
        let waits = |it: &Connection| it.held.as_ref().is_some_and(|held| held.is_full() || is_over);
        self.is_unread(id) || self.connections.get(&id).is_some_and(waits)
    }

    /// Whether that is because it does not take its replies.
    pub fn is_unread(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|it| it.replies.len() >= REPLIES_LEN_MAX)
    }

    /// Whether [`Core::expire`] has to be called before the time that it gave, since the last call.
    pub fn is_due_sooner(&mut self) -> bool {
        mem::take(&mut self.is_due_sooner)
    }

    fn call_by(&mut self, until: Duration) {
        if self.due.is_none_or(|due| until < due) {
            self.due = Some(until);
            self.is_due_sooner = true;
        }
    }

    /// Whether a connection has proved who it is.
    pub fn is_proved(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|it| matches!(it.stage, Stage::Open(_)))
    }

    /// The connections that have something to take, or may hand in messages again, since the last call.
    pub fn woken(&mut self) -> Vec<ConnectionId> {
        mem::take(&mut self.woken)
    }

    /// Does what was put off until now; when to call again at the latest.
    pub fn expire(&mut self, now: Duration) -> Option<Duration> {
        self.resume_all(now);
        let late: Vec<_> = self.unproved.iter().filter(|(_, until)| now >= **until).map(|(id, _)| *id).collect();
        for id in late {
            self.unproved.remove(&id);
            let text = format!("not proved within {} seconds who is there", PROOF_TIME.as_secs());
            self.end(id, Fault::new(Code::Silence, text), now);
        }
        let held = self.holding.iter().filter_map(|id| self.connections[id].held.as_ref()).map(|held| held.until);
        self.due = held.chain(self.unproved.values().copied()).min();
        self.is_due_sooner = false;
        self.due
    }

    /// The name of a connection, once it has proved it; safe to print.
    pub fn name(&self, id: ConnectionId) -> Option<&str> {
        self.connections.get(&id)?.stage.name()
    }

    /// Lets a process that was started here in as a collector, if it holds this key.
    pub fn expect(&mut self, pid: u32, key: Key) {
        self.gate.expect(pid, key);
    }

    /// Whether the process of this number is let in by a key of its own.
    pub fn is_expected(&self, pid: u32) -> bool {
        self.gate.is_expected(pid)
    }

    /// A process that was started here is no more.
    pub fn forget(&mut self, pid: u32) {
        self.gate.forget(pid);
    }

    /// Bytes that wait in all queues and with publishers.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// Refuses all publications to come, and settles every one whose outcome is open.
    pub fn shut(&mut self) {
        self.is_shut = true;
        for publication in self.asked.all() {
            let was_given = self.asked.deliveries(publication).iter().any(|((id, subscription), number)| {
                let connection = self.connections.get(id);
                let subscription = connection.and_then(|it| it.subscriptions.get(subscription));
                subscription.is_some_and(|it| it.was_sent(*number))
            });
            let reason = publish::SHUTDOWN.to_owned();
            let outcome = if was_given { Outcome::Lost(reason) } else { Outcome::Refused(reason) };
            self.settle(publication, outcome);
        }
    }

    /// Puts on record what was refused, for whoever listens.
    pub fn note(&mut self, action: &str, id: ConnectionId, text: &str, now: Duration) {
        let connection = self.connections.get(&id);
        let peer = connection.map(|it| it.peer).unwrap_or_default();
        let name = connection.and_then(|it| it.stage.name()).unwrap_or_default().to_owned();
        self.note_peer(action, peer, name, text, now);
    }

    /// [`Core::note`] about somebody who never had a connection.
    pub fn note_peer(&mut self, action: &str, peer: Peer, name: String, text: &str, now: Duration) {
        let Peer { uid, gid, pid } = peer;
        let payload = Notice { action: action.to_owned(), name, uid, gid, pid, text: text.to_owned() }.to_payload();
        let topic = topic::audit("broker", action).into();
        self.distribute_own(Entry { topic, payload, ..Entry::default() }, now);
    }

    fn greet(&mut self, from: ConnectionId, hello: Hello) -> Result<(), Fault> {
        let nonce = key::nonce().map_err(|error| Fault::new(Code::Busy, error.to_string()))?;
        let peer = self.connection(from).peer;
        let claim = self.gate.challenge(peer, hello, nonce)?;
        self.reply(from, claim.challenge());
        self.connection(from).stage = Stage::Claims(Box::new(claim));
        Ok(())
    }

    fn admit(&mut self, from: ConnectionId, proof: &Proof) -> Result<(), Fault> {
        if let Stage::Claims(claim) = mem::replace(&mut self.connection(from).stage, Stage::Silent) {
            let Admitted { name, role, seal } = claim.admit(proof)?;
            let connection = self.connection(from);
            connection.seal = seal;
            connection.stage = Stage::Open(Publisher { name, role, peer: connection.peer }.into());
            self.unproved.remove(&from);
            self.reply(from, Welcome { connection: from.0, credit: CREDIT });
        }
        Ok(())
    }

    /// What a connection is encrypted with, since it was proved.
    pub(crate) fn seal(&self, id: ConnectionId) -> Option<Seal> {
        self.connections.get(&id)?.seal.clone()
    }

    /// Takes in nothing more from a connection at fault, and puts on record why, once.
    pub fn blame(&mut self, id: ConnectionId, fault: &Fault, now: Duration) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if !mem::replace(&mut connection.is_ended, true) {
            self.note("connection_ended", id, &fault.text, now);
        }
    }

    /// Ends a connection by a fault that it is told.
    fn end(&mut self, id: ConnectionId, fault: Fault, now: Duration) {
        self.blame(id, &fault, now);
        self.reply(id, fault);
    }

    fn reply(&mut self, to: ConnectionId, message: impl Into<Message>) {
        self.connection(to).replies.push_back(message.into());
        self.wake(to);
    }

    fn wake(&mut self, id: ConnectionId) {
        let connection = self.connection(id);
        if !mem::replace(&mut connection.is_woken, true) {
            self.woken.push(id);
        }
    }

    fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.get_mut(&id).expect("what a connection leaves behind is removed with it")
    }
}
