//! The state machine by itself: what it answers, and what arrives under any schedule.

use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::key::{KeyKind, Side};
use crate::message::{
    Acknowledge, Cancel, Deliver, DeliverHead, Outcome, OutcomeKind, Subscribe, Subscribed, Unsubscribe, WhenFull,
};
use crate::parcel::Parcel;
use crate::tree::OPEN;

const NOW: Duration = Duration::ZERO;

fn core(limits: Limits) -> Core {
    Core::new(Gate::new(Key::generate().unwrap(), None), OPEN, limits)
}

/// An operator of that name, of user 7.
fn stage(name: &str) -> Stage {
    let peer = Peer { uid: Some(7), ..Peer::default() };
    Stage::Open(Publisher { name: name.to_owned(), role: Role::Operator, peer }.into())
}

/// What one client says and hears.
#[derive(Clone, Copy)]
struct Peerage(ConnectionId);

impl Peerage {
    fn join(core: &mut Core) -> Self {
        Self(core.connect_local("peer"))
    }

    fn subscribe(self, core: &mut Core, number: u64, interest: Subscribe) {
        let body = Subscribe { subscription: number, ..interest };
        core.receive(self.0, body.into(), NOW).unwrap();
        assert_eq!(core.take(self.0, NOW), Some(Subscribed { subscription: number, refused: None }.into()));
    }

    fn publish(self, core: &mut Core, topic: &str, payload: &Bytes, request: u64, now: Duration) {
        let entry = Entry { topic: Bytes::from(topic.to_owned()), payload: payload.clone(), request, retain: false };
        core.receive(self.0, Message::Publish(entry.into()), now).unwrap();
    }

    fn deliver(self, core: &mut Core, now: Duration) -> Option<(DeliverHead, Vec<String>)> {
        let Some(Message::Deliver(deliver)) = core.take(self.0, now) else { return None };
        let topics = deliver.parcel.entries().map(|entry| String::from_utf8(entry.topic.to_vec()).unwrap()).collect();
        Some((deliver.head, topics))
    }

    fn outcome(self, core: &mut Core) -> Option<(u64, Outcome)> {
        match core.take(self.0, NOW) {
            Some(Message::Published(body)) => Some((body.request, body.into_outcome().unwrap())),
            None => None,
            other => panic!("{other:?}"),
        }
    }

    fn answer(self, core: &mut Core, number: u64, outcome: Outcome) {
        core.receive(self.0, Acknowledge::new(1, number, outcome).into(), NOW).unwrap();
    }
}

fn to(pattern: &str) -> Subscribe {
    Subscribe { pattern: pattern.to_owned(), ..Subscribe::default() }
}

fn answering(pattern: &str) -> Subscribe {
    Subscribe { answers: true, when_full: WhenFull::DropNewest.into(), ..to(pattern) }
}

fn accepted(reply: &'static str) -> Outcome {
    Outcome::Accepted(Bytes::from_static(reply.as_bytes()))
}

const NOTHING: Bytes = Bytes::new();

#[test]
fn the_handshake_comes_first_and_once() {
    let key = Key::generate().unwrap();
    let mut core = Core::new(Gate::new(key.clone(), Some(vec![7])), crate::tree::PRODUCT, Limits::default());
    let peer = Peer { uid: Some(7), gid: Some(7), pid: Some(1) };
    let hello = |name: &str, role: Role| Hello {
        protocol_min: 1,
        protocol_max: 9,
        name: name.to_owned(),
        role: role.into(),
        nonce: key::nonce().unwrap(),
        ..Hello::default()
    };
    let fault = |core: &mut Core, peer: Peer, message: Message| {
        let id = core.connect(peer, NOW);
        let fault = core.receive(id, message, NOW).unwrap_err();
        assert!(!core.is_proved(id));
        (fault.code(), fault.text)
    };
    let early = fault(&mut core, peer, Pong {}.into());
    assert_eq!(early, (Code::Protocol, "Pong before the connection is proved".to_owned()));
    let versions = Hello { protocol_min: 2, ..hello("a", Role::Operator) };
    let text = "protocol 2 to 9 offered, this broker speaks 1 to 1".to_owned();
    assert_eq!(fault(&mut core, peer, versions.into()), (Code::Version, text));
    for name in ["", "a b", "\u{1b}[2J", &"a".repeat(65)] {
        assert_eq!(fault(&mut core, peer, hello(name, Role::Operator).into()).0, Code::Protocol);
    }
    assert_eq!(fault(&mut core, peer, hello("a", Role::Agent).into()).0, Code::Denied);
    let stranger = Peer { uid: Some(8), ..peer };
    let (code, text) = fault(&mut core, stranger, hello("a", Role::Operator).into());
    assert_eq!((code, text.as_str()), (Code::Denied, "user 8 may not connect; be the agent's user or root"));
    assert_eq!(fault(&mut core, Peer::default(), hello("a", Role::Operator).into()).0, Code::Denied);

    let mut prove = |key: &Key, kind: KeyKind, role: Role, pid: u32| {
        let id = core.connect(Peer { pid: Some(pid), ..peer }, NOW);
        let hello = Hello { key: kind.into(), ..hello("a", role) };
        core.receive(id, hello.clone().into(), NOW)?;
        let Some(Message::Challenge(challenge)) = core.take(id, NOW) else { panic!("no challenge") };
        let proof = key.prove(Side::Client, &hello, &challenge, &[]);
        core.receive(id, Proof { proof, ..Proof::default() }.into(), NOW)?;
        assert!(matches!(core.take(id, NOW), Some(Message::Welcome(_))));
        assert_eq!(core.receive(id, hello.into(), NOW).unwrap_err().text, "unexpected Hello");
        Ok::<_, Fault>(())
    };
    prove(&key, KeyKind::Installation, Role::Operator, 1).unwrap();
    let denied = prove(&Key::generate().unwrap(), KeyKind::Installation, Role::Operator, 1).unwrap_err();
    assert_eq!((denied.code(), denied.text.as_str()), (Code::Denied, "the client does not hold the broker's key"));
    prove(&key, KeyKind::Spawn, Role::Collector, 5).unwrap_err();
    let token = Key::generate().unwrap();
    core.expect(5, token.clone());
    let mut prove = |key: &Key, pid: u32| {
        let id = core.connect(Peer { uid: Some(99), gid: None, pid: Some(pid) }, NOW);
        let hello = Hello { key: KeyKind::Spawn.into(), ..hello("a", Role::Collector) };
        core.receive(id, hello.clone().into(), NOW)?;
        let Some(Message::Challenge(challenge)) = core.take(id, NOW) else { panic!("no challenge") };
        core.receive(
            id,
            Proof { proof: key.prove(Side::Client, &hello, &challenge, &[]), ..Proof::default() }.into(),
            NOW,
        )
    };
    prove(&token, 5).unwrap();
    prove(&token, 6).unwrap_err();
    prove(&key, 5).unwrap_err();
}

