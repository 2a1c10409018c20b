//! Who gets what: the broker's state machine. Messages in, messages out, no I/O, no clock.
//!
//! A connection is [`Core::connect`]ed, hands in messages by [`Core::receive`] and takes out what is for it by
//! [`Core::take`], at its own pace; [`Core::woken`] tells which connections have something new. Replies come out
//! before deliveries; deliveries of one subscription keep the order in which they were published, and subscriptions
//! take turns.
//!
//! What when full?
//!
//! | bound | answer |
//! |---|---|
//! | queue of a plain subscription | the oldest delivery is dropped and counted in the next |
//! | deliveries to an acknowledged subscription, queued or unanswered | the new one is refused, and counted in the next |
//! | publications of one connection that wait for their outcome | the new one is refused |
//! | replies that a connection has not taken | its messages wait, see [`Core::is_backlogged`] |
//! | subscriptions of one connection | the new one is refused |
//!
//! Publishing never waits for a subscriber, so a stalled one costs the others nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::mem;

use crate::message::{
    Acknowledge, Code, Deliver, Fault, Hello, Message, Mode, Outcome, PAYLOAD_LEN_MAX, PROTOCOL_MAX, PROTOCOL_MIN,
    Pong, Publish, Published, Subscribe, Subscribed, Welcome, check_name, truncated,
};
use crate::queue::{QUEUE_BYTES_MAX, QUEUE_LEN_MAX, Queue, cost};
use crate::topic::{Pattern, Topic};

/// Publications of one connection that may wait for their outcome.
pub const UNSETTLED_LEN_MAX: usize = 1024;
/// Replies that may wait before nothing more is read from a connection.
pub const REPLIES_LEN_MAX: usize = 1024;
/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_LEN_MAX: usize = 256;

/// One connection for its whole life; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(u64);

/// The state of a broker.
#[derive(Debug, Default)]
pub struct Core {
    connections: BTreeMap<ConnectionId, Connection>,
    /// Publications whose outcome is open, by a number of the broker's own.
    unsettled: HashMap<u64, Unsettled>,
    /// Which publication an unanswered delivery may settle. The publication may be settled already.
    awaited: HashMap<u64, u64>,
    woken: BTreeSet<ConnectionId>,
    /// The last number given to a connection, delivery or publication.
    last_number: u64,
    is_shut: bool,
}

#[derive(Debug, Default)]
struct Connection {
    /// Known after the handshake.
    name: Option<String>,
    replies: VecDeque<Message>,
    subscriptions: BTreeMap<u64, Subscription>,
    /// Subscriptions whose queue is not empty, each once, in the order of their turns.
    ready: VecDeque<u64>,
    unsettled_len: usize,
}

#[derive(Debug)]
struct Subscription {
    pattern: Pattern,
    mode: Mode,
    queue: Queue,
    /// Deliveries that were taken and not yet answered, with what they count for.
    unanswered: HashMap<u64, usize>,
    unanswered_bytes: usize,
}

#[derive(Debug)]
struct Unsettled {
    publisher: ConnectionId,
    request: u64,
    waiting_len: usize,
}

impl Core {
    /// Takes in a connection; its first message must be `Hello`.
    pub fn connect(&mut self) -> ConnectionId {
        let id = ConnectionId(self.number());
        self.connections.insert(id, Connection::default());
        id
    }

    /// Forgets a connection and refuses what waits for it.
    pub fn disconnect(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.woken.remove(&id);
        self.unsettled.retain(|_, unsettled| unsettled.publisher != id);
        let reason = format!("subscriber `{}` disconnected before acknowledging", connection.display_name());
        for subscription in connection.subscriptions.into_values() {
            self.refuse_all(subscription, &reason);
        }
    }

