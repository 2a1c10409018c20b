//! The messages that frames carry.
//!
//! | type | message | from | then |
//! |---:|---|---|---|
//! | 1 | [`Hello`] | client, first | `Challenge`, or `Fault` and the end |
//! | 2 | [`Challenge`] | broker | `Proof` |
//! | 3 | [`Proof`] | client | `Welcome`, or `Fault` and the end |
//! | 4 | [`Welcome`] | broker | |
//! | 5 | [`Subscribe`] | client | `Subscribed`; nothing published after it is missed |
//! | 6 | [`Subscribed`] | broker | |
//! | 7 | [`Unsubscribe`] | client | |
//! | 8 | `Publish`: a [`Parcel`] | client | `Published` for each message that asks |
//! | 9 | [`Published`] | broker | |
//! | 10 | [`Deliver`] | broker | `Acknowledge` for each message, where the subscription answers |
//! | 11 | [`Acknowledge`] | client | |
//! | 12 | [`Taken`] | client | more deliveries, see [`WINDOW`] |
//! | 13 | [`Cancel`] | client | `Cancelled` for whoever has not answered yet |
//! | 14 | [`Cancelled`] | broker | |
//! | 15 | [`Ping`] | both | `Pong` |
//! | 16 | [`Pong`] | both | |
//! | 17 | [`Fault`] | both | the end of the connection |
//!
//! Bodies are protobuf. That of `Publish` is the parcel itself; that of `Deliver` is its head, counted by a varint,
//! and then the parcel, so that the broker passes on the bytes that came.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message as _;

use crate::frame::{self, FRAME_LEN_MAX, Frame};
use crate::parcel::Parcel;
use crate::queue::Room;

/// The oldest set of messages that this code speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest set of messages that this code speaks.
pub const PROTOCOL_MAX: u32 = 1;
/// Bytes of a payload: a frame less room for topic, ids and field headers.
pub const PAYLOAD_LEN_MAX: usize = FRAME_LEN_MAX - 4096;
/// What may be on its way to one subscription, or wait in its client, until the broker hears that it was taken: with
/// that much or more, nothing further is sent. So what a program does not take waits in the broker, where its bound is
/// kept, and not before what the same client's other subscriptions get.
pub const WINDOW: Room = Room { len: 8192, bytes: 1 << 20 };
/// Bytes of a reason or an error's text; the rest is cut.
pub const TEXT_LEN_MAX: usize = 1024;
/// Bytes of a client's name.
pub const NAME_LEN_MAX: usize = 64;

macro_rules! messages {
    ($($kind:literal $name:ident: $doc:literal;)*) => {
        /// Any message.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message {
            $(
                #[doc = $doc]
                $name($name),
            )*
            /// Messages under topics.
            Publish(Parcel),
            /// Messages for a subscription.
            Deliver(Deliver),
        }

        impl Message {
            /// Appends the message as one frame.
            pub fn encode(&self, out: &mut BytesMut) {
                match self {
                    $(Self::$name(body) => frame::encode($kind, out, |out| encode_body(body, out)),)*
                    Self::Publish(parcel) => frame::encode(PUBLISH, out, |out| parcel.encode(out)),
                    Self::Deliver(deliver) => frame::encode(DELIVER, out, |out| deliver.encode(out)),
                }
            }

            /// [`Message::encode`] but for the last bytes where they are many and need not be copied: those.
            pub(crate) fn encode_head(&self, out: &mut BytesMut) -> Option<Bytes> {
                let (kind, head, parcel) = match self {
                    Self::Publish(parcel) => (PUBLISH, None, parcel),
                    Self::Deliver(Deliver { head, parcel }) => (DELIVER, Some(head), parcel),
                    $(Self::$name(_))|* => {
                        self.encode(out);
                        return None;
                    }
                };
                let Some(rest) = parcel.encoded().filter(|bytes| bytes.len() >= LOOSE_LEN_MIN) else {
                    self.encode(out);
                    return None;
                };
                let write = |out: &mut BytesMut| head.into_iter().for_each(|head| DeliverHead::encode(head, out));
                frame::encode_head(kind, out, write, rest);
                Some(rest.clone())
            }

            /// The message in a frame.
            pub fn decode(frame: Frame) -> Result<Self, Fault> {
                match frame.kind {
                    $($kind => $name::decode(frame.body).map(Self::$name).map_err(Fault::undecodable),)*
                    PUBLISH => publication(frame.body).map(Self::Publish),
                    DELIVER => Deliver::decode(frame.body).map(Self::Deliver),
                    kind => Err(Fault::new(Code::Protocol, format!("message of unknown type {kind}"))),
                }
            }

            /// The message's name, for errors.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                    Self::Publish(_) => "Publish",
                    Self::Deliver(_) => "Deliver",
                }
            }
        }

        $(impl From<$name> for Message {
            fn from(body: $name) -> Self {
                Self::$name(body)
            }
        })*
    };
}

