//! Why: where the broker asks for encryption, everything goes as before and nobody between the two reads it; whoever
//! changes it ends the connection and nothing else; and neither side can be talked out of it.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use daemoneye_broker::message::{Hello, Message};
use daemoneye_broker::{Broker, Bytes, Client, Encryption, Identity, Interest, KeyKind, Outcome, Role, Settings};

use crate::peer::{Peer, encoded, hello};
use crate::place::{Notices, PATIENCE, Place, course, numbered, received};

/// What stands in what is said, once each way.
const SECRETS: [&str; 2] = ["what the client said of project Umbra", "what the broker's side answered to it"];

/// What somebody between the two does to what the client says next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meddling {
    Nothing,
    Change(usize),
    Repeat,
    /// Says that the client cannot encrypt.
    Dissuade,
}

/// Passes bytes between one client and the broker, and keeps what it saw.
struct Between {
    meddling: Arc<Mutex<Meddling>>,
    recording: JoinHandle<Vec<Vec<u8>>>,
}

impl Between {
    fn listen(place: &Place, path: &Path, meddling: Meddling) -> Self {
        let meddling = Arc::new(Mutex::new(meddling));
        let (listener, broker) = (UnixListener::bind(path).unwrap(), UnixStream::connect(&place.path).unwrap());
        let shared = meddling.clone();
        let recording = std::thread::spawn(move || {
            let client = listener.accept().unwrap().0;
            let (from_broker, to_client) = (broker.try_clone().unwrap(), client.try_clone().unwrap());
            let back = std::thread::spawn(move || pass(from_broker, to_client, &Mutex::new(Meddling::Nothing)));
            vec![pass(client, broker, &shared), back.join().unwrap()]
        });
        Self { meddling, recording }
    }

    fn meddle(&self, meddling: Meddling) {
        *self.meddling.lock().unwrap() = meddling;
    }

    /// What the client said and what it heard.
    async fn seen(self) -> Vec<Vec<u8>> {
        tokio::task::spawn_blocking(|| self.recording.join().unwrap()).await.unwrap()
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, meddling: &Mutex<Meddling>) -> Vec<u8> {
    let (mut kept, mut chunk) = (Vec::new(), [0; 4096]);
    while let Ok(len @ 1..) = from.read(&mut chunk) {
        let mut passed = chunk[..len].to_vec();
        match std::mem::replace(&mut *meddling.lock().unwrap(), Meddling::Nothing) {
            Meddling::Nothing => {}
            Meddling::Change(at) => passed[at.min(len - 1)] ^= 1,
            Meddling::Repeat => passed.extend_from_slice(&chunk[..len]),
            Meddling::Dissuade => {
                let mut said = bytes::BytesMut::from(&passed[..]);
                let frame = daemoneye_broker::frame::decode(&mut said, 4096).unwrap().unwrap();
                let Message::Hello(hello) = Message::decode(frame).unwrap() else { panic!("it comes first") };
                passed = encoded(Hello { can_seal: false, ..hello }).to_vec();
            }
        }
        kept.extend_from_slice(&passed);
        if to.write_all(&passed).is_err() {
            break;
        }
    }
    let _closed = to.shutdown(std::net::Shutdown::Write);
    let _closed = from.shutdown(std::net::Shutdown::Read);
    kept
}

fn bind(place: &Place) -> Broker {
    let Settings { gate, .. } = place.settings();
    Broker::bind(&place.path, Settings { gate: gate.encrypted(), ..place.settings() }).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|part| part == text.as_bytes())
}