    /// Handles one message. A fault ends the connection.
    pub fn receive(&mut self, from: ConnectionId, message: Message) -> Result<(), Fault> {
        let connection = self.connections.get_mut(&from).expect("messages come from connections");
        if connection.name.is_none() {
            return match message {
                Message::Hello(hello) => self.greet(from, hello),
                other => Err(Fault::new(Code::Protocol, format!("{} before Hello", other.name()))),
            };
        }
        match message {
            Message::Subscribe(subscribe) => self.subscribe(from, subscribe)?,
            Message::Unsubscribe(body) => {
                if let Some(subscription) = connection.unsubscribe(body.subscription) {
                    let reason = format!("subscriber `{}` unsubscribed", connection.display_name());
                    self.refuse_all(subscription, &reason);
                }
            }
            Message::Publish(publish) => self.publish(from, publish)?,
            Message::Acknowledge(body) => self.acknowledge(from, body),
            Message::Ping(_) => self.reply(from, Pong {}),
            Message::Pong(_) => {}
            other => return Err(Fault::new(Code::Protocol, format!("unexpected {}", other.name()))),
        }
        Ok(())
    }

    /// The next message for a connection.
    pub fn take(&mut self, id: ConnectionId) -> Option<Message> {
        self.connections.get_mut(&id)?.take()
    }