#[test]
fn a_group_may_ask_and_not_report() {
    let key = Key::generate().unwrap();
    let mut core = Core::new(Gate::new(key, Some(vec![7])).open_to_group(), crate::tree::PRODUCT, Limits::default());
    let mut greeted = |uid: u32, role: Role| {
        let id = core.connect(Peer { uid: Some(uid), ..Peer::default() }, NOW);
        let hello = Hello {
            protocol_min: 1,
            protocol_max: 1,
            name: "a".to_owned(),
            role: role.into(),
            nonce: key::nonce().unwrap(),
            ..Hello::default()
        };
        core.receive(id, hello.into(), NOW).map_err(|fault| fault.text)
    };
    assert_eq!(greeted(7, Role::Collector), Ok(()));
    assert_eq!(greeted(8, Role::Operator), Ok(()));
    let refused = "user 8 may not connect; be the agent's user or root".to_owned();
    assert_eq!(greeted(8, Role::Collector), Err(refused));
}

#[test]
fn who_does_not_prove_in_time_is_ended() {
    let mut core = core(Limits::default());
    let id = core.connect(Peer::default(), NOW);
    assert_eq!(core.expire(NOW), Some(PROOF_TIME));
    core.expire(PROOF_TIME);
    let Some(Message::Fault(fault)) = core.take(id, PROOF_TIME) else { panic!("it is told") };
    assert_eq!(fault.text, "not proved within 5 seconds who is there");
    assert_eq!(core.expire(PROOF_TIME), None);
}

#[test]
fn roles_do_what_the_tree_says_and_what_it_refuses_is_noted() {
    let mut core = Core::new(Gate::new(Key::generate().unwrap(), None), crate::tree::PRODUCT, Limits::default());
    let listener = Peerage::join(&mut core);
    listener.subscribe(&mut core, 1, to("audit.>"));
    let operator = core.insert(Peer::default(), stage("op"), None);
    let own = format!("reply.{}.*", operator.0);
    for (number, pattern, allowed) in
        [(1, "alerts.>", true), (2, "events.>", false), (3, "reply.1.>", false), (4, &own, true)]
    {
        core.receive(operator, Subscribe { subscription: number, ..to(pattern) }.into(), NOW).unwrap();
        let Some(Message::Subscribed(body)) = core.take(operator, NOW) else { panic!("{pattern}") };
        assert_eq!(body.refused.is_none(), allowed, "{pattern}: {:?}", body.refused);
    }
    let entry = Entry { topic: "alerts.high.x".into(), ..Entry::default() };
    let fault = core.receive(operator, Message::Publish(entry.into()), NOW).unwrap_err();
    assert_eq!(fault.text, "no operator may publish under `alerts.high.x`");
    let mut noted = Vec::new();
    while let Some(Message::Deliver(mut deliver)) = core.take(listener.0, NOW) {
        noted.extend(std::iter::from_fn(|| deliver.parcel.pop()).map(|it| Notice::from_payload(it.payload).unwrap()));
    }
    let actions: Vec<_> = noted.iter().map(|notice| (notice.action.as_str(), notice.name.as_str())).collect();
    assert_eq!(actions, [("subscription_refused", "op"), ("subscription_refused", "op"), ("connection_ended", "op")]);
}

