//! An entry of the ledger, and the bytes that are hashed and stored for it.
//!
//! ```text
//! version      u8       1
//! sequence     u64      numbers are big-endian
//! recorded     i64      microseconds since 1970 UTC, when it was appended; never less than that of the entry before
//! at           i64      when it happened, by whoever saw it
//! known        u8       bit 0: there is a uid, bit 1: there is a pid; the others are 0
//! uid          u32      where there is one
//! pid          u32      where there is one
//! number       u64      the event's number at its origin
//! origin       text     a length in bytes as u32, then UTF-8
//! actor        text
//! action       text     its name
//! subject      text
//! payload      text     JSON, whose very bytes these are
//! ```
//!
//! One event has one encoding, and every byte of it means something: what decodes encodes to the same bytes.

use daemoneye_dsl::audit::{Action, Actor, Event, EventId, PAYLOAD_MAX};
use daemoneye_dsl::types::Timestamp;

use super::hash::{Blake3, Digest, Hash};

/// The encoding that this version writes and reads.
const VERSION: u8 = 1;
/// Bytes of one of an entry's texts.
pub const TEXT_LEN_MAX: usize = PAYLOAD_MAX;
/// Bytes of an entry.
pub const ENTRY_LEN_MAX: usize = 62 + 5 * TEXT_LEN_MAX;

const HAS_UID: u8 = 1;
const HAS_PID: u8 = 2;

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place, from 0.
    pub sequence: u64,
    /// When it was appended.
    pub recorded: Timestamp,
    /// What happened.
    pub event: Event,
}

/// An entry as its bytes have it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Encoded<'a> {
    pub(crate) sequence: u64,
    pub(crate) recorded: Timestamp,
    at: Timestamp,
    uid: Option<u32>,
    pid: Option<u32>,
    number: u64,
    origin: &'a str,
    actor: &'a str,
    pub(crate) action: Action,
    pub(crate) subject: &'a str,
    payload: &'a str,
}

impl Entry {
    /// Its canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(256);
        encode(self.sequence, self.recorded, &self.event, &mut bytes);
        bytes
    }

    /// Reads [`Entry::encode`] back; or says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        Encoded::read(bytes).map(Encoded::to_entry)
    }

    /// Its leaf of the tree.
    pub fn leaf(&self) -> Hash {
        Blake3::leaf(&self.encode())
    }
}

/// Appends an entry's canonical bytes.
pub(crate) fn encode(sequence: u64, recorded: Timestamp, event: &Event, bytes: &mut Vec<u8>) {
    let Event { id: EventId { origin, number }, at, actor: Actor { name, uid, pid }, action, subject, payload } = event;
    bytes.push(VERSION);
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(recorded.0.to_be_bytes());
    bytes.extend(at.0.to_be_bytes());
    bytes.push((u8::from(uid.is_some()) * HAS_UID) | (u8::from(pid.is_some()) * HAS_PID));
    [uid, pid].into_iter().flatten().for_each(|id| bytes.extend(id.to_be_bytes()));
    bytes.extend(number.to_be_bytes());
    for text in [origin, name, action.name(), subject, payload] {
        let len = u32::try_from(text.len()).expect("texts were checked to be short");
        bytes.extend(len.to_be_bytes());
        bytes.extend(text.as_bytes());
    }
}

/// Why an event cannot be an entry, if it cannot.
pub(crate) fn refusal(event: &Event) -> Option<String> {
    let texts = [
        ("origin", &event.id.origin),
        ("actor", &event.actor.name),
        ("subject", &event.subject),
        ("payload", &event.payload),
    ];
    let (what, text) = texts.into_iter().find(|(_, text)| text.len() > TEXT_LEN_MAX)?;
    Some(format!(
        "the {what} of event {} of {:?} has {} bytes, and {TEXT_LEN_MAX} are possible; cut it",
        event.id.number,
        event.id.origin.chars().take(64).collect::<String>(),
        text.len()
    ))
}

impl<'a> Encoded<'a> {
    /// Reads an entry's bytes, all of them.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, String> {
        let mut rest = Rest(bytes);
        let version = rest.byte()?;
        if version != VERSION {
            return Err(format!("it has version {version}, and this program reads {VERSION}; use a newer one"));
        }
        let (sequence, recorded, at) = (rest.number()?, rest.moment()?, rest.moment()?);
        let known = rest.byte()?;
        if known & !(HAS_UID | HAS_PID) != 0 {
            return Err(format!("the byte that says what is known of the actor is {known}"));
        }
        let uid = (known & HAS_UID != 0).then(|| rest.short()).transpose()?;
        let pid = (known & HAS_PID != 0).then(|| rest.short()).transpose()?;
        let number = rest.number()?;
        let (origin, actor, action) = (rest.text("origin")?, rest.text("actor")?, rest.text("action")?);
        let action = Action::named(action)
            .ok_or_else(|| format!("this program knows no action {:?}", action.chars().take(64).collect::<String>()))?;
        let (subject, payload) = (rest.text("subject")?, rest.text("payload")?);
        if !rest.0.is_empty() {
            return Err(format!("{} bytes follow its end", rest.0.len()));
        }
        Ok(Self { sequence, recorded, at, uid, pid, number, origin, actor, action, subject, payload })
    }

    pub(crate) fn to_entry(self) -> Entry {
        let actor = Actor { name: self.actor.to_owned(), uid: self.uid, pid: self.pid };
        let event = Event {
            id: EventId { origin: self.origin.to_owned(), number: self.number },
            at: self.at,
            actor,
            action: self.action,
            subject: self.subject.to_owned(),
            payload: self.payload.to_owned(),
        };
        Entry { sequence: self.sequence, recorded: self.recorded, event }
    }
}

/// What is still to be read.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or("it ends early")?;
        self.0 = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, String> {
        self.bytes().map(|[byte]| byte)
    }

    fn short(&mut self) -> Result<u32, String> {
        self.bytes().map(u32::from_be_bytes)
    }

    fn number(&mut self) -> Result<u64, String> {
        self.bytes().map(u64::from_be_bytes)
    }

    fn moment(&mut self) -> Result<Timestamp, String> {
        self.bytes().map(|bytes| Timestamp(i64::from_be_bytes(bytes)))
    }

    fn text(&mut self, what: &str) -> Result<&'a str, String> {
        let len = self.short()? as usize;
        if len > TEXT_LEN_MAX {
            return Err(format!("its {what} would have {len} bytes, and {TEXT_LEN_MAX} are possible"));
        }
        let (text, rest) = self.0.split_at_checked(len).ok_or("it ends early")?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| format!("its {what} is not UTF-8"))
    }
}
