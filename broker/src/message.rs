//! The messages that frames carry, and what collectors, the agent and the command line say to each other in payloads.
//!
//! | type | message | from | then |
//! |---:|---|---|---|
//! | 1 | [`Hello`] | client, first | `Welcome`, or `Fault` and the end |
//! | 2 | [`Welcome`] | broker | |
//! | 3 | [`Subscribe`] | client | `Subscribed`; nothing published after it is missed |
//! | 4 | [`Subscribed`] | broker | |
//! | 5 | [`Unsubscribe`] | client | |
//! | 6 | [`Publish`] | client | `Published` where `request` is set |
//! | 7 | [`Published`] | broker | |
//! | 8 | [`Deliver`] | broker | `Acknowledge` where `delivery` is not 0 |
//! | 9 | [`Acknowledge`] | client | |
//! | 10 | [`Ping`] | both | `Pong` |
//! | 11 | [`Pong`] | both | |
//! | 12 | [`Fault`] | both | the end of the connection |

use bytes::{Bytes, BytesMut};
use prost::Message as _;

use crate::error::Error;
use crate::frame::{self, FRAME_LEN_MAX, Frame};

/// The oldest set of messages that this code speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The newest set of messages that this code speaks.
pub const PROTOCOL_MAX: u32 = 1;
/// Bytes of a payload: a frame less room for topic, ids and field headers.
pub const PAYLOAD_LEN_MAX: usize = FRAME_LEN_MAX - 4096;
/// Bytes of a reason or an error's text; the rest is cut.
pub const TEXT_LEN_MAX: usize = 1024;
/// Bytes of a client's name.
pub const NAME_LEN_MAX: usize = 64;

/// A payload below this is copied out of the read buffer, so that a queued message of a few bytes cannot hold a
/// buffer of many.
const COPY_LEN_MAX: usize = 16 << 10;

macro_rules! messages {
    ($($kind:literal $name:ident: $doc:literal;)*) => {
        /// Any message.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Message {$(
            #[doc = $doc]
            $name($name),
        )*}

        impl Message {
            /// Appends the message as one frame.
            pub fn encode(&self, out: &mut BytesMut) {
                match self {$(Self::$name(body) => frame::encode($kind, body, out),)*}
            }

            fn decode_body(frame: Frame) -> Result<Self, Fault> {
                match frame.kind {
                    $($kind => $name::decode(frame.body).map(Self::$name).map_err(Fault::undecodable),)*
                    kind => Err(Fault::new(Code::Protocol, format!("message of unknown type {kind}"))),
                }
            }

            /// The message's name, for errors.
            pub fn name(&self) -> &'static str {
                match self {$(Self::$name(_) => stringify!($name),)*}
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
    2 Welcome: "The broker accepts.";
    3 Subscribe: "Asks for everything that matches.";
    4 Subscribed: "The subscription stands, or why it does not.";
    5 Unsubscribe: "Ends a subscription.";
    6 Publish: "A payload under a topic.";
    7 Published: "What became of a publication.";
    8 Deliver: "A payload for a subscription.";
    9 Acknowledge: "What became of a delivery.";
    10 Ping: "Are you there?";
    11 Pong: "Here.";
    12 Fault: "Why the connection ends.";
}

impl Message {
    /// The message in a frame.
    pub fn decode(frame: Frame) -> Result<Self, Fault> {
        let mut message = Self::decode_body(frame)?;
        if let Self::Publish(Publish { payload, .. }) | Self::Deliver(Deliver { payload, .. }) = &mut message
            && payload.len() < COPY_LEN_MAX
        {
            *payload = Bytes::copy_from_slice(payload);
        }
        Ok(message)
    }
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
}

/// The broker's answer to [`Hello`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Welcome {
    /// The newest protocol that both speak.
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
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
    /// Whether deliveries are answered.
    #[prost(enumeration = "Mode", tag = "3")]
    pub mode: i32,
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

/// Ends a subscription. Whatever waits for it is refused.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Unsubscribe {
    /// The client's number for it.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
}

/// A payload for everyone who subscribed to its topic.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Publish {
    /// The client's number for the question what became of it; none where it does not ask.
    #[prost(uint64, optional, tag = "1")]
    pub request: Option<u64>,
    /// Where to.
    #[prost(string, tag = "2")]
    pub topic: String,
    /// What; the broker does not look into it.
    #[prost(bytes = "bytes", tag = "3")]
    pub payload: Bytes,
}

/// The answer to [`Publish`].
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
}

/// A payload on its way to one subscription.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Deliver {
    /// The client's number for the subscription.
    #[prost(uint64, tag = "1")]
    pub subscription: u64,
    /// The broker's number for the delivery, or 0 where no answer is expected.
    #[prost(uint64, tag = "2")]
    pub delivery: u64,
    /// Messages that matched and were dropped between the delivery before this one and this one.
    #[prost(uint64, tag = "3")]
    pub dropped: u64,
    /// What it was published under.
    #[prost(string, tag = "4")]
    pub topic: String,
    /// What was published.
    #[prost(bytes = "bytes", tag = "5")]
    pub payload: Bytes,
}

/// The answer to [`Deliver`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Acknowledge {
    /// The broker's number for the delivery.
    #[prost(uint64, tag = "1")]
    pub delivery: u64,
    /// Why it was not taken; none where it was.
    #[prost(string, optional, tag = "2")]
    pub refused: Option<String>,
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
}