#[test]
fn an_outcome_says_what_every_answering_subscriber_said() {
    let mut core = core(Limits::default());
    let [publisher, plain, one, two] = std::array::from_fn(|_| Peerage::join(&mut core));
    let publish = |core: &mut Core, request| publisher.publish(core, "t", &Bytes::from_static(b"x"), request, NOW);
    plain.subscribe(&mut core, 1, to("t"));
    publish(&mut core, 1);
    assert_eq!(publisher.outcome(&mut core), Some((1, Outcome::Nobody)));

    one.subscribe(&mut core, 1, answering("t"));
    two.subscribe(&mut core, 1, answering(">"));
    publish(&mut core, 2);
    let first = |core: &mut Core, peer: Peerage| peer.deliver(core, NOW).unwrap().0.first;
    let numbers = [one, two].map(|peer| first(&mut core, peer));
    one.answer(&mut core, numbers[0], accepted(""));
    one.answer(&mut core, numbers[0], accepted(""));
    assert_eq!(publisher.outcome(&mut core), None);
    two.answer(&mut core, numbers[1], accepted("done"));
    assert_eq!(publisher.outcome(&mut core), Some((2, accepted("done"))));

    publish(&mut core, 3);
    let numbers = [one, two].map(|peer| first(&mut core, peer));
    two.answer(&mut core, numbers[1], Outcome::Refused("disk full".to_owned()));
    assert_eq!(publisher.outcome(&mut core), Some((3, Outcome::Refused("disk full".to_owned()))));
    one.answer(&mut core, numbers[0], accepted(""));
    assert_eq!(publisher.outcome(&mut core), None);

    publish(&mut core, 4);
    core.receive(one.0, Unsubscribe { subscription: 1 }.into(), NOW).unwrap();
    let reason = "subscriber `peer` unsubscribed before it got it".to_owned();
    assert_eq!(publisher.outcome(&mut core), Some((4, Outcome::Refused(reason))));
    publish(&mut core, 5);
    core.disconnect(two.0, NOW);
    let reason = "subscriber `peer` disconnected before it got it".to_owned();
    assert_eq!(publisher.outcome(&mut core), Some((5, Outcome::Refused(reason))));
}

#[test]
fn what_somebody_got_who_went_away_without_an_answer_is_lost() {
    type Leaving = fn(&mut Core, Peerage);
    let ways: [(Leaving, &str); 4] = [
        (|core, peer| core.receive(peer.0, Unsubscribe { subscription: 1 }.into(), NOW).unwrap(), "unsubscribed"),
        (|core, peer| core.disconnect(peer.0, NOW), "disconnected"),
        (|core, _| core.shut(), "the broker is shutting down"),
        (|core, peer| peer.answer(core, 1, Outcome::Lost("it fell".to_owned())), "it fell"),
    ];
    for (leave, word) in ways {
        let mut core = core(Limits::default());
        let [publisher, worker] = std::array::from_fn(|_| Peerage::join(&mut core));
        worker.subscribe(&mut core, 1, answering("t"));
        publisher.publish(&mut core, "t", &NOTHING, 1, NOW);
        worker.deliver(&mut core, NOW).unwrap();
        publisher.publish(&mut core, "t", &NOTHING, 2, NOW);
        leave(&mut core, worker);
        let told: BTreeMap<_, _> = std::iter::from_fn(|| publisher.outcome(&mut core)).collect();
        assert!(matches!(&told[&1], Outcome::Lost(why) if why.contains(word)), "{told:?}");
        let unseen = told.get(&2);
        assert!(unseen.is_none_or(|it| matches!(it, Outcome::Refused(why) if why.contains(word))), "{told:?}");
        assert_eq!(unseen.is_none(), word == "it fell", "it still has to answer that");
    }
}

#[test]
fn an_answer_that_is_none_is_its_subscribers_fault() {
    for outcome in [OutcomeKind::Nobody as i32, 7] {
        let mut core = core(Limits::default());
        let [publisher, worker] = std::array::from_fn(|_| Peerage::join(&mut core));
        worker.subscribe(&mut core, 1, answering("t"));
        publisher.publish(&mut core, "t", &NOTHING, 1, NOW);
        worker.deliver(&mut core, NOW).unwrap();
        let answer = Acknowledge { outcome, ..Acknowledge::new(1, 1, accepted("")) };
        let fault = core.receive(worker.0, answer.into(), NOW).unwrap_err();
        assert_eq!(fault.code(), Code::Protocol);
        assert_eq!(publisher.outcome(&mut core), None);
        core.disconnect(worker.0, NOW);
        assert!(matches!(publisher.outcome(&mut core), Some((1, Outcome::Lost(_)))));
    }
}

#[test]
fn who_gave_up_is_told_to_whoever_still_works() {
    let mut core = core(Limits::default());
    let [publisher, worker] = std::array::from_fn(|_| Peerage::join(&mut core));
    worker.subscribe(&mut core, 1, answering("t"));
    publisher.publish(&mut core, "t", &NOTHING, 1, NOW);
    publisher.publish(&mut core, "t", &NOTHING, 2, NOW);
    let first = worker.deliver(&mut core, NOW).unwrap().0.first;
    core.receive(publisher.0, Cancel { request: 1 }.into(), NOW).unwrap();
    let cancelled = |number| Some(crate::message::Cancelled { subscription: 1, number }.into());
    assert_eq!(core.take(worker.0, NOW), cancelled(first));
    core.disconnect(publisher.0, NOW);
    assert_eq!(core.take(worker.0, NOW), cancelled(first + 1));
    worker.answer(&mut core, first, accepted(""));
    assert!(core.asked.all().is_empty());
}