messages! {
    1 Hello: "The client introduces itself.";
    2 Challenge: "The broker proves that it holds the key, and asks for the same.";
    3 Proof: "The client proves that it holds the key.";
    4 Welcome: "The broker accepts.";
    5 Subscribe: "Asks for everything that matches.";
    6 Subscribed: "The subscription stands, or why it does not.";
    7 Unsubscribe: "Ends a subscription.";
    9 Published: "What became of a publication.";
    11 Acknowledge: "What became of a delivery.";
    12 Taken: "The program has taken deliveries.";
    13 Cancel: "The answer to a publication is no longer wanted.";
    14 Cancelled: "The answer to a delivery is no longer wanted.";
    15 Ping: "Are you there?";
    16 Pong: "Here.";
    17 Fault: "Why the connection ends.";
}

/// Parcels from this on are written from where they are.
const LOOSE_LEN_MIN: usize = 4096;
const PUBLISH: u8 = 8;
const DELIVER: u8 = 10;

/// Bytes of a publication: a frame less room for the head that it is delivered with.
const PUBLICATION_LEN_MAX: usize = FRAME_LEN_MAX - 64;

/// A parcel that can be delivered to others.
fn publication(body: Bytes) -> Result<Parcel, Fault> {
    let len = body.len();
    if len > PUBLICATION_LEN_MAX {
        let text = format!("publication of {len} bytes, at most {PUBLICATION_LEN_MAX} are allowed");
        return Err(Fault::new(Code::Protocol, text));
    }
    Parcel::decode(body)
}

fn encode_body(body: &impl prost::Message, out: &mut BytesMut) {
    body.encode(out).expect("the buffer grows");
}

/// The first message of a client.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hello {
    /// The oldest protocol that the client speaks.
    #[prost(uint32, tag = "1")]
    pub protocol_min: u32,
    /// The newest protocol that the client speaks.
    #[prost(uint32, tag = "2")]
    pub protocol_max: u32,
    /// Who it says it is: letters, digits, `-`, `_`, `.` and at most [`NAME_LEN_MAX`] of them.
    #[prost(string, tag = "3")]
    pub name: String,
    /// What it wants to be allowed, a [`crate::Role`].
    #[prost(enumeration = "crate::tree::Role", tag = "4")]
    pub role: i32,
    /// 32 random bytes.
    #[prost(bytes = "bytes", tag = "5")]
    pub nonce: Bytes,
    /// Which key it holds, a [`crate::KeyKind`].
    #[prost(enumeration = "crate::key::KeyKind", tag = "6")]
    pub key: i32,
    /// It can encrypt, if it is asked to.
    #[prost(bool, tag = "7")]
    pub can_seal: bool,
}

