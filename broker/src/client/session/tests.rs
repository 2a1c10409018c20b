//! A client and a broker's state machine with nothing between them but this test, which decides when a message passes,
//! when the connection is lost and what is lost with it: the races of a client that comes back, without a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::client::{Event, Gap, Interest, Subscription};
use crate::connection::Outlet as _;
use crate::core::{ConnectionId, Core, Limits};
use crate::gate::Gate;
use crate::message::{Acknowledge, Deliver, Outcome, Subscribe};
use crate::parcel::{Entry, Parcel};
use crate::tree::OPEN;

const NOW: Duration = Duration::ZERO;
/// Nothing here waits for a clock.
const PATIENCE: Duration = Duration::from_hours(1);

type Running<T> = Pin<Box<dyn Future<Output = T>>>;

#[derive(Clone, Copy, Debug)]
enum Step {
    Connect,
    /// With so many messages on their way, each way.
    Lose(usize),
    /// So many messages go to the broker.
    Out(usize),
    /// So many come from it.
    In(usize),
    Publish,
    Ask,
    /// The question of this place is given up.
    GiveUp(usize),
    /// The broker's worker answers what it was asked first.
    Answer,
    /// Somebody at the broker publishes what the client may have subscribed to.
    Speak,
    Subscribe,
    Unsubscribe,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::Connect),
        1 => (0usize..4).prop_map(Step::Lose),
        6 => (1usize..4).prop_map(Step::Out),
        6 => (1usize..4).prop_map(Step::In),
        4 => Just(Step::Publish),
        3 => Just(Step::Ask),
        1 => (0usize..8).prop_map(Step::GiveUp),
        3 => Just(Step::Answer),
        4 => Just(Step::Speak),
        1 => Just(Step::Subscribe),
        1 => Just(Step::Unsubscribe),
    ]
}

/// A question, until its outcome is known.
struct Question {
    running: Option<Running<Result<Outcome, Error>>>,
    /// It left the client.
    was_sent: bool,
    /// The connection was lost after it had left.
    was_lost: bool,
    /// Given up before it left.
    was_withdrawn: bool,
    /// How often the worker saw it.
    seen: usize,
}

struct World {
    core: Core,
    table: Arc<Table>,
    client: Client,
    connection: Option<ConnectionId>,
    /// Hears what is published.
    witness: ConnectionId,
    heard: Vec<u64>,
    /// Answers what is asked.
    worker: ConnectionId,
    to_answer: Vec<(u64, u64)>,
    /// Says what is subscribed to.
    speaker: ConnectionId,
    spoken: u64,
    published: u64,
    /// Published, and on its way when the connection was lost.
    lost: BTreeSet<u64>,
    questions: BTreeMap<u64, Question>,
    subscribing: Option<Running<Result<Subscription, Error>>>,
    subscription: Option<Subscription>,
    /// The last that came on the subscription, and whether something may be missing after it.
    last: Option<u64>,
    was_away: bool,
}

fn numbered(number: u64) -> Bytes {
    Bytes::copy_from_slice(&number.to_le_bytes())
}

fn number(payload: &[u8]) -> u64 {
    u64::from_le_bytes(payload.try_into().unwrap())
}

fn numbers(parcel: &Parcel) -> Vec<(Bytes, u64)> {
    let mut parcel = parcel.clone();
    std::iter::from_fn(|| parcel.pop()).map(|entry| (entry.topic, number(&entry.payload))).collect()
}