/// What its publisher has to wait with is withdrawn, be it offered already or behind what is.
#[test]
fn what_is_cancelled_while_its_publisher_waits_is_not_delivered() {
    let mut core = core(Limits::default());
    let [publisher, slow, witness] = std::array::from_fn(|_| Peerage::join(&mut core));
    let blocking = Subscribe { when_full: WhenFull::Block.into(), patience_ms: 1000, room_len: 1, ..answering("t.*") };
    slow.subscribe(&mut core, 1, blocking);
    witness.subscribe(&mut core, 1, to("t.*"));
    let payload = Bytes::from(vec![0; 1000]);
    for request in 1..=5 {
        publisher.publish(&mut core, &format!("t.{request}"), &payload, request, NOW);
    }
    let held = core.queued_bytes();
    assert!(held > 6000, "what waits counts: {held}");
    for request in [3, 2, 4] {
        core.receive(publisher.0, Cancel { request }.into(), NOW).unwrap();
    }
    let mut came = Vec::new();
    while let Some((head, topics)) = slow.deliver(&mut core, NOW) {
        assert_eq!(head.gap, 0, "it is not missing: nobody wants it");
        came.extend(topics);
        slow.answer(&mut core, head.first, accepted(""));
    }
    assert_eq!(came, ["t.1", "t.5"]);
    let outcomes: Vec<_> = std::iter::from_fn(|| publisher.outcome(&mut core)).collect();
    assert_eq!(outcomes, [(1, accepted("")), (5, accepted(""))]);
    let witnessed = std::iter::from_fn(|| witness.deliver(&mut core, NOW)).flat_map(|(_, topics)| topics);
    assert_eq!(witnessed.collect::<Vec<_>>(), ["t.1", "t.2", "t.4", "t.5"], "who does not answer had some already");
    assert_eq!((core.queued_bytes(), core.asked.all().len(), core.holding.len()), (0, 0, 0));
}

/// Publishers that wait hold no more than all may together, but for what each was in the midst of.
#[test]
fn what_waits_with_publishers_is_bounded_too() {
    let limits = Limits { queued_bytes: 1 << 20, ..Limits::default() };
    let mut core = core(limits);
    let slow = Peerage::join(&mut core);
    slow.subscribe(
        &mut core,
        1,
        Subscribe { when_full: WhenFull::Block.into(), patience_ms: 1000, room_len: 1, ..to("t") },
    );
    let (payload, publishers) = (Bytes::from(vec![0; 100 << 10]), 40);
    for _ in 0..publishers {
        let publisher = Peerage::join(&mut core);
        for _ in 0..100 {
            if core.is_held(publisher.0) {
                break;
            }
            publisher.publish(&mut core, "t", &payload, 0, NOW);
        }
    }
    assert!(core.queued_bytes() < limits.queued_bytes + (200 << 10), "{}", core.queued_bytes());
    core.expire(Duration::from_secs(1));
    let (mut came, mut gaps) = (0, 0);
    while let Some((head, topics)) = slow.deliver(&mut core, NOW) {
        came += topics.len();
        gaps += head.gap;
    }
    assert!(came == 1 && gaps > 40, "{came} came, {gaps} are counted");
    assert_eq!(core.queued_bytes(), 0);
}

#[test]
fn a_full_queue_does_what_was_asked() {
    let room =
        |when_full: WhenFull| Subscribe { when_full: when_full.into(), room_len: 3, patience_ms: 100, ..to("t.*") };
    let run = |when_full| {
        let mut core = core(Limits::default());
        let [publisher, slow, other] = std::array::from_fn(|_| Peerage::join(&mut core));
        slow.subscribe(&mut core, 1, room(when_full));
        other.subscribe(&mut core, 1, to("t.>"));
        for number in 0..5 {
            publisher.publish(&mut core, &format!("t.{number}"), &NOTHING, 0, NOW);
        }
        (core, publisher, slow, other)
    };
    let drain = |core: &mut Core, peer: Peerage| {
        let mut out = String::new();
        while let Some((head, topics)) = peer.deliver(core, NOW) {
            out.extend((0..head.gap).map(|_| '-'));
            out.extend(topics.iter().map(|topic| &topic[2..]));
        }
        out
    };
    let (mut core, _, slow, other) = run(WhenFull::DropOldest);
    assert_eq!((drain(&mut core, slow), drain(&mut core, other)), ("--234".to_owned(), "01234".to_owned()));
    let (mut core, _, slow, other) = run(WhenFull::DropNewest);
    assert_eq!((drain(&mut core, slow), drain(&mut core, other)), ("012--".to_owned(), "01234".to_owned()));
    let (mut core, _, slow, other) = run(WhenFull::Disconnect);
    assert_eq!(drain(&mut core, other), "01234");
    assert!(matches!(core.take(slow.0, NOW), Some(Message::Fault(fault)) if fault.code() == Code::Slow));

    let (mut core, publisher, slow, other) = run(WhenFull::Block);
    assert_eq!(drain(&mut core, other), "0123", "the next waits with its publisher");
    assert_eq!(core.expire(NOW), Some(Duration::from_millis(100)));
    assert_eq!(drain(&mut core, slow), "01234");
    assert_eq!(drain(&mut core, other), "4");
    for number in 0..9 {
        publisher.publish(&mut core, &format!("t.{number}"), &NOTHING, 0, NOW);
    }
    // In vain once: nobody waits again until something is taken.
    assert_eq!(core.expire(Duration::from_millis(100)), None);
    assert_eq!(drain(&mut core, slow), "012------");
    assert_eq!(drain(&mut core, other), "012345678");
    assert_eq!(core.queued_bytes(), 0);
}