/// What goes over the socket while one question is asked.
async fn overheard(place: &Place, broker: &Broker) -> Vec<Vec<u8>> {
    let path = place.path.with_extension("between");
    let between = Between::listen(place, &path, Meddling::Nothing);
    let answering = broker.client("witness").unwrap();
    let mut asked = answering.subscribe(&Interest::new("t").answering()).await.unwrap();
    let client = Client::connect(&path, &place.identity("overheard")).await.unwrap();
    let (outcome, ()) = tokio::join!(client.request("t", SECRETS[0], PATIENCE), async {
        let delivery = asked.message().await.unwrap();
        assert_eq!(&delivery.payload[..], SECRETS[0].as_bytes());
        delivery.reply(SECRETS[1]);
    });
    assert_eq!(outcome.unwrap(), Outcome::Accepted(Bytes::from(SECRETS[1])));
    client.close().await;
    between.seen().await
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_between_the_two_reads_what_they_say() {
    for encrypted in [false, true] {
        let place = Place::new();
        let broker = if encrypted { bind(&place) } else { place.bind() };
        for (bytes, secret) in overheard(&place, &broker).await.iter().zip(SECRETS) {
            assert_eq!(holds(bytes, secret), !encrypted, "`{secret}` where encryption is {encrypted}");
        }
        broker.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_as_in_the_clear() {
    let place = Place::new();
    let broker = bind(&place);
    let [publisher, subscriber] = [place.client("publisher").await, place.client("subscriber").await];
    let mut small = subscriber.subscribe(&Interest::new("small")).await.unwrap();
    let (told, ()) = tokio::join!(course(&mut small, 5000), async {
        for number in 0..5000 {
            publisher.publish("small", numbered(number, 100)).await.unwrap();
        }
    });
    assert_eq!((told.came.len(), told.gaps), (5000, vec![]));
    // Of more than one record, each way at once.
    let mut large = subscriber.subscribe(&Interest::new("large").answering()).await.unwrap();
    let payload = numbered(1, 8 << 20);
    let (outcome, came) = tokio::join!(publisher.request("large", payload.clone(), PATIENCE), received(&mut large));
    assert_eq!((outcome.unwrap(), came == payload), (Outcome::Accepted(Bytes::new()), true));
    let mut back = publisher.subscribe(&Interest::new("back")).await.unwrap();
    subscriber.publish("back", payload.clone()).await.unwrap();
    assert!(received(&mut back).await == payload);
    // Who demands it gets it too.
    let strict = Identity { encryption: Encryption::Required, ..place.identity("strict") };
    let strict = Client::connect(&place.path, &strict).await.unwrap();
    assert_eq!(strict.request("nobody", "", PATIENCE).await.unwrap(), Outcome::Nobody);
    broker.shutdown().await;
    assert_eq!(strict.closed().await.to_string(), "the connection to the broker is closed: the other side closed it");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_changes_a_byte_ends_the_connection_and_nothing_else() {
    let place = Place::new();
    let broker = bind(&place);
    let mut notices = Notices::of(&broker).await;
    let other = place.client("other").await;
    let mut heard = other.subscribe(&Interest::new("t")).await.unwrap();
    // The length, the first byte, one in the midst, and the whole once more.
    for meddling in [Meddling::Change(0), Meddling::Change(2), Meddling::Change(40), Meddling::Repeat] {
        let path = place.path.with_extension("between");
        let between = Between::listen(&place, &path, Meddling::Nothing);
        let client = Client::connect(&path, &place.identity("meddled")).await.unwrap();
        client.publish("t", "before").await.unwrap();
        assert_eq!(&received(&mut heard).await[..], b"before");
        between.meddle(meddling);
        client.publish("t", "x".repeat(1000)).await.unwrap();
        // Of a length that was changed, the rest does not come until more does.
        if meddling != Meddling::Repeat {
            client.publish("t", "y".repeat(100_000)).await.unwrap();
        }
        let notice = notices.next().await;
        assert_eq!((notice.action.as_str(), notice.name.as_str()), ("connection_ended", "meddled"), "{meddling:?}");
        assert!(notice.text.starts_with("what came was not encrypted by the other side"), "{}", notice.text);
        let _told = client.closed().await;
        between.seen().await;
        std::fs::remove_file(&path).unwrap();
        other.publish("t", "after").await.unwrap();
        if meddling == Meddling::Repeat {
            assert_eq!(received(&mut heard).await.len(), 1000, "what is repeated came once");
        }
        assert_eq!(&received(&mut heard).await[..], b"after", "nothing of what was changed came before");
    }
    assert!(notices.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_side_is_talked_out_of_it() {
    let place = Place::new();
    let broker = bind(&place);
    let sentence = "connections to this agent are encrypted, and the client offers none; install both from the same \
                    release, or set the agent's `encryption` to off";
    let mut plain = Peer::connect(&place);
    plain.say(hello(Role::Operator, KeyKind::Installation));
    assert_eq!(plain.fault(), sentence);
    let path = place.path.with_extension("between");
    let between = Between::listen(&place, &path, Meddling::Dissuade);
    let refused = Client::connect(&path, &place.identity("dissuaded")).await.unwrap_err().to_string();
    assert_eq!(refused, format!("refused by the broker: {sentence}"));
    between.seen().await;
    broker.shutdown().await;

    let broker = place.bind();
    let strict = Identity { encryption: Encryption::Required, ..place.identity("strict") };
    let refused = Client::connect(&place.path, &strict).await.unwrap_err().to_string();
    assert!(refused.contains("the agent does not encrypt connections, which the settings of this program require"));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_agrees_anew() {
    let place = Place::new();
    let broker = bind(&place);
    let backoff = daemoneye_broker::Backoff::default();
    let client = Client::keep(&place.path, place.identity("kept"), backoff).unwrap();
    client.connected().await.unwrap();
    broker.shutdown().await;
    let broker = bind(&place);
    assert_eq!(client.request("nobody", "", PATIENCE).await.unwrap(), Outcome::Nobody);
    broker.shutdown().await;
}