fn polled<T>(running: &mut Running<T>) -> Option<T> {
    match running.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

impl World {
    fn new() -> Self {
        let mut core = Core::new(Gate::new(Key::generate().unwrap(), None), OPEN, Limits::default());
        let [witness, worker, speaker] = ["witness", "worker", "speaker"].map(|name| core.connect_local(name));
        for (id, pattern, answers) in [(witness, "t", false), (worker, "q", true)] {
            let subscribe = Subscribe { subscription: 1, pattern: pattern.to_owned(), answers, ..Subscribe::default() };
            core.receive(id, subscribe.into(), NOW).unwrap();
            core.take(id, NOW).unwrap();
        }
        let table = Arc::new(Table::kept(Draft::encoded()));
        let client = Client::new(&table);
        Self {
            core,
            table,
            client,
            connection: None,
            witness,
            heard: Vec::new(),
            worker,
            to_answer: Vec::new(),
            speaker,
            spoken: 0,
            published: 0,
            lost: BTreeSet::new(),
            questions: BTreeMap::new(),
            subscribing: None,
            subscription: None,
            last: None,
            was_away: true,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Connect if self.connection.is_none() => {
                let id = self.core.connect_local("client");
                self.table.open(&Welcome { connection: id.number(), credit: CREDIT });
                self.connection = Some(id);
            }
            Step::Lose(on_their_way) => self.lose(on_their_way),
            Step::Out(messages) => {
                let Some(id) = self.connection else { return };
                for message in self.leaving(messages) {
                    self.core.receive(id, message, NOW).unwrap();
                }
            }
            Step::In(messages) => {
                let Some(id) = self.connection else { return };
                let inlet = ClientInlet { table: &self.table, greeting: Mutex::new(None) };
                for message in std::iter::from_fn(|| self.core.take(id, NOW)).take(messages) {
                    inlet.receive(message).unwrap();
                }
            }
            Step::Publish => {
                self.published += 1;
                let (client, payload) = (self.client.clone(), numbered(self.published));
                let mut publishing: Running<_> = Box::pin(async move { client.publish("t", payload).await });
                polled(&mut publishing).expect("there is room").unwrap();
            }
            Step::Ask => {
                let number = self.questions.len() as u64 + 1;
                let (client, payload) = (self.client.clone(), numbered(number));
                let running: Running<_> = Box::pin(async move { client.request("q", payload, PATIENCE).await });
                let question = Question {
                    running: Some(running),
                    was_sent: false,
                    was_lost: false,
                    was_withdrawn: false,
                    seen: 0,
                };
                self.questions.insert(number, question);
            }
            Step::GiveUp(place) => {
                let mut open = self.questions.values_mut().filter(|question| question.running.is_some());
                if let Some(question) = open.nth(place) {
                    question.running = None;
                    question.was_withdrawn = !question.was_sent;
                }
            }
            Step::Answer if !self.to_answer.is_empty() => {
                let (delivery, question) = self.to_answer.remove(0);
                let answer = Acknowledge::new(1, delivery, Outcome::Accepted(numbered(question)));
                self.core.receive(self.worker, answer.into(), NOW).unwrap();
            }
            Step::Speak => {
                self.spoken += 1;
                let entry = Entry { topic: "s".into(), payload: numbered(self.spoken), ..Entry::default() };
                self.core.receive(self.speaker, Message::Publish(entry.into()), NOW).unwrap();
            }
            Step::Subscribe if self.subscribing.is_none() && self.subscription.is_none() => {
                let client = self.client.clone();
                let interest = Interest::new("s");
                self.subscribing = Some(Box::pin(async move { client.subscribe(&interest).await }));
            }
            Step::Unsubscribe => (self.subscribing, self.subscription, self.was_away) = (None, None, true),
            Step::Connect | Step::Answer | Step::Subscribe => {}
        }
        self.look();
    }

    /// The next messages that leave the client, as the connection would take them.
    fn leaving(&mut self, messages: usize) -> Vec<Message> {
        let table = self.table.clone();
        let mut outlet = ClientOutlet::new(&table);
        let leaving: Vec<_> = std::iter::from_fn(|| outlet.try_next()).take(messages).collect();
        for message in &leaving {
            let Message::Publish(parcel) = message else { continue };
            for (_, question) in numbers(parcel).iter().filter(|(topic, _)| &topic[..] == b"q") {
                self.questions.get_mut(question).unwrap().was_sent = true;
            }
        }
        leaving
    }

    fn lose(&mut self, on_their_way: usize) {
        let Some(id) = self.connection.take() else { return };
        for message in self.leaving(on_their_way) {
            let Message::Publish(parcel) = message else { continue };
            self.lost.extend(numbers(&parcel).iter().filter(|(topic, _)| &topic[..] == b"t").map(|(_, number)| number));
        }
        let _never_arrive = (0..on_their_way).map_while(|_| self.core.take(id, NOW)).count();
        self.core.disconnect(id, NOW);
        self.table.lost(&End::There);
        self.questions.values_mut().for_each(|question| question.was_lost |= question.was_sent);
    }

    /// What came of everything so far.
    fn look(&mut self) {
        while let Some(message) = self.core.take(self.witness, NOW) {
            let Message::Deliver(Deliver { parcel, .. }) = message else { panic!("{message:?}") };
            self.heard.extend(numbers(&parcel).into_iter().map(|(_, number)| number));
        }
        while let Some(message) = self.core.take(self.worker, NOW) {
            let Message::Deliver(Deliver { head, parcel }) = message else { continue };
            for (delivery, (_, question)) in (head.first..).zip(numbers(&parcel)) {
                let asked = self.questions.get_mut(&question).unwrap();
                asked.seen += 1;
                assert!(
                    asked.seen == 1 && !asked.was_withdrawn,
                    "question {question} is asked once, if it is still one"
                );
                self.to_answer.push((delivery, question));
            }
        }
        for (number, question) in &mut self.questions {
            let Some(outcome) = question.running.as_mut().and_then(polled) else { continue };
            question.running = None;
            match outcome {
                Ok(outcome) => assert_eq!(outcome, Outcome::Accepted(numbered(*number)), "its own answer"),
                Err(error) => assert!(question.was_lost, "question {number} was not lost: {error}"),
            }
        }
        if let Some(subscribed) = self.subscribing.as_mut().and_then(polled) {
            (self.subscribing, self.subscription) = (None, Some(subscribed.unwrap()));
        }
        let Some(subscription) = &mut self.subscription else { return };
        while let Some(event) = subscription.try_recv() {
            match event {
                Event::Gap(Gap::Away) => self.was_away = true,
                Event::Gap(Gap::Dropped(messages)) => panic!("{messages} had no room"),
                Event::Message(delivery) => {
                    let came = number(&delivery.payload);
                    assert!(self.last.is_none_or(|last| came > last), "{came} comes once, after {:?}", self.last);
                    let follows = self.last.is_none_or(|last| came == last + 1);
                    assert!(follows || self.was_away, "what is missing before {came} is told");
                    (self.last, self.was_away) = (Some(came), false);
                }
            }
        }
    }

    /// Until nothing is left to pass.
    fn settle(&mut self) {
        for step in [Step::Connect].into_iter().chain((0..200).flat_map(|_| [Step::Out(1), Step::In(1), Step::Answer]))
        {
            self.take(step);
        }
    }
}

/// A clock that stands still, for what would wait for one.
fn without_a_clock<T>(test: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let _entered = runtime.enter();
    test()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever comes between: what is published arrives once and in order, but for what was on its way; a question is
    /// asked once and has one outcome; a subscription misses nothing without saying so; and who closes waits for nobody.
    #[test]
    fn a_client_that_comes_back_loses_nothing_unsaid(
        steps in prop::collection::vec(step(), 1..120),
        is_there in any::<bool>(),
    ) {
        without_a_clock(|| {
            let mut world = World::new();
            for step in steps {
                world.take(step);
            }
            world.settle();
            let expected: Vec<_> = (1..=world.published).filter(|number| !world.lost.contains(number)).collect();
            assert_eq!(world.heard, expected);
            for (number, question) in &world.questions {
                assert!(question.running.is_none(), "question {number} has an outcome");
            }
            if world.subscription.is_some() {
                world.take(Step::Speak);
                world.settle();
                assert_eq!(world.last, Some(world.spoken), "who is back hears");
            }
            assert_eq!(world.client.shed(), 0);

            // The end, with something left to say.
            if !is_there {
                world.lose(0);
            }
            world.take(Step::Publish);
            world.take(Step::Ask);
            let client = world.client.clone();
            let mut closing: Running<u64> = Box::pin(client.close());
            assert_eq!(polled(&mut closing), None);
            let mut outlet = ClientOutlet::new(&world.table);
            let said = std::iter::from_fn(|| outlet.try_next()).count();
            assert_eq!((said > 0, world.table.lock().is_done()), (is_there, true), "what can be said is, then it ends");
            world.table.lost(&End::Here);
            world.table.end(Ended::Closed("this side closed it".to_owned()));
            assert_eq!(polled(&mut closing), Some(if is_there { 0 } else { 2 }), "what was never said is counted");
            let question = world.questions.values_mut().last().unwrap().running.as_mut().unwrap();
            assert!(polled(question).unwrap().is_err(), "nobody waits for ever");
        });
    }
}