/// A publisher that waited for one subscriber goes on when that one takes something, and meets the next, which is less
/// patient: whoever keeps the time has to know.
#[test]
fn a_shorter_wait_that_begins_later_is_told() {
    let mut core = core(Limits::default());
    let [publisher, patient, hasty] = std::array::from_fn(|_| Peerage::join(&mut core));
    let blocking = |patience_ms| Subscribe { when_full: WhenFull::Block.into(), room_len: 1, patience_ms, ..to("t") };
    patient.subscribe(&mut core, 1, blocking(30_000));
    hasty.subscribe(&mut core, 1, Subscribe { pattern: "u".to_owned(), ..blocking(100) });
    for topic in ["u", "t", "t", "u"] {
        publisher.publish(&mut core, topic, &NOTHING, 0, NOW);
    }
    assert!(core.is_due_sooner());
    assert_eq!(core.expire(NOW), Some(Duration::from_secs(30)));
    assert!(!core.is_due_sooner());
    patient.deliver(&mut core, NOW).unwrap();
    assert!(core.is_due_sooner());
    assert_eq!(core.expire(NOW), Some(Duration::from_millis(100)));
}

/// What a publisher leaves waits on, but neither for ever nor without a bound, and asks nothing any more.
#[test]
fn what_a_publisher_leaves_arrives_or_is_counted() {
    let run = |kib: usize, leavers: usize| {
        let mut core = core(Limits::default());
        let slow = Peerage::join(&mut core);
        let blocking = Subscribe { when_full: WhenFull::Block.into(), patience_ms: 100, room_len: 1, ..answering("t") };
        slow.subscribe(&mut core, 1, blocking);
        let payload = Bytes::from(vec![0; kib << 10]);
        for _ in 0..leavers {
            let publisher = Peerage::join(&mut core);
            for request in [0, 1, 0, 2] {
                publisher.publish(&mut core, "t", &payload, request, NOW);
            }
            core.disconnect(publisher.0, NOW);
        }
        (core, slow)
    };
    let (mut core, slow) = run(1, 1);
    for number in 1..=4 {
        assert_eq!(slow.deliver(&mut core, NOW).map(|(head, _)| (head.first, head.gap)), Some((number, 0)));
        slow.answer(&mut core, number, accepted(""));
    }
    assert!(core.asked.all().is_empty() && core.holding.is_empty());
    assert_eq!(core.connections.len(), 1, "the publisher is forgotten");

    let (mut core, slow) = run(1, 1);
    core.expire(Duration::from_millis(100));
    let came = std::iter::from_fn(|| slow.deliver(&mut core, NOW))
        .fold((0, 0), |(came, gap), (head, topics)| (came + topics.len(), gap + head.gap));
    assert_eq!((came, core.connections.len()), ((1, 3), 1));

    let (core, _) = run(1 << 10, 9);
    assert_eq!(core.connections.len(), 5, "four are waited for, the others counted");
}

#[test]
fn a_program_that_takes_nothing_gets_no_more_than_a_window() {
    let mut core = core(Limits::default());
    let [publisher, slow] = std::array::from_fn(|_| Peerage::join(&mut core));
    slow.subscribe(&mut core, 1, Subscribe { room_bytes: 8 << 20, ..to("t") });
    let payload = Bytes::from(vec![0; 300 << 10]);
    for _ in 0..10 {
        publisher.publish(&mut core, "t", &payload, 0, NOW);
    }
    let mut taken =
        || std::iter::from_fn(|| slow.deliver(&mut core, NOW)).map(|(head, _)| head.first).collect::<Vec<_>>();
    assert_eq!(taken(), [1, 2, 3, 4]);
    core.receive(slow.0, Taken { subscription: 1, number: 3 }.into(), NOW).unwrap();
    let mut taken =
        || std::iter::from_fn(|| slow.deliver(&mut core, NOW)).map(|(head, _)| head.first).collect::<Vec<_>>();
    assert_eq!(taken(), [5, 6, 7]);
}

#[test]
fn one_member_of_a_group_gets_each_message_and_others_inherit() {
    let mut core = core(Limits::default());
    let [publisher, one, two, plain] = std::array::from_fn(|_| Peerage::join(&mut core));
    let member = Subscribe { group: "workers".to_owned(), ..answering("t.*") };
    one.subscribe(&mut core, 1, member.clone());
    two.subscribe(&mut core, 1, member);
    plain.subscribe(&mut core, 1, to("t.*"));
    for request in 1..=10 {
        publisher.publish(&mut core, &format!("t.{request}"), &NOTHING, request, NOW);
    }
    let topics = |core: &mut Core, peer: Peerage| {
        std::iter::from_fn(|| peer.deliver(core, NOW)).flat_map(|(_, topics)| topics).collect::<Vec<_>>()
    };
    assert_eq!(topics(&mut core, plain).len(), 10);
    let first = one.deliver(&mut core, NOW).unwrap();
    let (seen, given) = (first.1[0].clone(), first.0.first);
    one.answer(&mut core, given, accepted(""));
    core.disconnect(one.0, NOW);
    let mut inherited = topics(&mut core, two);
    inherited.push(seen);
    inherited.sort();
    let mut all: Vec<_> = (1..=10).map(|number| format!("t.{number}")).collect();
    all.sort();
    assert_eq!(inherited, all);
    for number in 1..=9 {
        two.answer(&mut core, number, accepted(""));
    }
    let outcomes: BTreeMap<_, _> = std::iter::from_fn(|| publisher.outcome(&mut core)).collect();
    assert_eq!(outcomes.len(), 10);
    assert!(outcomes.values().all(|outcome| *outcome == accepted("")), "{outcomes:?}");
}