    /// Whether a connection has so many untaken replies that nothing more should be read from it.
    pub fn is_backlogged(&self, id: ConnectionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| connection.replies.len() >= REPLIES_LEN_MAX)
    }

    /// The connections that got something to take since the last call.
    pub fn woken(&mut self) -> BTreeSet<ConnectionId> {
        mem::take(&mut self.woken)
    }

    /// The name of a connection, once it has said it; safe to print.
    pub fn name(&self, id: ConnectionId) -> Option<&str> {
        self.connections.get(&id)?.name.as_deref()
    }

    /// Refuses every publication whose outcome is open, and all to come.
    pub fn shut(&mut self) {
        self.is_shut = true;
        for number in self.unsettled.keys().copied().collect::<Vec<_>>() {
            self.settle(number, refused_at_shutdown());
        }
    }

    fn greet(&mut self, from: ConnectionId, hello: Hello) -> Result<(), Fault> {
        let Hello { protocol_min, protocol_max, name } = hello;
        let protocol = protocol_max.min(PROTOCOL_MAX);
        if protocol < protocol_min.max(PROTOCOL_MIN) {
            let text = format!(
                "protocol {protocol_min} to {protocol_max} offered, this broker speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}"
            );
            return Err(Fault::new(Code::Version, text));
        }
        check_name(&name).map_err(|text| Fault::new(Code::Protocol, text))?;
        self.connection(from).name = Some(name);
        self.reply(from, Welcome { protocol });
        Ok(())
    }

    fn subscribe(&mut self, from: ConnectionId, body: Subscribe) -> Result<(), Fault> {
        let mode = Mode::try_from(body.mode).map_err(|error| Fault::new(Code::Protocol, error.to_string()))?;
        let id = body.subscription;
        let connection = self.connection(from);
        if connection.subscriptions.contains_key(&id) {
            return Err(Fault::new(Code::Protocol, format!("subscription {id} exists already")));
        }
        let refused = if connection.subscriptions.len() >= SUBSCRIPTIONS_LEN_MAX {
            Some(format!("{SUBSCRIPTIONS_LEN_MAX} subscriptions of one client, no more are allowed"))
        } else {
            let pattern = Pattern::parse(body.pattern).map_err(|error| error.to_string());
            pattern.map(|pattern| connection.subscriptions.insert(id, Subscription::new(pattern, mode))).err()
        };
        self.reply(from, Subscribed { subscription: id, refused });
        Ok(())
    }

    fn publish(&mut self, from: ConnectionId, body: Publish) -> Result<(), Fault> {
        let topic = Topic::parse(body.topic).map_err(|error| Fault::new(Code::Protocol, error.to_string()))?;
        let len = body.payload.len();
        if len > PAYLOAD_LEN_MAX {
            let text = format!("payload of {len} bytes, at most {PAYLOAD_LEN_MAX} are allowed");
            return Err(Fault::new(Code::Protocol, text));
        }
        let deliver = Deliver { topic: topic.as_str().to_owned(), payload: body.payload, ..Deliver::default() };
        let Some(request) = body.request else {
            self.distribute(&topic, &deliver);
            return Ok(());
        };
        let outcome = if self.is_shut {
            Some(refused_at_shutdown())
        } else if self.connection(from).unsettled_len >= UNSETTLED_LEN_MAX {
            let reason = format!("{UNSETTLED_LEN_MAX} publications already wait for their outcome");
            Some(Outcome::Refused(reason))
        } else {
            let (waiting, full) = self.distribute(&topic, &deliver);
            match full {
                Some(name) => Some(Outcome::Refused(format!("the queue of subscriber `{name}` is full"))),
                None if waiting.is_empty() => Some(Outcome::Nobody),
                None => {
                    self.await_all(from, request, &waiting);
                    None
                }
            }
        };
        if let Some(outcome) = outcome {
            self.reply(from, Published::new(request, outcome));
        }
        Ok(())
    }

    /// Queues a message for everyone who wants it: the deliveries to be acknowledged, and who had no room for one.
    fn distribute(&mut self, topic: &Topic, message: &Deliver) -> (Vec<u64>, Option<String>) {
        let (mut waiting, mut full) = (Vec::new(), None);
        for (id, connection) in &mut self.connections {
            for (number, subscription) in &mut connection.subscriptions {
                if !subscription.pattern.matches(topic) {
                    continue;
                }
                let mut message = Deliver { subscription: *number, ..message.clone() };
                if subscription.mode == Mode::Acknowledged {
                    if !subscription.has_room(&message) {
                        subscription.queue.count_dropped(1);
                        full = full.or_else(|| connection.name.clone());
                        continue;
                    }
                    self.last_number += 1;
                    message.delivery = self.last_number;
                    waiting.push(message.delivery);
                }
                if subscription.queue.len() == 0 {
                    connection.ready.push_back(*number);
                }
                subscription.queue.push(message);
                self.woken.insert(*id);
            }
        }
        (waiting, full)
    }

    fn await_all(&mut self, publisher: ConnectionId, request: u64, deliveries: &[u64]) {
        let number = self.number();
        self.awaited.extend(deliveries.iter().map(|delivery| (*delivery, number)));
        self.unsettled.insert(number, Unsettled { publisher, request, waiting_len: deliveries.len() });
        self.connection(publisher).unsettled_len += 1;
    }

    fn acknowledge(&mut self, from: ConnectionId, body: Acknowledge) {
        // A late answer, after the end of the subscription, finds nothing and means nothing.
        if !self.connection(from).answered(body.delivery) {
            return;
        }
        self.answer(body.delivery, body.refused.map(truncated));
    }

    fn refuse_all(&mut self, subscription: Subscription, reason: &str) {
        let queued = subscription.queue.iter().map(|message| message.delivery);
        for delivery in queued.chain(subscription.unanswered.into_keys()) {
            self.answer(delivery, Some(reason.to_owned()));
        }
    }

    fn answer(&mut self, delivery: u64, refused: Option<String>) {
        let Some(number) = self.awaited.remove(&delivery) else { return };
        let Some(unsettled) = self.unsettled.get_mut(&number) else { return };
        unsettled.waiting_len -= 1;
        match refused {
            Some(reason) => self.settle(number, Outcome::Refused(reason)),
            None if unsettled.waiting_len == 0 => self.settle(number, Outcome::Accepted),
            None => {}
        }
    }

    fn settle(&mut self, number: u64, outcome: Outcome) {
        let Unsettled { publisher, request, .. } = self.unsettled.remove(&number).expect("settled once");
        self.connection(publisher).unsettled_len -= 1;
        self.reply(publisher, Published::new(request, outcome));
    }

    fn reply(&mut self, to: ConnectionId, message: impl Into<Message>) {
        self.connection(to).replies.push_back(message.into());
        self.woken.insert(to);
    }

    fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.get_mut(&id).expect("what a connection leaves behind is removed with it")
    }

    fn number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }
}

impl Connection {
    fn display_name(&self) -> &str {
        self.name.as_deref().unwrap_or("unnamed")
    }

    fn take(&mut self) -> Option<Message> {
        if let Some(reply) = self.replies.pop_front() {
            return Some(reply);
        }
        let number = self.ready.pop_front()?;
        let subscription = self.subscriptions.get_mut(&number).expect("those ready exist");
        let message = subscription.queue.pop().expect("those ready have something");
        if subscription.mode == Mode::Acknowledged {
            subscription.unanswered.insert(message.delivery, cost(&message));
            subscription.unanswered_bytes += cost(&message);
        }
        if subscription.queue.len() > 0 {
            self.ready.push_back(number);
        }
        Some(message.into())
    }