/// The broker's answer to [`Hello`]: see [`crate::key`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Challenge {
    /// The newest protocol that both speak.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
    /// 32 random bytes.
    #[prost(bytes = "bytes", tag = "2")]
    pub nonce: Bytes,
    /// That the broker holds the key.
    #[prost(bytes = "bytes", tag = "3")]
    pub proof: Bytes,
    /// The first message of an exchange of keys, where the broker asks for encryption; else empty.
    #[prost(bytes = "bytes", tag = "4")]
    pub seal: Bytes,
}

/// The client's answer to [`Challenge`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Proof {
    /// That the client holds the key.
    #[prost(bytes = "bytes", tag = "1")]
    pub proof: Bytes,
    /// The second message of the exchange, where there was a first: whatever follows is encrypted.
    #[prost(bytes = "bytes", tag = "2")]
    pub seal: Bytes,
}

/// The broker's answer to [`Proof`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The broker's number for the connection.
    #[prost(uint64, tag = "1")]
    pub connection: u64,
    /// How many publications of the client may wait for their outcome.
    #[prost(uint32, tag = "2")]
    pub credit: u32,
}

/// Asks for what matches a pattern.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Subscribe {
    /// The client's number for it.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// Which topics.
    #[prost(string, tag = "2")]
    pub pattern: String,
    /// The queue group: of its members, one gets each message. None where empty.
    #[prost(string, tag = "3")]
    pub group: String,
    /// Whether each delivery is answered.
    #[prost(bool, tag = "4")]
    pub answers: bool,
    /// Whether it begins with the last retained message of each topic.
    #[prost(bool, tag = "5")]
    pub retained: bool,
    /// What happens when its queue is full.
    #[prost(enumeration = "WhenFull", tag = "6")]
    pub when_full: i32,
    /// For [`WhenFull::Block`]: milliseconds that a publisher waits at most.
    #[prost(uint32, tag = "7")]
    pub patience_ms: u32,
    /// Messages that may wait; 0 leaves it to the broker.
    #[prost(uint32, tag = "8")]
    pub room_len: u32,
    /// Bytes that may wait; 0 leaves it to the broker.
    #[prost(uint64, tag = "9")]
    pub room_bytes: u64,
}

/// What happens to a message whose subscription has no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum WhenFull {
    /// The oldest that wait give way.
    DropOldest = 0,
    /// It is not taken.
    DropNewest = 1,
    /// Its publisher waits, for a while; then it is not taken.
    Block = 2,
    /// The subscriber's connection ends.
    Disconnect = 3,
}

impl Subscribe {
    /// The room that its queue has.
    pub(crate) fn room(&self) -> Room {
        let (len, bytes) = (self.room_len as usize, usize::try_from(self.room_bytes).unwrap_or(usize::MAX));
        let default = Room::default();
        Room {
            len: if len == 0 { default.len } else { len.min(Room::MAX.len) },
            bytes: if bytes == 0 { default.bytes } else { bytes.min(Room::MAX.bytes) },
        }
    }
}

/// The answer to [`Subscribe`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Subscribed {
    /// The client's number for it.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// Why there is no such subscription.
    #[prost(string, optional, tag = "2")]
    pub refused: Option<String>,
}

/// Ends a subscription. Whatever waits for it is refused, or goes to others of its group.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Unsubscribe {
    /// The client's number for it.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
}

/// What became of a message that was published with a request.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Published {
    /// The client's number for the question.
    #[prost(uint64, tag = "1")]
    pub request: u64,
    /// What became of it.
    #[prost(enumeration = "OutcomeKind", tag = "2")]
    pub outcome: i32,
    /// Why it was refused.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// What a subscriber answered.
    #[prost(bytes = "bytes", tag = "4")]
    pub reply: Bytes,
}

/// Messages on their way to one subscription, or that some went missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Deliver {
    /// What is said about them.
    pub head: DeliverHead,
    /// The messages; none where there is only a gap to tell.
    pub parcel: Parcel,
}