/// An heir may be full by what it has not answered, so that nothing waits for it but the gap; it may be about to go, or
/// not answer.
#[test]
fn what_an_heir_has_no_room_for_is_counted_and_answered() {
    let member = |interest: Subscribe| Subscribe { group: "g".to_owned(), room_len: 1, ..interest };
    let blocking = member(Subscribe { when_full: WhenFull::Block.into(), ..answering("t") });
    let inherit = |heirs: &[Subscribe]| {
        let mut core = core(Limits::default());
        let [publisher, leaver] = std::array::from_fn(|_| Peerage::join(&mut core));
        let heirs: Vec<_> = heirs.iter().map(|heir| (Peerage::join(&mut core), heir.clone())).collect();
        leaver.subscribe(&mut core, 1, member(answering("t")));
        publisher.publish(&mut core, "t", &NOTHING, 1, NOW);
        for (heir, interest) in &heirs {
            heir.subscribe(&mut core, 1, Subscribe { pattern: "t".to_owned(), ..interest.clone() });
        }
        (core, publisher, leaver, heirs)
    };
    // Full by what it has still to answer.
    let refused = Outcome::Refused("subscriber `peer` disconnected before it got it".to_owned());
    let (mut core, publisher, leaver, heirs) = inherit(&[blocking]);
    let heir = heirs[0].0;
    publisher.publish(&mut core, "t", &NOTHING, 2, NOW);
    assert_eq!(heir.deliver(&mut core, NOW).unwrap().1, ["t"]);
    assert_eq!(heir.deliver(&mut core, NOW), None);
    core.disconnect(leaver.0, NOW);
    assert_eq!(publisher.outcome(&mut core), Some((1, refused)));
    assert_eq!(heir.deliver(&mut core, NOW).map(|(head, _)| head.gap), Some(1));
    heir.answer(&mut core, 1, accepted(""));
    assert_eq!(publisher.outcome(&mut core), Some((2, accepted(""))));
    publisher.publish(&mut core, "t", &NOTHING, 3, NOW);
    assert_eq!(heir.deliver(&mut core, NOW).map(|(head, _)| head.first), Some(2), "it is not forgotten");

    // About to go: the next one inherits.
    let (mut core, publisher, leaver, heirs) = inherit(&[member(to("t")), member(to("t"))]);
    core.end(heirs[0].0.0, Fault::new(Code::Slow, "slow"), NOW);
    core.disconnect(leaver.0, NOW);
    assert_eq!(heirs[1].0.deliver(&mut core, NOW).map(|(_, topics)| topics.len()), Some(1));
    assert_eq!(publisher.outcome(&mut core), Some((1, Outcome::Nobody)), "who inherits it does not answer");
}

#[test]
fn the_last_retained_message_is_for_who_asks() {
    let mut core = core(Limits::default());
    let [publisher, late] = std::array::from_fn(|_| Peerage::join(&mut core));
    for (topic, payload) in [("h.a", "1"), ("h.a", "2"), ("h.b", "3"), ("h.c", "4"), ("h.c", "")] {
        let entry = Entry { topic: topic.into(), payload: payload.into(), request: 0, retain: true };
        core.receive(publisher.0, Message::Publish(entry.into()), NOW).unwrap();
    }
    late.subscribe(&mut core, 1, to("h.>"));
    assert_eq!(late.deliver(&mut core, NOW), None);
    late.subscribe(&mut core, 2, Subscribe { retained: true, ..to("h.>") });
    let mut payloads = Vec::new();
    while let Some(Message::Deliver(mut deliver)) = core.take(late.0, NOW) {
        payloads.extend(std::iter::from_fn(|| deliver.parcel.pop()).map(|entry| entry.payload));
    }
    assert_eq!(payloads, ["2", "3"]);
}

#[test]
fn all_queues_together_are_bounded() {
    let limits = Limits { queued_bytes: 1 << 20, ..Limits::default() };
    let mut core = core(limits);
    let publisher = Peerage::join(&mut core);
    let subscribers: Vec<_> = (0..100).map(|_| Peerage::join(&mut core)).collect();
    for subscriber in &subscribers {
        subscriber.subscribe(&mut core, 1, to("t"));
    }
    let payload = Bytes::from(vec![0; 10_000]);
    for _ in 0..100 {
        publisher.publish(&mut core, "t", &payload, 0, NOW);
        assert!(core.queued_bytes() <= limits.queued_bytes);
    }
    for subscriber in subscribers {
        let (mut came, mut gaps) = (0, 0);
        while let Some((head, topics)) = subscriber.deliver(&mut core, NOW) {
            came += topics.len();
            gaps += usize::try_from(head.gap).unwrap();
        }
        assert_eq!(came + gaps, 100);
    }
    assert_eq!(core.queued_bytes(), 0);
}