    fn unsubscribe(&mut self, number: u64) -> Option<Subscription> {
        self.ready.retain(|ready| *ready != number);
        self.subscriptions.remove(&number)
    }

    /// Frees the room that a taken delivery held; false where there is no such delivery.
    fn answered(&mut self, delivery: u64) -> bool {
        self.subscriptions.values_mut().any(|subscription| {
            let cost = subscription.unanswered.remove(&delivery);
            subscription.unanswered_bytes -= cost.unwrap_or(0);
            cost.is_some()
        })
    }
}

impl Subscription {
    fn new(pattern: Pattern, mode: Mode) -> Self {
        Self { pattern, mode, queue: Queue::default(), unanswered: HashMap::new(), unanswered_bytes: 0 }
    }

    fn has_room(&self, message: &Deliver) -> bool {
        self.queue.len() + self.unanswered.len() < QUEUE_LEN_MAX
            && self.queue.bytes() + self.unanswered_bytes + cost(message) <= QUEUE_BYTES_MAX
    }
}

fn refused_at_shutdown() -> Outcome {
    Outcome::Refused("the broker is shutting down".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{OutcomeKind, Unsubscribe};
    use bytes::Bytes;
    use proptest::prelude::*;

    fn greeted(core: &mut Core, name: &str) -> ConnectionId {
        let id = core.connect();
        let hello = Hello { protocol_min: PROTOCOL_MIN, protocol_max: 9, name: name.to_owned() };
        core.receive(id, hello.into()).unwrap();
        assert_eq!(core.take(id), Some(Welcome { protocol: PROTOCOL_MAX }.into()));
        id
    }

    fn subscribe(core: &mut Core, id: ConnectionId, number: u64, pattern: &str, mode: Mode) {
        let body = Subscribe { subscription: number, pattern: pattern.to_owned(), mode: mode.into() };
        core.receive(id, body.into()).unwrap();
        assert_eq!(core.take(id), Some(Subscribed { subscription: number, refused: None }.into()));
    }

    fn publish(core: &mut Core, id: ConnectionId, request: Option<u64>, topic: &str, payload: &Bytes) {
        let body = Publish { request, topic: topic.to_owned(), payload: payload.clone() };
        core.receive(id, body.into()).unwrap();
    }

    fn taken(core: &mut Core, id: ConnectionId) -> Option<Deliver> {
        core.take(id).map(|message| match message {
            Message::Deliver(deliver) => deliver,
            other => panic!("{other:?}"),
        })
    }

    fn outcome(core: &mut Core, id: ConnectionId) -> Option<(u64, Outcome)> {
        core.take(id).map(|message| match message {
            Message::Published(body) => (body.request, body.into_outcome().unwrap()),
            other => panic!("{other:?}"),
        })
    }

    fn answer(core: &mut Core, id: ConnectionId, delivery: u64, refused: Option<&str>) {
        core.receive(id, Acknowledge { delivery, refused: refused.map(str::to_owned) }.into()).unwrap();
    }

    #[test]
    fn the_handshake_comes_first_and_once() {
        let mut core = Core::default();
        let fault = |core: &mut Core, message: Message| {
            let id = core.connect();
            let fault = core.receive(id, message).unwrap_err();
            assert_eq!(core.name(id), None);
            (fault.code(), fault.text)
        };
        let hello = |protocol_min, protocol_max, name: &str| {
            Message::from(Hello { protocol_min, protocol_max, name: name.to_owned() })
        };
        assert_eq!(fault(&mut core, Pong {}.into()), (Code::Protocol, "Pong before Hello".to_owned()));
        let text = "protocol 2 to 9 offered, this broker speaks 1 to 1".to_owned();
        assert_eq!(fault(&mut core, hello(2, 9, "a")), (Code::Version, text));
        assert_eq!(fault(&mut core, hello(0, 0, "a")).0, Code::Version);
        for name in ["", "a b", "\u{1b}[2J", &"a".repeat(65)] {
            assert_eq!(fault(&mut core, hello(1, 1, name)).0, Code::Protocol);
        }
        let id = greeted(&mut core, "a");
        assert_eq!(core.receive(id, hello(1, 1, "a")).unwrap_err().text, "unexpected Hello");
        assert_eq!(core.receive(id, Welcome { protocol: 1 }.into()).unwrap_err().text, "unexpected Welcome");
    }

    #[test]
    fn an_outcome_says_what_every_acknowledging_subscriber_said() {
        let mut core = Core::default();
        let publisher = greeted(&mut core, "publisher");
        let [plain, one, two] = ["plain", "one", "two"].map(|name| greeted(&mut core, name));
        let payload = Bytes::from_static(b"x");
        subscribe(&mut core, plain, 1, "t", Mode::Plain);
        publish(&mut core, publisher, Some(1), "t", &payload);
        assert_eq!(outcome(&mut core, publisher), Some((1, Outcome::Nobody)));
        assert_eq!(taken(&mut core, plain).unwrap().delivery, 0);

        subscribe(&mut core, one, 1, "t", Mode::Acknowledged);
        subscribe(&mut core, two, 1, ">", Mode::Acknowledged);
        publish(&mut core, publisher, Some(2), "t", &payload);
        let deliveries = [one, two].map(|id| taken(&mut core, id).unwrap().delivery);
        // Nobody answers for another.
        answer(&mut core, two, deliveries[0], None);
        answer(&mut core, one, deliveries[0], None);
        answer(&mut core, one, deliveries[0], None);
        assert_eq!(outcome(&mut core, publisher), None);
        answer(&mut core, two, deliveries[1], None);
        assert_eq!(outcome(&mut core, publisher), Some((2, Outcome::Accepted)));

        publish(&mut core, publisher, Some(3), "t", &payload);
        let deliveries = [one, two].map(|id| taken(&mut core, id).unwrap().delivery);
        answer(&mut core, two, deliveries[1], Some("disk full"));
        assert_eq!(outcome(&mut core, publisher), Some((3, Outcome::Refused("disk full".to_owned()))));
        answer(&mut core, one, deliveries[0], None);
        assert_eq!(outcome(&mut core, publisher), None);

        publish(&mut core, publisher, Some(4), "t", &payload);
        core.receive(one, Unsubscribe { subscription: 1 }.into()).unwrap();
        let reason = "subscriber `one` unsubscribed".to_owned();
        assert_eq!(outcome(&mut core, publisher), Some((4, Outcome::Refused(reason))));
        publish(&mut core, publisher, Some(5), "t", &payload);
        core.disconnect(two);
        let reason = "subscriber `two` disconnected before acknowledging".to_owned();
        assert_eq!(outcome(&mut core, publisher), Some((5, Outcome::Refused(reason))));
    }

    #[test]
    fn a_full_acknowledged_subscriber_refuses_until_it_answers() {
        let mut core = Core::default();
        let (publisher, slow) = (greeted(&mut core, "publisher"), greeted(&mut core, "slow"));
        subscribe(&mut core, slow, 1, ">", Mode::Acknowledged);
        let payload = Bytes::new();
        for _ in 0..QUEUE_LEN_MAX {
            publish(&mut core, publisher, None, "t", &payload);
        }
        // What was taken and not answered counts as well.
        let first = taken(&mut core, slow).unwrap();
        publish(&mut core, publisher, Some(1), "t", &payload);
        let full = Outcome::Refused("the queue of subscriber `slow` is full".to_owned());
        assert_eq!(outcome(&mut core, publisher), Some((1, full)));
        // An answer to what was not taken yet makes no room.
        answer(&mut core, slow, first.delivery + 1, None);
        publish(&mut core, publisher, None, "t", &payload);
        answer(&mut core, slow, first.delivery, None);
        publish(&mut core, publisher, Some(2), "t", &payload);
        let rest: Vec<_> = std::iter::from_fn(|| taken(&mut core, slow)).collect();
        assert_eq!((rest.len(), rest.last().unwrap().dropped), (QUEUE_LEN_MAX, 2));
    }

    #[test]
    fn publications_that_wait_are_bounded() {
        let mut core = Core::default();
        let publisher = greeted(&mut core, "publisher");
        let subscribers = ["one", "two"].map(|name| greeted(&mut core, name));
        subscribe(&mut core, subscribers[0], 1, "one", Mode::Acknowledged);
        subscribe(&mut core, subscribers[1], 1, "two", Mode::Acknowledged);
        for request in 0..UNSETTLED_LEN_MAX as u64 {
            publish(&mut core, publisher, Some(request), if request % 2 == 0 { "one" } else { "two" }, &Bytes::new());
        }
        assert_eq!(outcome(&mut core, publisher), None);
        publish(&mut core, publisher, Some(9_999), "one", &Bytes::new());
        let reason = format!("{UNSETTLED_LEN_MAX} publications already wait for their outcome");
        assert_eq!(outcome(&mut core, publisher), Some((9_999, Outcome::Refused(reason))));
        core.disconnect(publisher);
        assert!(core.unsettled.is_empty());
        core.shut();
        for id in subscribers {
            core.disconnect(id);
        }
        assert!(core.awaited.is_empty() && core.connections.is_empty());
    }

    #[test]
    fn subscriptions_take_turns_and_replies_go_first() {
        let mut core = Core::default();
        let id = greeted(&mut core, "a");
        subscribe(&mut core, id, 1, "one", Mode::Plain);
        subscribe(&mut core, id, 2, "two", Mode::Plain);
        for topic in ["one", "one", "one", "two"] {
            publish(&mut core, id, None, topic, &Bytes::new());
        }
        core.receive(id, crate::message::Ping {}.into()).unwrap();
        assert_eq!(core.take(id), Some(Pong {}.into()));
        let order: Vec<_> = std::iter::from_fn(|| taken(&mut core, id)).map(|deliver| deliver.topic).collect();
        assert_eq!(order, ["one", "two", "one", "one"]);
    }

    #[test]
    fn limits_and_lies_of_one_client() {
        let mut core = Core::default();
        let id = greeted(&mut core, "a");
        for number in 0..SUBSCRIPTIONS_LEN_MAX as u64 {
            subscribe(&mut core, id, number, "t", Mode::Plain);
        }
        let more = |subscription, pattern: &str, mode| {
            Message::from(Subscribe { subscription, pattern: pattern.to_owned(), mode })
        };
        core.receive(id, more(9_999, "t", 0)).unwrap();
        let Some(Message::Subscribed(body)) = core.take(id) else { panic!("no reply") };
        assert_eq!(body.refused.unwrap(), "256 subscriptions of one client, no more are allowed");
        core.receive(id, Unsubscribe { subscription: 7 }.into()).unwrap();
        core.receive(id, more(7, "a..b", 0)).unwrap();
        let Some(Message::Subscribed(body)) = core.take(id) else { panic!("no reply") };
        assert_eq!(body.refused.unwrap(), "invalid pattern \"a..b\": no part between dots is empty");
        core.receive(id, more(8, "t", 0)).unwrap_err();
        core.receive(id, more(7, "t", 5)).unwrap_err();
        core.receive(id, Publish { topic: "a.*".to_owned(), ..Publish::default() }.into()).unwrap_err();
    }

    #[derive(Clone, Debug)]
    enum Step {
        Publish { publisher: usize, mib: usize, asks: bool },
        Take { subscriber: usize },
        Answer { subscriber: usize, accepts: bool },
        Rejoin { subscriber: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (0..3usize, 0..30usize, any::<bool>()).prop_map(|(publisher, mib, asks)| Step::Publish { publisher, mib, asks }),
            3 => (0..4usize).prop_map(|subscriber| Step::Take { subscriber }),
            2 => (0..4usize, prop::bool::weighted(0.8)).prop_map(|(subscriber, accepts)| Step::Answer { subscriber, accepts }),
            1 => (0..4usize).prop_map(|subscriber| Step::Rejoin { subscriber }),
        ]
    }

    /// What a subscriber was meant to get, and what became of it.
    #[derive(Default)]
    struct Seen {
        id: Option<ConnectionId>,
        expected: Vec<String>,
        at: usize,
        unanswered: VecDeque<Deliver>,
    }

    impl Seen {
        /// Every delivery is the next expected after exactly the gap that it tells.
        fn take(&mut self, core: &mut Core) -> bool {
            let Some(deliver) = taken(core, self.id.unwrap()) else { return false };
            self.at += usize::try_from(deliver.dropped).unwrap();
            assert_eq!(deliver.topic, self.expected[self.at]);
            self.at += 1;
            if deliver.delivery != 0 {
                self.unanswered.push_back(deliver);
            }
            true
        }
    }

    proptest! {
        /// Subscribers 0 and 1 are plain, 2 and 3 acknowledge; 1 and 3 listen to publisher 0 only. Payloads of MiBs,
        /// all the same memory, fill the queues quickly.
        #[test]
        fn order_is_kept_gaps_are_exact_and_outcomes_true(steps in prop::collection::vec(step(), 1..200)) {
            let mut core = Core::default();
            let memory = Bytes::from(vec![0; 30 << 20]);
            let publishers = ["p0", "p1", "p2"].map(|name| greeted(&mut core, name));
            let mut seen: [Seen; 4] = Default::default();
            let join = |core: &mut Core, n: usize| {
                let id = greeted(core, "subscriber");
                let mode = if n < 2 { Mode::Plain } else { Mode::Acknowledged };
                subscribe(core, id, 5, if n.is_multiple_of(2) { ">" } else { "p0.*" }, mode);
                Seen { id: Some(id), ..Seen::default() }
            };
            for (n, seen) in seen.iter_mut().enumerate() {
                *seen = join(&mut core, n);
            }
            let mut asked: BTreeMap<u64, (String, [bool; 4])> = BTreeMap::new();
            let mut accepted: Vec<(usize, String)> = Vec::new();
            let mut outcomes: BTreeMap<u64, Outcome> = BTreeMap::new();
            let mut count = 0;
            let last = (0..3).map(|publisher| Step::Publish { publisher, mib: 0, asks: true });
            let drain = (0..400).flat_map(|n| [Step::Take { subscriber: n % 4 }, Step::Answer { subscriber: n % 4, accepts: true }]);
            let steps = steps.into_iter().chain(drain.clone()).chain(last).chain(drain);
            for step in steps {
                match step {
                    Step::Publish { publisher, mib, asks } => {
                        count += 1;
                        let topic = format!("p{publisher}.{count}");
                        let wants = [true, publisher == 0, true, publisher == 0];
                        for (seen, _) in seen.iter_mut().zip(wants).filter(|(_, wants)| *wants) {
                            seen.expected.push(topic.clone());
                        }
                        publish(&mut core, publishers[publisher], asks.then_some(count), &topic, &memory.slice(..mib << 20));
                        if asks {
                            asked.insert(count, (topic, wants));
                        }
                    }
                    Step::Take { subscriber } => {
                        seen[subscriber].take(&mut core);
                    }
                    Step::Answer { subscriber, accepts } => {
                        let seen = &mut seen[subscriber];
                        if let Some(deliver) = seen.unanswered.pop_front() {
                            answer(&mut core, seen.id.unwrap(), deliver.delivery, (!accepts).then_some("no"));
                            if accepts {
                                accepted.push((subscriber, deliver.topic));
                            }
                        }
                    }
                    Step::Rejoin { subscriber } => {
                        core.disconnect(seen[subscriber].id.unwrap());
                        seen[subscriber] = join(&mut core, subscriber);
                    }
                }
                for id in publishers {
                    while let Some((request, outcome)) = outcome(&mut core, id) {
                        prop_assert!(outcomes.insert(request, outcome).is_none(), "one outcome for {}", request);
                    }
                }
            }
            for seen in &seen {
                // Publisher 0's last message reached everyone, so every gap before it has been told.
                prop_assert_eq!(seen.at, seen.expected.len());
            }
            prop_assert!(core.unsettled.is_empty() && core.awaited.is_empty());
            for (request, (topic, wants)) in asked {
                let all = [2, 3].into_iter().filter(|n| wants[*n]).all(|n| accepted.contains(&(n, topic.clone())));
                let outcome = outcomes.get(&request).expect("every question is answered");
                prop_assert_eq!(*outcome == Outcome::Accepted, all, "{} {:?}", topic, outcome);
            }
        }
    }

    #[test]
    fn unknown_outcomes_are_a_fault() {
        let body = Published { request: 1, outcome: 7, reason: String::new() };
        body.into_outcome().unwrap_err();
        assert_eq!(OutcomeKind::try_from(2), Ok(OutcomeKind::Nobody));
    }
}