/// The head of [`Deliver`].
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub struct DeliverHead {
    /// The client's number for the subscription.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// The first message's number in the subscription; the others follow.
    #[prost(uint64, tag = "2")]
    pub first: u64,
    /// Messages that matched and were dropped just before these.
    #[prost(uint64, tag = "3")]
    pub gap: u64,
}

impl DeliverHead {
    fn encode(&self, out: &mut BytesMut) {
        self.encode_length_delimited(out).expect("the buffer grows");
    }
}

impl Deliver {
    fn encode(&self, out: &mut BytesMut) {
        DeliverHead::encode(&self.head, out);
        self.parcel.encode(out);
    }

    fn decode(mut body: Bytes) -> Result<Self, Fault> {
        let head = DeliverHead::decode_length_delimited(&mut body).map_err(Fault::undecodable)?;
        let parcel = Parcel::decode(body.copy_to_bytes(body.remaining()))?;
        Ok(Self { head, parcel })
    }
}

/// The answer to one message of a [`Deliver`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acknowledge {
    /// The client's number for the subscription.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// The message's number in it.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// Which [`Outcome`] it was for this subscriber.
    #[prost(enumeration = "OutcomeKind", tag = "3")]
    pub outcome: i32,
    /// Why it was refused or lost.
    #[prost(string, tag = "4")]
    pub reason: String,
    /// What the publisher is told, where it asked.
    #[prost(bytes = "bytes", tag = "5")]
    pub reply: Bytes,
}

/// The program has taken every message of a subscription up to this one. A client says so at the latest when what it
/// has not said that of is a quarter of [`WINDOW`].
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Taken {
    /// The client's number for the subscription.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// The last message's number in it.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// The publisher does not wait for an outcome any more.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cancel {
    /// The client's number for the question.
    #[prost(uint64, tag = "1")]
    pub request: u64,
}

/// Nobody waits for the answer to this message any more.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cancelled {
    /// The client's number for the subscription.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// The message's number in it.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// Sent by a side that has sent nothing for a while.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ping {}

/// The answer to [`Ping`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Pong {}

/// Why one side ends the connection.
#[derive(Clone, PartialEq, prost::Message, thiserror::Error)]
#[error("{text}")]
pub struct Fault {
    /// What a program can act on.
    #[prost(enumeration = "Code", tag = "1")]
    pub code: i32,
    /// What a person can read.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum Code {
    /// A message that must not come, now or at all.
    Protocol = 0,
    /// No version in common.
    Version = 1,
    /// A limit of the broker; try later.
    Busy = 2,
    /// Nothing came for too long.
    Silence = 3,
    /// It has not proved what it says, or may not do what it asks.
    Denied = 4,
    /// A subscription was full, and asked to be ended so.
    Slow = 5,
}

/// The wire form of [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum OutcomeKind {
    /// See [`Outcome::Accepted`].
    Accepted = 0,
    /// See [`Outcome::Refused`].
    Refused = 1,
    /// See [`Outcome::Nobody`].
    Nobody = 2,
    /// See [`Outcome::Lost`].
    Lost = 3,
}

/// What became of a publication, as told by the subscribers that answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every one of them acknowledged it; what the last of them replied, which may be nothing.
    Accepted(Bytes),
    /// One of them refused it, or did not get it: it went away before, or its queue is full. The reason may be a peer's
    /// text.
    Refused(String),
    /// One of them got it and went away without an answer: what it wants may have been done.
    Lost(String),
    /// None of them matches; others got it all the same.
    Nobody,
}

impl Outcome {
    fn into_wire(self) -> (i32, String, Bytes) {
        let (kind, reason, reply) = match self {
            Self::Accepted(reply) => (OutcomeKind::Accepted, String::new(), reply),
            Self::Refused(reason) => (OutcomeKind::Refused, truncated(reason), Bytes::new()),
            Self::Lost(reason) => (OutcomeKind::Lost, truncated(reason), Bytes::new()),
            Self::Nobody => (OutcomeKind::Nobody, String::new(), Bytes::new()),
        };
        (kind.into(), reason, reply)
    }