#[test]
fn a_client_that_says_more_than_it_may_is_read_more_slowly() {
    let mut core = core(Limits { messages_per_sec: Some(10), ..Limits::default() });
    let listener = Peerage::join(&mut core);
    listener.subscribe(&mut core, 1, to(">"));
    let id = core.connect(Peer::default(), NOW);
    core.connection(id).stage = stage("a");
    let flood = Peerage(id);
    for number in 0..15 {
        flood.publish(&mut core, &format!("t.{number}"), &NOTHING, 0, NOW);
    }
    let count = |core: &mut Core, now| {
        std::iter::from_fn(|| listener.deliver(core, now)).map(|(_, it)| it.len()).sum::<usize>()
    };
    assert_eq!(count(&mut core, NOW), 10);
    let paid = Duration::from_millis(500);
    assert_eq!(core.expire(NOW), Some(paid), "the last of five more at ten in a second");
    core.expire(paid);
    assert_eq!(count(&mut core, paid), 5);
}

#[derive(Clone, Debug)]
enum Step {
    Publish { publisher: usize, count: usize, kib: usize, asks: bool },
    Take { subscriber: usize, tells: bool },
    Answer { subscriber: usize, accepts: bool },
    Rejoin { subscriber: usize, interest: usize },
    Leave { publisher: usize },
    Pass { millis: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        5 => (0..3usize, 1..6usize, 0..200usize, any::<bool>())
            .prop_map(|(publisher, count, kib, asks)| Step::Publish { publisher, count, kib, asks }),
        4 => (0..5usize, prop::bool::weighted(0.7)).prop_map(|(subscriber, tells)| Step::Take { subscriber, tells }),
        3 => (0..5usize, prop::bool::weighted(0.8)).prop_map(|(subscriber, accepts)| Step::Answer { subscriber, accepts }),
        1 => (0..5usize, 0..8usize).prop_map(|(subscriber, interest)| Step::Rejoin { subscriber, interest }),
        1 => (0..3usize).prop_map(|publisher| Step::Leave { publisher }),
        1 => (0..80u64).prop_map(|millis| Step::Pass { millis }),
    ]
}

/// A subscriber's interest by number: every policy, answering and not, narrow and wide.
fn interest(number: usize) -> (Subscribe, bool) {
    let when_full = [WhenFull::DropOldest, WhenFull::DropNewest, WhenFull::Block, WhenFull::Block][number % 4];
    let wide = number >= 4 || number == 1;
    let interest = Subscribe {
        pattern: if wide { ">" } else { "p0.>" }.to_owned(),
        answers: number % 4 >= 1 && number != 6,
        when_full: when_full.into(),
        patience_ms: 50,
        room_len: 8,
        room_bytes: 600 << 10,
        ..Subscribe::default()
    };
    (interest, wide)
}

/// What a subscriber was meant to get, and got.
struct Seen {
    peer: Peerage,
    answers: bool,
    wide: bool,
    meant: u64,
    came: u64,
    gaps: u64,
    /// The last message of each publisher.
    last: BTreeMap<String, u64>,
    unanswered: VecDeque<(u64, String)>,
}

impl Seen {
    fn join(core: &mut Core, number: usize) -> Self {
        let peer = Peerage::join(core);
        let (interest, wide) = interest(number);
        let answers = interest.answers;
        peer.subscribe(core, 1, interest);
        Self { peer, answers, wide, meant: 0, came: 0, gaps: 0, last: BTreeMap::new(), unanswered: VecDeque::new() }
    }

