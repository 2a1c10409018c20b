//! Who is not let in, who does what it may not, and who talks nonsense: refused, put on record, and nobody else's
//! trouble.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use daemoneye_broker::frame::{self, FRAME_LEN_MAX};
use daemoneye_broker::message::{
    Acknowledge, Cancel, Code, Hello, Message, Ping, Pong, Proof, Subscribe, Subscribed, Taken, Welcome,
};
use daemoneye_broker::payload::Notice;
use daemoneye_broker::{
    Broker, Client, Credential, Error, Identity, Interest, Key, KeyKind, Limits, Outcome, Role, Settings, tree,
};
use tokio::time::timeout;

use crate::peer::{Peer, claim, encoded, framed, hello, publish};
use crate::place::{Barrier, Course, Notices, PATIENCE, Place, course, numbered, received};

fn us() -> (Option<u32>, Option<u32>) {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").unwrap().uid();
    (Some(uid), Some(std::process::id()))
}

/// A notice about this process, which has not proved a name.
fn assert_is_of_us(notice: &Notice, action: &str) {
    assert_eq!((notice.uid, notice.pid), us());
    assert_eq!((notice.action.as_str(), notice.name.as_str()), (action, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_hold_the_key_stays_out() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let other = Key::generate().unwrap();

    // Our client does not prove itself to a broker that has not.
    let identity = Identity { key: Credential::Installation(other.clone()), ..place.identity("stranger") };
    let error = Client::connect(&place.path, &identity).await.unwrap_err().to_string();
    assert!(error.ends_with("whoever listens at the socket does not hold the installation's key"), "{error}");

    // One that proves all the same; with the broker's own proof sent back; with none.
    let text = "the client does not hold the broker's key";
    for n in 0..3 {
        let mut peer = Peer::connect(&place);
        let said = hello(Role::Operator, KeyKind::Installation);
        peer.say(said.clone());
        let Some(Message::Challenge(challenge)) = peer.heard() else { panic!("no challenge") };
        let proof = match n {
            0 => crate::peer::proof(&other, "daemoneye client", &said, &challenge),
            1 => challenge.proof,
            _ => Bytes::new(),
        };
        peer.say(Proof { proof, ..Proof::default() });
        assert_eq!(peer.fault(), text);
        let notice = notices.next().await;
        assert_is_of_us(&notice, "connection_ended");
        assert_eq!(notice.text, text);
    }
    assert!(notices.is_empty());
    while broker.connections_len() > 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Passes bytes between one client and the broker, and keeps them.
fn recorder(place: &Place, path: &std::path::Path) -> std::thread::JoinHandle<(Vec<u8>, Vec<u8>)> {
    fn pass(mut from: UnixStream, mut to: UnixStream) -> Vec<u8> {
        let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
        while let Ok(len @ 1..) = from.read(&mut chunk) {
            kept.extend_from_slice(&chunk[..len]);
            to.write_all(&chunk[..len]).unwrap();
        }
        let _closed = to.shutdown(std::net::Shutdown::Write);
        kept
    }
    let (listener, broker) = (UnixListener::bind(path).unwrap(), UnixStream::connect(&place.path).unwrap());
    std::thread::spawn(move || {
        let client = listener.accept().unwrap().0;
        let (from_broker, to_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
        let back = std::thread::spawn(move || pass(from_broker, to_client));
        (pass(client, broker), back.join().unwrap())
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_session_is_worth_nothing_to_either_side() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let mut subscription = broker.client("witness").unwrap().subscribe(&Interest::new("t").answering()).await.unwrap();
    let between = place.path.with_extension("between");
    let recording = recorder(&place, &between);
    let client = Client::connect(&between, &place.identity("recorded")).await.unwrap();
    let (outcome, payload) = tokio::join!(client.request("t", "once", PATIENCE), received(&mut subscription));
    assert_eq!((outcome.unwrap(), &payload[..]), (Outcome::Accepted(Bytes::new()), &b"once"[..]));
    client.close().await;
    let (said, heard) = tokio::task::spawn_blocking(|| recording.join().unwrap()).await.unwrap();
    assert!(notices.is_empty());

    // To the broker: all that the client said.
    let mut peer = Peer::connect(&place);
    peer.write(&said);
    assert_eq!(peer.fault(), "the client does not hold the broker's key");
    assert_is_of_us(&notices.next().await, "connection_ended");
    assert!(subscription.try_recv().is_none(), "nothing is published twice");

    // To a client: all that the broker said.
    let listener = UnixListener::bind(place.path.with_extension("false")).unwrap();
    let identity = place.identity("deceived");
    let (client, told) = tokio::join!(
        Client::connect(place.path.with_extension("false"), &identity),
        tokio::task::spawn_blocking(move || {
            let mut peer = Peer::of(listener.accept().unwrap().0);
            let hello = peer.heard();
            assert!(matches!(hello, Some(Message::Hello(Hello { name, .. })) if name == "deceived"));
            peer.write(&heard);
            // It does not say who it is to somebody like that.
            peer.heard()
        })
    );
    let refusal = "whoever listens at the socket does not hold the installation's key";
    assert!(client.unwrap_err().to_string().ends_with(refusal));
    assert!(matches!(told.unwrap(), Some(Message::Fault(fault)) if fault.text == refusal));
}

/// Whoever listens at the socket, the client names what is wrong, and takes little memory for it.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_broker_is_refused() {
    let text = |bytes: Vec<u8>| async {
        let place = Place::new();
        let listener = UnixListener::bind(&place.path).unwrap();
        let lying = tokio::task::spawn_blocking(move || {
            let mut peer = Peer::of(listener.accept().unwrap().0);
            peer.write(&bytes);
            peer.end();
            while peer.heard().is_some() {}
        });
        let client = Client::connect(&place.path, &place.identity("client")).await;
        lying.await.unwrap();
        client.unwrap_err().to_string()
    };
    let closed = |reason: &str| format!("the connection to the broker is closed: {reason}");
    let welcome = encoded(Welcome { connection: 1, credit: 9 }).to_vec();
    assert_eq!(text(welcome).await, closed("Welcome before Challenge"));
    assert_eq!(text(vec![]).await, closed("the other side closed it"));
    assert_eq!(text(claim(5000)).await, closed("frame of 5000 bytes, between 2 and 4096 are allowed"));
    let garbage = "frame of 1886680168 bytes, between 2 and 4096 are allowed";
    assert_eq!(text(b"http/1.1 400 Bad Request\r\n".to_vec()).await, closed(garbage));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_say_who_it_is_in_time_is_let_go() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let [mut mute, mut half, mut claims] = std::array::from_fn(|_| Peer::connect(&place));
    half.write(&[9, 0, 0, 0, 1]);
    claims.say(hello(Role::Operator, KeyKind::Installation));
    let start = Instant::now();
    let texts = [&mut mute, &mut half, &mut claims].map(Peer::fault);
    assert!((4..8).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
    assert!(texts.iter().all(|text| text.contains(" 5 seconds")), "{texts:?}");
    for _ in 0..3 {
        let notice = notices.next().await;
        assert_is_of_us(&notice, "connection_ended");
        // The clocks of the connection and of the core are of the same length; either may be the first.
        assert!(notice.text.contains(" 5 seconds"), "{}", notice.text);
    }
    assert!(notices.is_empty(), "each of them once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_is_the_process_that_was_started() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let key = Key::generate().unwrap();
    let identity = Identity { key: Credential::Spawned(key.clone()), ..place.identity("collector") };
    let unknown = "refused by the broker: no collector of this process number was started here";
    let connect = async || Client::connect(&place.path, &identity).await.map_err(|error| error.to_string());
    assert_eq!(connect().await.unwrap_err(), unknown);
    // The key of another process, which this one has come to know.
    broker.door().expect(std::process::id() + 1, key.clone());
    assert_eq!(connect().await.unwrap_err(), unknown);
    for _ in 0..2 {
        let notice = notices.next().await;
        assert_is_of_us(&notice, "connection_ended");
        assert!(unknown.ends_with(&notice.text));
    }
    broker.door().expect(std::process::id(), key.clone());
    let client = connect().await.unwrap();
    // It is nothing but a collector.
    let mut peer = Peer::connect(&place);
    let said = peer.prove(&key, &hello(Role::Operator, KeyKind::Spawn));
    assert!(matches!(said, Some(Message::Fault(fault)) if fault.code() == Code::Denied));
    assert_eq!(notices.next().await.text, "only collectors are given keys at their start");
    broker.door().forget(std::process::id());
    assert_eq!(connect().await.unwrap_err(), unknown);
    client.publish("t", "the connection that stands goes on").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_do_what_the_tree_says() {
    let place = Place::new();
    let broker = Broker::bind(&place.path, Settings { tree: tree::PRODUCT, ..place.settings() }).unwrap();
    let mut notices = Notices::of(&broker).await;
    let mut events = broker.client("agent").unwrap().subscribe(&Interest::new("events.>")).await.unwrap();
    let connect =
        async |role| Client::connect(&place.path, &Identity { role, ..place.identity("somebody") }).await.unwrap();
    let refused = [
        (Role::Operator, "events.>"),
        (Role::Operator, ">"),
        (Role::Operator, "control.agent"),
        (Role::Operator, "reply.1.1"),
        (Role::Collector, "alerts.>"),
        (Role::Collector, "control.*"),
        (Role::Collector, "events.processes"),
    ];
    for (role, pattern) in refused {
        let client = connect(role).await;
        let error = client.subscribe(&Interest::new(pattern)).await.map(drop).unwrap_err().to_string();
        let text = format!("no {role} may subscribe to `{pattern}`");
        assert_eq!(error, format!("refused by the broker: {text}"));
        let notice = notices.next().await;
        assert_eq!((notice.action.as_str(), notice.name.as_str()), ("subscription_refused", "somebody"));
        assert_eq!(notice.text, text);
        client.subscribe(&Interest::new("health.>")).await.expect("the connection goes on");
    }
    for (role, topic) in [
        (Role::Operator, "events.processes"),
        (Role::Operator, "audit.agent.start"),
        (Role::Collector, "alerts.high.x"),
        (Role::Collector, "control.agent"),
    ] {
        let client = connect(role).await;
        client.publish(topic, "forged").await.unwrap();
        let text = format!("no {role} may publish under `{topic}`");
        let error = timeout(PATIENCE, client.closed()).await.unwrap();
        assert!(
            matches!(&error, Error::Refused(fault) if fault.code() == Code::Denied && fault.text == text),
            "{error}"
        );
        let notice = notices.next().await;
        assert_eq!((notice.action.as_str(), notice.name.as_str(), notice.text), ("connection_ended", "somebody", text));
    }
    let collector = connect(Role::Collector).await;
    collector.publish("events.processes", "seen").await.unwrap();
    assert_eq!(received(&mut events).await, "seen");
    assert!(events.try_recv().is_none() && notices.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn users_that_are_not_allowed_are_named() {
    let place = Place::new();
    let (uid, _) = us();
    let uid = uid.unwrap();
    let gate = daemoneye_broker::Gate::new(place.key.clone(), Some(vec![uid + 1]));
    let _broker = Broker::bind(&place.path, Settings { gate, ..place.settings() }).unwrap();
    let error = Client::connect(&place.path, &place.identity("client")).await.unwrap_err().to_string();
    assert_eq!(error, format!("refused by the broker: user {uid} may not connect; be the agent's user or root"));
}

/// Frames that no client sends, before and after it has proved itself: each ends its own connection, is told why, and
/// is on record; who is beside it gets everything.
#[tokio::test(flavor = "multi_thread")]
async fn peers_at_fault_are_told_and_harm_nobody() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let mut beside = place.client("beside").await.subscribe(&Interest::new("t")).await.unwrap();
    let publisher = place.client("publisher").await;
    let mut barrier = Barrier::new(&publisher).await;
    let _mute = publisher.subscribe(&Interest::new("mute").answering()).await.unwrap();

    let said = hello(Role::Operator, KeyKind::Installation);
    let mut flipped = encoded(said.clone()).to_vec();
    flipped[12] ^= 1;
    let named = |name: &str| Hello { name: name.to_owned(), ..said.clone() };
    let versions = Hello { protocol_min: 2, protocol_max: 3, ..said.clone() };
    let twice = [encoded(said.clone()), encoded(said.clone())].concat();
    let before: [(&[u8], &str); 15] = [
        (b"GET / HTTP/1.1\r\n\r\n", "frame of 542393671 bytes, between 2 and 4096 are allowed"),
        (&claim(64 << 20), "frame of 67108864 bytes, between 2 and 4096 are allowed"),
        (&claim(4097), "frame of 4097 bytes, between 2 and 4096 are allowed"),
        (&claim(0), "frame of 0 bytes, between 2 and 4096 are allowed"),
        (&flipped, "frame with a wrong checksum"),
        (&framed(1, 9, b""), "frame of version 9, this side speaks 1"),
        (&framed(77, 1, b""), "message of unknown type 77"),
        (&framed(1, 1, &[0xff; 20]), "message that is not what its type says: "),
        (&encoded(Ping {}), "Ping before the connection is proved"),
        (&encoded(publish("t", "x")), "Publish before the connection is proved"),
        (&encoded(Proof::default()), "Proof before the connection is proved"),
        (&twice, "Hello before the connection is proved"),
        (&encoded(versions), "protocol 2 to 3 offered, this broker speaks 1 to 1"),
        (&encoded(named("\u{1b}[2J")), "a name has 1 to 64 letters, digits, `-`, `_` and `.`"),
        (&encoded(Hello { role: 2, ..said.clone() }), "nobody is the agent but the process that the broker is in"),
    ];
    for (count, (bytes, text)) in before.iter().enumerate() {
        let mut peer = Peer::connect(&place);
        peer.write(bytes);
        let told = peer.fault();
        assert!(told.starts_with(text), "{told} is not {text}");
        let notice = notices.next().await;
        assert_is_of_us(&notice, "connection_ended");
        assert_eq!(notice.text, told);
        publisher.publish("t", numbered(count as u64, 8)).await.unwrap();
    }

    let subscribe = Subscribe { subscription: 1, pattern: "u".to_owned(), ..Subscribe::default() };
    let doubled = [encoded(subscribe.clone()), encoded(subscribe.clone())].concat();
    let unknown_policy = Subscribe { when_full: 9, ..subscribe.clone() };
    let asks = |request| {
        encoded(Message::Publish(
            daemoneye_broker::Entry { topic: "mute".into(), request, ..Default::default() }.into(),
        ))
    };
    let asks_twice = [asks(5), asks(5)].concat();
    let entry = [0x0a, 5, 0x0a, 1, b'u', 0x20, 1].repeat(70_000);
    let after: [(&[u8], &str); 13] = [
        (&claim(u32::MAX), "frame of 4294967295 bytes, between 2 and 67108864 are allowed"),
        (&framed(6, 1, &[0xff; 20]), "message that is not what its type says: "),
        (&framed(8, 1, &[0x0a, 200, 1]), "message that is not what its type says"),
        (&framed(8, 1, &entry), "parcel of 70000 messages, at most 65536 are allowed"),
        (&framed(8, 1, &[0x0a, 0]), "invalid topic \"\": no part between dots is empty"),
        (&framed(8, 1, &[0x0a, 4, 0x0a, 2, 0xc3, 0x28]), "invalid topic "),
        (&encoded(publish("t.*", "x")), "invalid topic \"t.*\""),
        (&encoded(Welcome::default()), "unexpected Welcome"),
        (&encoded(said.clone()), "unexpected Hello"),
        (&encoded(Subscribed::default()), "unexpected Subscribed"),
        (&doubled, "subscription 1 exists already"),
        (&encoded(unknown_policy), "unknown enumeration value 9"),
        (&asks_twice, "request 5 exists already"),
    ];
    for (count, (bytes, text)) in after.iter().enumerate() {
        let mut peer = Peer::proved(&place, Role::Collector);
        peer.write(bytes);
        let told = loop {
            match peer.heard() {
                Some(Message::Fault(fault)) => break fault.text,
                Some(Message::Subscribed(_) | Message::Deliver(_)) => {}
                other => panic!("{other:?} for {text}"),
            }
        };
        assert!(told.starts_with(text), "{told} is not {text}");
        let notice = notices.next().await;
        assert_eq!((notice.name.as_str(), notice.text), ("peer", told));
        publisher.publish("t", numbered((before.len() + count) as u64, 8)).await.unwrap();
    }

    // A stream that ends in the midst of a frame.
    let mut peer = Peer::proved(&place, Role::Collector);
    peer.write(&encoded(publish("t", vec![0; 1000]))[..500]);
    peer.end();
    assert_eq!(peer.fault(), "the stream ends in the midst of a frame");
    assert_eq!(notices.next().await.text, "the stream ends in the midst of a frame");

    // What means nothing, and harms nobody.
    let mut peer = Peer::proved(&place, Role::Collector);
    peer.say(Acknowledge::new(9, u64::MAX, Outcome::Accepted(Bytes::new())));
    peer.say(Taken { subscription: 9, number: u64::MAX });
    peer.say(Cancel { request: u64::MAX });
    peer.write(&framed(8, 1, b""));
    peer.say(Pong {});
    peer.say(Ping {});
    assert_eq!(peer.heard(), Some(Pong {}.into()));

    barrier.passed_by(&publisher).await;
    let all = (before.len() + after.len()) as u64;
    assert_eq!(course(&mut beside, all).await, Course { came: (0..all).collect(), gaps: vec![] });
    assert!(notices.is_empty());
}

/// A publication as long as a frame can be would, with what is said about it, be too long for those who get it.
#[tokio::test(flavor = "multi_thread")]
async fn a_publication_that_no_frame_could_deliver_is_its_publishers_fault() {
    let place = Place::new();
    let broker = place.bind();
    let mut beside = place.client("beside").await.subscribe(&Interest::new("t")).await.unwrap();
    let mut peer = Peer::proved(&place, Role::Collector);
    let overhead = encoded(publish("t", vec![0; 60 << 20])).len() - (60 << 20);
    let largest = encoded(publish("t", vec![0; FRAME_LEN_MAX + 8 - overhead]));
    let len = frame::decode(&mut BytesMut::from(&largest[..]), FRAME_LEN_MAX).unwrap().unwrap().body.len();
    assert_eq!(len, FRAME_LEN_MAX - 2);
    peer.write(&largest);
    let told = peer.fault();
    assert!(told.starts_with("publication of 67108862 bytes"), "{told}");
    broker.client("publisher").unwrap().publish("t", "fine").await.unwrap();
    assert_eq!(received(&mut beside).await, "fine");
}

/// What a broker says of nonsense is bounded, however long that is.
#[tokio::test(flavor = "multi_thread")]
async fn nonsense_is_not_repeated_at_length() {
    let place = Place::new();
    let broker = place.bind();
    let mut notices = Notices::of(&broker).await;
    let topic = Bytes::from(vec![0xff; 8 << 20]);
    let mut peer = Peer::proved(&place, Role::Collector);
    peer.say(Message::Publish(daemoneye_broker::Entry { topic, ..Default::default() }.into()));
    let told = peer.fault();
    assert!(told.len() <= 1024, "{} bytes", told.len());
    assert_eq!(notices.next().await.text, told);
    let mut peer = Peer::proved(&place, Role::Collector);
    peer.say(Subscribe { subscription: 1, pattern: "\u{1}".repeat(400), ..Subscribe::default() });
    let Some(Message::Subscribed(Subscribed { refused: Some(reason), .. })) = peer.heard() else { panic!("refused") };
    assert!(reason.len() <= 1024 && notices.next().await.text == reason, "{} bytes", reason.len());
}

/// A peer that asks without reading the answers is no longer read, instead of filling the broker's memory.
#[tokio::test(flavor = "multi_thread")]
async fn replies_that_nobody_reads_stop_the_asker() {
    let place = Place::new();
    let _broker = place.bind();
    let mut peer = Peer::proved(&place, Role::Collector);
    peer.stream.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let pings = encoded(Ping {}).repeat(10_000);
    let mut written = 0;
    let blocked = loop {
        match peer.stream.write(&pings) {
            Ok(len) => written += len,
            Err(error) => break error,
        }
        assert!(written < 64 << 20, "the broker reads on");
    };
    assert_eq!(blocked.kind(), std::io::ErrorKind::WouldBlock);
    assert_eq!(peer.heard(), Some(Pong {}.into()));
    place.client("other").await.publish("t", "").await.unwrap();
}

/// More than may be said in a second is heard later, and whatever the limit is, nothing breaks.
#[tokio::test]
async fn who_says_too_much_is_read_more_slowly() {
    let place = Place::new();
    for (per_sec, count) in [(100, 150), (0, 2)] {
        let limits = Limits { messages_per_sec: Some(per_sec), ..Limits::default() };
        let broker = Broker::bind(&place.path, Settings { limits, ..place.settings() }).unwrap();
        let mut subscription = broker.client("subscriber").unwrap().subscribe(&Interest::new("t")).await.unwrap();
        let publisher = place.client("publisher").await;
        let start = Instant::now();
        for number in 0..count {
            publisher.publish("t", numbered(number, 8)).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(course(&mut subscription, count).await.gaps, []);
        assert!(start.elapsed() > Duration::from_millis(400), "{:?}", start.elapsed());
        broker.shutdown().await;
    }
}

#[tokio::test]
async fn who_finds_no_place_is_told_and_put_on_record() {
    let place = Place::new();
    let limits = Limits { connections_len: 0, ..Limits::default() };
    let broker = Broker::bind(&place.path, Settings { limits, ..place.settings() }).unwrap();
    let mut notices = Notices::of(&broker).await;
    let error = Client::connect(&place.path, &place.identity("client")).await.unwrap_err();
    assert_eq!(error.to_string(), "refused by the broker: 0 connections already, try later");
    let notice = notices.next().await;
    assert_is_of_us(&notice, "connection_refused");
    assert_eq!(notice.text, "0 connections already, try later");
}