    fn from_wire(kind: i32, reason: String, reply: Bytes) -> Result<Self, Fault> {
        let kind = OutcomeKind::try_from(kind).map_err(|error| Fault::new(Code::Protocol, error.to_string()))?;
        Ok(match kind {
            OutcomeKind::Accepted => Self::Accepted(reply),
            OutcomeKind::Refused => Self::Refused(truncated(reason)),
            OutcomeKind::Lost => Self::Lost(truncated(reason)),
            OutcomeKind::Nobody => Self::Nobody,
        })
    }
}

impl Published {
    pub(crate) fn new(request: u64, outcome: Outcome) -> Self {
        let (outcome, reason, reply) = outcome.into_wire();
        Self { request, outcome, reason, reply }
    }

    pub(crate) fn into_outcome(self) -> Result<Outcome, Fault> {
        Outcome::from_wire(self.outcome, self.reason, self.reply)
    }
}

impl Acknowledge {
    /// The answer of a subscriber to a message that it got.
    pub fn new(subscription: u64, number: u64, outcome: Outcome) -> Self {
        let (outcome, reason, reply) = outcome.into_wire();
        Self { subscription, number, outcome, reason, reply }
    }

    pub(crate) fn into_outcome(self) -> Result<Outcome, Fault> {
        Outcome::from_wire(self.outcome, self.reason, self.reply)
    }
}

impl Fault {
    /// A fault with this text, of which what exceeds [`TEXT_LEN_MAX`] is cut.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: truncated(text.into()) }
    }

    /// The same with a peer's text cut and made harmless to print.
    pub(crate) fn printable(self) -> Self {
        let harmless = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
        Self { code: self.code, text: truncated(self.text).chars().map(harmless).collect() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
    fn undecodable(error: prost::DecodeError) -> Self {
        Self::new(Code::Protocol, format!("message that is not what its type says: {error}"))
    }
}

/// `text` without what exceeds [`TEXT_LEN_MAX`].
pub(crate) fn truncated(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_LEN_MAX));
    text
}

/// Whether a client or a queue group may be called this.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=NAME_LEN_MAX).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!("a name has 1 to {NAME_LEN_MAX} letters, digits, `-`, `_` and `.`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::Entry;
    use proptest::prelude::*;

    #[test]
    fn the_largest_payload_fits_its_frame() {
        let parcel = Parcel::from(Entry {
            topic: "t".repeat(crate::topic::TOPIC_LEN_MAX).into(),
            payload: Bytes::from(vec![0; PAYLOAD_LEN_MAX]),
            request: u64::MAX,
            retain: true,
        });
        let head = DeliverHead { subscription: u64::MAX, first: u64::MAX, gap: u64::MAX };
        for message in [Message::Publish(parcel.clone()), Message::Deliver(Deliver { head, parcel })] {
            let mut buffer = BytesMut::new();
            message.encode(&mut buffer);
            let frame = frame::decode(&mut buffer, FRAME_LEN_MAX).unwrap().unwrap();
            assert_eq!(Message::decode(frame), Ok(message));
        }
    }

    #[test]
    fn a_peers_text_cannot_reach_a_terminal() {
        let fault = Fault::new(Code::Protocol, format!("a\u{1b}[2Jb\n{}", "é".repeat(5_000))).printable();
        assert!(fault.text.starts_with("a?[2Jb??"), "{fault}");
        assert!(fault.text.len() <= TEXT_LEN_MAX);
    }

    #[test]
    fn unknown_outcomes_are_a_fault() {
        let body = Published { outcome: 7, ..Published::new(1, Outcome::Nobody) };
        body.into_outcome().unwrap_err();
    }

    proptest! {
        #[test]
        fn any_body_decodes_or_is_at_fault(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _either = Message::decode(Frame { kind, body: body.into() });
        }
    }
}