    /// Nothing comes twice, or before what its publisher said earlier.
    fn take(&mut self, core: &mut Core, tells: bool, now: Duration) {
        let came = self.peer.deliver(core, now);
        if tells {
            let number = came.as_ref().map_or(u64::MAX, |(head, topics)| head.first + topics.len() as u64);
            core.receive(self.peer.0, Taken { subscription: 1, number }.into(), now).unwrap();
        }
        let Some((head, topics)) = came else { return };
        self.gaps += head.gap;
        for (number, topic) in (head.first..).zip(&topics) {
            let (publisher, count) = topic.rsplit_once('.').unwrap();
            let count = count.parse().unwrap();
            let last = self.last.insert(publisher.to_owned(), count);
            assert!(last.is_none_or(|last| last < count), "{topic} after {last:?}");
            self.came += 1;
            if self.answers {
                self.unanswered.push_back((number, topic.clone()));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever the schedule: what a subscriber was meant to get came, or is in a gap that it was told; nothing twice
    /// or out of its publisher's order; every question is answered, `Accepted` means that all who answer did so, and
    /// `Lost` that somebody left who had got it.
    #[test]
    fn what_does_not_arrive_is_counted(steps in prop::collection::vec(step(), 1..150)) {
        let mut core = core(Limits { queued_bytes: 4 << 20, ..Limits::default() });
        let memory = Bytes::from(vec![0; 200 << 10]);
        let mut publishers: [_; 3] = std::array::from_fn(|_| Peerage::join(&mut core));
        let mut seen: [_; 5] = std::array::from_fn(|number| Seen::join(&mut core, number));
        let (mut count, mut now) = (0_u64, NOW);
        let mut asked: BTreeMap<u64, (usize, String)> = BTreeMap::new();
        let mut accepted: Vec<String> = Vec::new();
        let mut lost: Vec<String> = Vec::new();
        let mut outcomes: BTreeMap<u64, Outcome> = BTreeMap::new();
        let ask = (0..3).map(|publisher| Step::Publish { publisher, count: 1, kib: 0, asks: true });
        let drain = |rounds| (0..rounds).flat_map(|n| {
            let subscriber = n % 5;
            [Step::Take { subscriber, tells: true }, Step::Answer { subscriber, accepts: true }, Step::Pass { millis: 10 }]
        });
        for step in steps.into_iter().chain(drain(600)).chain(ask).chain(drain(300)) {
            match step {
                Step::Publish { publisher, count: len, kib, asks } => {
                    // What waits with its publisher is not forgotten, but a real one would not be read any further.
                    if core.is_held(publishers[publisher].0) {
                        continue;
                    }
                    let entries: Vec<_> = (0..len).map(|_| {
                        count += 1;
                        let topic = format!("p{publisher}.{}.{count}", publishers[publisher].0.number());
                        let request = if asks { count } else { 0 };
                        if asks {
                            asked.insert(count, (publisher, topic.clone()));
                        }
                        Entry { topic: topic.into(), payload: memory.slice(..kib << 10), request, retain: false }
                    }).collect();
                    for seen in seen.iter_mut().filter(|seen| seen.wide || publisher == 0) {
                        seen.meant += len as u64;
                    }
                    core.receive(publishers[publisher].0, Message::Publish(entries.into()), now).unwrap();
                }
                Step::Take { subscriber, tells } => seen[subscriber].take(&mut core, tells, now),
                Step::Answer { subscriber, accepts } => {
                    let seen = &mut seen[subscriber];
                    if let Some((number, topic)) = seen.unanswered.pop_front() {
                        let no = || Outcome::Refused("no".to_owned());
                        seen.peer.answer(&mut core, number, if accepts { self::accepted("") } else { no() });
                        if accepts {
                            accepted.push(topic);
                        }
                    }
                }
                // What waits with its publisher is still to come, and who comes now may get it or not.
                Step::Rejoin { .. } if !core.holding.is_empty() => {}
                Step::Rejoin { subscriber, interest } => {
                    core.disconnect(seen[subscriber].peer.0, now);
                    lost.extend(seen[subscriber].unanswered.drain(..).map(|(_, topic)| topic));
                    seen[subscriber] = Seen::join(&mut core, interest);
                }
                // What it leaves behind is still to come.
                Step::Leave { publisher } => {
                    core.disconnect(publishers[publisher].0, now);
                    publishers[publisher] = Peerage::join(&mut core);
                    asked.retain(|_, (asker, _)| *asker != publisher);
                }
                Step::Pass { millis } => {
                    now += Duration::from_millis(millis);
                    core.expire(now);
                }
            }
            for peer in publishers {
                while let Some((request, outcome)) = peer.outcome(&mut core) {
                    prop_assert!(outcomes.insert(request, outcome).is_none(), "one outcome for {}", request);
                }
            }
        }
        for (number, seen) in seen.iter().enumerate() {
            prop_assert_eq!(seen.came + seen.gaps, seen.meant, "subscriber {}", number);
        }
        prop_assert!(core.asked.all().is_empty());
        prop_assert_eq!(core.queued_bytes(), 0);
        for (request, (_, topic)) in asked {
            let outcome = outcomes.get(&request).expect("every question is answered");
            let by = accepted.iter().filter(|accepted| **accepted == topic).count();
            let all = by > 0;
            prop_assert!(matches!(outcome, Outcome::Accepted(_)) <= all, "{} {:?}", topic, outcome);
            prop_assert!(matches!(outcome, Outcome::Lost(_)) <= lost.contains(&topic), "{} {:?}", topic, outcome);
        }
    }
}

#[test]
fn who_published_travels_with_what_they_did_however_it_is_cut_and_waits() {
    let mut core = core(Limits::default());
    let [agent, heir] = [(); 2].map(|()| Peerage::join(&mut core));
    for member in [agent, heir] {
        member.subscribe(&mut core, 1, Subscribe { group: "one".to_owned(), answers: true, ..to("asked") });
    }
    let operator = core.insert(Peer::default(), stage("op"), None);
    let said = |payload: &'static str| Entry { topic: "asked".into(), payload: payload.into(), ..Entry::default() };
    // As it comes from another process: the bytes say nothing about who, and nothing in them could.
    let mut bytes = bytes::BytesMut::new();
    Parcel::from(vec![said("a"), Entry { request: 1, ..said("b") }, said("c")]).encode(&mut bytes);
    let parcel = Parcel::decode(bytes.freeze()).unwrap().by(Some(Publisher::clone_of("forged")));
    core.receive(operator, Message::Publish(parcel), NOW).unwrap();
    core.disconnect(agent.0, NOW);
    let mut seen = 0;
    while let Some(Message::Deliver(Deliver { parcel, .. })) = core.take(heir.0, NOW) {
        let publisher = parcel.publisher().expect("it is known");
        assert_eq!((publisher.name.as_str(), publisher.peer.uid), ("op", Some(7)));
        seen += parcel.len();
    }
    assert_eq!(seen, 3, "of the one as of the other");
}

impl Publisher {
    fn clone_of(name: &str) -> Arc<Self> {
        Self { name: name.to_owned(), role: Role::Agent, peer: Peer::default() }.into()
    }
}