/// What a subscriber does with deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum Mode {
    /// Takes what comes. When its queue is full the oldest message is dropped.
    Plain = 0,
    /// Answers each delivery. When its queue is full the newest message is refused.
    Acknowledged = 1,
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
}

/// What became of a publication, as told by the subscribers in acknowledged mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every one of them acknowledged it.
    Accepted,
    /// One of them refused it, went away before answering, or has a full queue. The reason may be a peer's text.
    Refused(String),
    /// None of them matches; plain subscribers got it all the same.
    Nobody,
}

impl Published {
    pub(crate) fn new(request: u64, outcome: Outcome) -> Self {
        let (kind, reason) = match outcome {
            Outcome::Accepted => (OutcomeKind::Accepted, String::new()),
            Outcome::Refused(reason) => (OutcomeKind::Refused, reason),
            Outcome::Nobody => (OutcomeKind::Nobody, String::new()),
        };
        Self { request, outcome: kind.into(), reason }
    }

    pub(crate) fn into_outcome(self) -> Result<Outcome, Fault> {
        let kind =
            OutcomeKind::try_from(self.outcome).map_err(|error| Fault::new(Code::Protocol, error.to_string()))?;
        Ok(match kind {
            OutcomeKind::Accepted => Outcome::Accepted,
            OutcomeKind::Refused => Outcome::Refused(self.reason),
            OutcomeKind::Nobody => Outcome::Nobody,
        })
    }
}

impl Fault {
    /// A fault with this text.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code: code.into(), text: text.into() }
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

/// Whether a client may call itself this.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=NAME_LEN_MAX).contains(&name.len()) && name.chars().all(allowed) {
        return Ok(());
    }
    Err(format!("a client's name has 1 to {NAME_LEN_MAX} letters, digits, `-`, `_` and `.`"))
}

/// One collection cycle of one table, as a collector publishes it on `events.<table>`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct SnapshotBatch {
    /// The running instance of the collector; with `sequence` it identifies the batch.
    #[prost(string, tag = "1")]
    pub source: String,
    /// Counts the instance's batches of this table.
    #[prost(uint64, tag = "2")]
    pub sequence: u64,
    /// Which table the rows are of.
    #[prost(string, tag = "3")]
    pub table: String,
    /// When they were collected: microseconds since 1970 UTC.
    #[prost(int64, tag = "4")]
    pub collected_at: i64,
    /// Whether permissions narrowed what could be seen.
    #[prost(bool, tag = "5")]
    pub scope_visible: bool,
    /// Why something is missing, by the names of the closed list of reasons.
    #[prost(string, repeated, tag = "6")]
    pub reasons: Vec<String>,
    /// The rows, opaque here.
    #[prost(bytes = "bytes", tag = "7")]
    pub rows: Bytes,
    /// The collector's process id; 0 where it does not say.
    #[prost(uint32, tag = "8")]
    pub pid: u32,
    /// Microseconds from one of its snapshots to the next; 0 where it does not say.
    #[prost(int64, tag = "9")]
    pub interval_micros: i64,
}

impl SnapshotBatch {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`SnapshotBatch::to_payload`] back; the rows share the payload's memory.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no snapshot batch: {error}")))
    }
}

/// What the agent is asked to do, published on `control.agent`. Its acknowledgement says that it was done, its refusal
/// that nothing was, and why.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Order {
    /// Quarantined rules that are to run again, by name.
    #[prost(string, repeated, tag = "1")]
    pub release: Vec<String>,
}

impl Order {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Order::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no order: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_batch_comes_back_without_copying_its_rows() {
        let batch = SnapshotBatch {
            source: "procmond-1".to_owned(),
            sequence: u64::MAX,
            table: "processes".to_owned(),
            collected_at: -1,
            scope_visible: true,
            reasons: vec!["sampling_gap".to_owned()],
            rows: Bytes::from(vec![7; 100_000]),
            pid: 7,
            interval_micros: 30_000_000,
        };
        let payload = batch.to_payload();
        let read = SnapshotBatch::from_payload(payload.clone()).unwrap();
        assert_eq!(read, batch);
        assert!(payload.as_ptr_range().contains(&read.rows.as_ptr()));
        assert!(SnapshotBatch::from_payload(payload.slice(..50)).is_err());
    }

    #[test]
    fn an_order_comes_back() {
        let order = Order { release: vec!["a".to_owned(), String::new()] };
        assert_eq!(Order::from_payload(order.to_payload()).unwrap(), order);
        assert!(Order::from_payload(Bytes::from_static(&[0x0a, 9])).is_err());
    }

    #[test]
    fn the_largest_payload_fits_its_frame() {
        let publish = Publish {
            request: Some(u64::MAX),
            topic: "t".repeat(crate::topic::TOPIC_LEN_MAX),
            payload: Bytes::from(vec![0; PAYLOAD_LEN_MAX]),
        };
        let Publish { topic, payload, .. } = publish.clone();
        let deliver = Deliver { subscription: u64::MAX, delivery: u64::MAX, dropped: u64::MAX, topic, payload };
        for message in [Message::from(publish), deliver.into()] {
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

    proptest! {
        #[test]
        fn any_body_decodes_or_is_at_fault(kind in any::<u8>(), body in prop::collection::vec(any::<u8>(), 0..100)) {
            let _either = Message::decode(Frame { kind, body: body.into() });
        }
    }
}
