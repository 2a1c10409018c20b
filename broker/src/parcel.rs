//! Messages on their way: one is an [`Entry`], and those that came together travel together as a [`Parcel`].
//!
//! A parcel from another process stays the bytes that it came as: the broker looks at topics, cuts it where its
//! messages part ways, and hands the same memory to every subscriber. One from this process stays what it was made
//! of. Whoever reads messages takes them out one by one.
//!
//! | bytes | field | of an entry |
//! |---|---|---|
//! | `0a` length | | begins each entry of a parcel |
//! | `0a` length text | topic | always |
//! | `12` length bytes | payload | where it is not empty |
//! | `18` varint | request | where it is not 0 |
//! | `20` `01` | retain | where it is set |
//!
//! That is protobuf: field 1, repeated, of messages with the fields 1 to 4. Read by hand, because the broker must not
//! take memory for what it only forwards; a test holds it to prost.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use crate::gate::Publisher;
use crate::message::{Code, Fault};

/// What a message counts for besides topic and payload: about what the structures around it take.
pub(crate) const ENTRY_COST: usize = 64;
/// Messages in one parcel.
pub(crate) const PARCEL_LEN_MAX: usize = 1 << 16;

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// What it is published under; UTF-8 once a broker has passed it on.
    pub topic: Bytes,
    /// What the broker does not look into.
    pub payload: Bytes,
    /// The publisher's number for the question what becomes of it; 0 where it does not ask.
    pub request: u64,
    /// Whether the broker keeps it for subscribers to come, in place of the last of its topic.
    pub retain: bool,
}

/// Some messages in their order.
#[derive(Clone, Debug)]
pub struct Parcel {
    form: Form,
    len: usize,
    /// As the broker knows them. Not on the wire: who is told is in the broker's process.
    publisher: Option<Arc<Publisher>>,
}

#[derive(Clone, Debug)]
enum Form {
    /// From another process: the entries as they came, found to be whole, and the size of the memory that they hold.
    Encoded(Bytes, usize),
    /// From this one: those not taken yet begin at the number.
    Plain(Arc<[Entry]>, usize),
}

/// One message as it stands in a parcel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EntryRef<'a> {
    pub(crate) topic: &'a [u8],
    pub(crate) payload: &'a [u8],
    pub(crate) request: u64,
    pub(crate) retain: bool,
}

impl Entry {
    fn as_ref(&self) -> EntryRef<'_> {
        let Self { topic, payload, request, retain } = self;
        EntryRef { topic, payload, request: *request, retain: *retain }
    }

    /// What it counts for in a queue.
    pub(crate) fn cost(&self) -> usize {
        self.as_ref().cost()
    }
}

impl From<Vec<Entry>> for Parcel {
    fn from(entries: Vec<Entry>) -> Self {
        let len = entries.len();
        Self { form: Form::Plain(entries.into(), 0), len, publisher: None }
    }
}

impl From<Entry> for Parcel {
    fn from(entry: Entry) -> Self {
        Self { form: Form::Plain(Arc::new([entry]), 0), len: 1, publisher: None }
    }
}

impl Parcel {
    /// Reads what [`Parcel::encode`] wrote; every entry is whole from here on.
    pub fn decode(bytes: Bytes) -> Result<Self, Fault> {
        let (mut rest, mut len) = (&bytes[..], 0);
        while !rest.is_empty() {
            entry(&mut rest).ok_or_else(|| Fault::new(Code::Protocol, "message that is not what its type says"))?;
            len += 1;
        }
        if len > PARCEL_LEN_MAX {
            let text = format!("parcel of {len} messages, at most {PARCEL_LEN_MAX} are allowed");
            return Err(Fault::new(Code::Protocol, text));
        }
        let memory = bytes.len();
        Ok(Self { form: Form::Encoded(bytes, memory), len, publisher: None })
    }

    /// Appends the entries.
    pub fn encode(&self, out: &mut BytesMut) {
        match &self.form {
            Form::Encoded(bytes, _) => out.extend_from_slice(bytes),
            Form::Plain(entries, at) => {
                entries[*at..*at + self.len].iter().for_each(|entry| entry.as_ref().encode(out));
            }
        }
    }

    /// Messages in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What it counts for in a queue, in bytes.
    pub(crate) fn cost(&self) -> usize {
        match &self.form {
            Form::Encoded(bytes, _) => bytes.len() + self.len * ENTRY_COST,
            Form::Plain(entries, at) => entries[*at..*at + self.len].iter().map(Entry::cost).sum(),
        }
    }

    /// The entries, each with where it ends: the unit of [`Parcel::split_to`].
    pub(crate) fn entries(&self) -> impl Iterator<Item = EntryRef<'_>> {
        let (mut bytes, plain) = match &self.form {
            Form::Encoded(bytes, _) => (&bytes[..], &[][..]),
            Form::Plain(entries, at) => (&[][..], &entries[*at..*at + self.len]),
        };
        let read = std::iter::from_fn(move || (!bytes.is_empty()).then(|| whole(entry(&mut bytes))));
        read.chain(plain.iter().map(Entry::as_ref))
    }

    /// Takes the first message out.
    pub fn pop(&mut self) -> Option<Entry> {
        if self.len == 0 {
            return None;
        }
        self.len -= 1;
        match &mut self.form {
            Form::Encoded(bytes, _) => {
                let mut rest = &bytes[..];
                let EntryRef { topic, payload, request, retain } = whole(entry(&mut rest));
                let read = Entry { topic: bytes.slice_ref(topic), payload: bytes.slice_ref(payload), request, retain };
                *bytes = bytes.slice_ref(rest);
                Some(read)
            }
            Form::Plain(entries, at) => {
                *at += 1;
                Some(entries[*at - 1].clone())
            }
        }
    }

    /// Takes the first `len` messages out.
    pub(crate) fn split_to(&mut self, len: usize) -> Self {
        debug_assert!(len <= self.len);
        if len == self.len {
            let head = self.clone();
            self.clear();
            return head;
        }
        self.len -= len;
        let publisher = self.publisher.clone();
        match &mut self.form {
            Form::Encoded(bytes, memory) => {
                let mut rest = &bytes[..];
                for _ in 0..len {
                    whole(entry(&mut rest));
                }
                let head = bytes.len() - rest.len();
                Self { form: Form::Encoded(bytes.split_to(head), *memory), len, publisher }
            }
            Form::Plain(entries, at) => {
                let head = Self { form: Form::Plain(entries.clone(), *at), len, publisher };
                *at += len;
                head
            }
        }
    }

    fn clear(&mut self) {
        *self = Self { form: Form::Encoded(Bytes::new(), 0), len: 0, publisher: None };
    }

    /// The same as this connection's.
    pub(crate) fn by(self, publisher: Option<Arc<Publisher>>) -> Self {
        Self { publisher, ..self }
    }

    /// Whose it is, once a broker has taken it in.
    pub(crate) fn publisher(&self) -> Option<&Arc<Publisher>> {
        self.publisher.as_ref()
    }

    /// The same in memory of its own where it is a small part of what it holds, for what is to wait.
    pub(crate) fn compact(mut self) -> Self {
        if let Form::Encoded(bytes, memory) = &mut self.form
            && bytes.len() < *memory / 2
        {
            *bytes = Bytes::copy_from_slice(bytes);
            *memory = bytes.len();
        }
        self
    }

    /// The bytes as they travel, where they are at hand.
    pub(crate) fn encoded(&self) -> Option<&Bytes> {
        match &self.form {
            Form::Encoded(bytes, _) => Some(bytes),
            Form::Plain(..) => None,
        }
    }
}

/// A parcel that is being filled.
#[derive(Debug)]
pub(crate) enum Draft {
    /// For another process: entries as they travel, and how many.
    Encoded(BytesMut, usize),
    /// For this one: entries, and what they count for.
    Plain(Vec<Entry>, usize),
}

impl Draft {
    /// Of what goes to another process.
    pub(crate) fn encoded() -> Self {
        Self::Encoded(BytesMut::new(), 0)
    }

    /// Of what stays in this one.
    pub(crate) fn plain() -> Self {
        Self::Plain(Vec::new(), 0)
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Encoded(_, len) => *len,
            Self::Plain(entries, _) => entries.len(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// [`Parcel::cost`] of what it would be.
    pub(crate) fn cost(&self) -> usize {
        match self {
            Self::Encoded(bytes, len) => bytes.len() + len * ENTRY_COST,
            Self::Plain(_, cost) => *cost,
        }
    }

    /// Appends a message.
    pub(crate) fn push(&mut self, topic: &str, payload: Bytes, request: u64, retain: bool) {
        match self {
            Self::Encoded(bytes, len) => {
                EntryRef { topic: topic.as_bytes(), payload: &payload, request, retain }.encode(bytes);
                *len += 1;
            }
            Self::Plain(entries, cost) => {
                let entry = Entry { topic: Bytes::copy_from_slice(topic.as_bytes()), payload, request, retain };
                *cost += entry.cost();
                entries.push(entry);
            }
        }
    }

    /// What was filled in; it is empty again.
    pub(crate) fn finish(&mut self) -> Parcel {
        match self {
            Self::Encoded(bytes, len) => {
                let bytes = bytes.split().freeze();
                let memory = bytes.len();
                Parcel { form: Form::Encoded(bytes, memory), len: std::mem::take(len), publisher: None }
            }
            Self::Plain(entries, cost) => {
                *cost = 0;
                std::mem::take(entries).into()
            }
        }
    }
}

impl PartialEq for Parcel {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.entries().eq(other.entries())
    }
}

fn whole<T>(read: Option<T>) -> T {
    read.expect("a parcel's entries were found to be whole")
}

impl EntryRef<'_> {
    pub(crate) fn cost(&self) -> usize {
        self.topic.len() + self.payload.len() + ENTRY_COST
    }

    fn encode(&self, out: &mut BytesMut) {
        let field = |bytes: &[u8]| if bytes.is_empty() { 0 } else { 1 + varint_len(bytes.len() as u64) + bytes.len() };
        let request_len = if self.request == 0 { 0 } else { 1 + varint_len(self.request) };
        let len = field(self.topic) + field(self.payload) + request_len + 2 * usize::from(self.retain);
        out.reserve(len + 1 + varint_len(len as u64));
        put_field(ENTRY_KEY, len as u64, out);
        for (key, bytes) in [(TOPIC_KEY, self.topic), (PAYLOAD_KEY, self.payload)] {
            if !bytes.is_empty() {
                put_field(key, bytes.len() as u64, out);
                out.put_slice(bytes);
            }
        }
        if self.request != 0 {
            put_field(REQUEST_KEY, self.request, out);
        }
        if self.retain {
            put_field(RETAIN_KEY, 1, out);
        }
    }
}

const ENTRY_KEY: u8 = 0x0a;
const TOPIC_KEY: u8 = 0x0a;
const PAYLOAD_KEY: u8 = 0x12;
const REQUEST_KEY: u8 = 0x18;
const RETAIN_KEY: u8 = 0x20;

/// Takes the first entry off `rest`, or nothing where there is no whole one.
fn entry<'a>(rest: &mut &'a [u8]) -> Option<EntryRef<'a>> {
    if take(rest, 1)? != [ENTRY_KEY] {
        return None;
    }
    let mut body = counted(rest)?;
    let mut entry = EntryRef { topic: &[], payload: &[], request: 0, retain: false };
    while let Some((key, after)) = body.split_first() {
        body = after;
        match *key {
            TOPIC_KEY => entry.topic = counted(&mut body)?,
            PAYLOAD_KEY => entry.payload = counted(&mut body)?,
            REQUEST_KEY => entry.request = varint(&mut body)?,
            RETAIN_KEY => entry.retain = varint(&mut body)? != 0,
            _ => return None,
        }
    }
    Some(entry)
}

fn counted<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(varint(rest)?).ok()?;
    take(rest, len)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (head, tail) = rest.split_at_checked(len)?;
    *rest = tail;
    Some(head)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (n, byte) in rest.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f).checked_shl(7 * u32::try_from(n).ok()?)?;
        if byte & 0x80 == 0 {
            *rest = &rest[n + 1..];
            return Some(value);
        }
    }
    None
}

fn varint_len(value: u64) -> usize {
    prost::length_delimiter_len(usize::try_from(value).unwrap_or(usize::MAX))
}

/// A key and a varint, written at once.
fn put_field(key: u8, mut value: u64, out: &mut BytesMut) {
    let mut field = [key; 11];
    let mut len = 1;
    while value >= 0x80 {
        field[len] = value.to_le_bytes()[0] | 0x80;
        value >>= 7;
        len += 1;
    }
    field[len] = value.to_le_bytes()[0];
    out.put_slice(&field[..=len]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message as _;

    #[derive(Clone, PartialEq, prost::Message)]
    struct Told {
        #[prost(bytes = "vec", tag = "1")]
        topic: Vec<u8>,
        #[prost(bytes = "vec", tag = "2")]
        payload: Vec<u8>,
        #[prost(uint64, tag = "3")]
        request: u64,
        #[prost(bool, tag = "4")]
        retain: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct Entries {
        #[prost(message, repeated, tag = "1")]
        entries: Vec<Told>,
    }

    fn told() -> impl Strategy<Value = Vec<Told>> {
        let bytes = || prop::collection::vec(any::<u8>(), 0..200);
        let request = prop_oneof![Just(0), any::<u64>()];
        let told = (bytes(), bytes(), request, any::<bool>()).prop_map(|(topic, payload, request, retain)| Told {
            topic,
            payload,
            request,
            retain,
        });
        prop::collection::vec(told, 0..8)
    }

    fn plain(entries: &[Told]) -> Parcel {
        let entry = |told: &Told| Entry {
            topic: told.topic.clone().into(),
            payload: told.payload.clone().into(),
            request: told.request,
            retain: told.retain,
        };
        entries.iter().map(entry).collect::<Vec<_>>().into()
    }

    fn encoded(parcel: &Parcel) -> Bytes {
        let mut out = BytesMut::new();
        parcel.encode(&mut out);
        out.freeze()
    }

    proptest! {
        #[test]
        fn the_bytes_are_those_of_prost(entries in told()) {
            let parcel = plain(&entries);
            let bytes = encoded(&parcel);
            prop_assert_eq!(&bytes[..], Entries { entries }.encode_to_vec());
            prop_assert_eq!(Parcel::decode(bytes).unwrap(), parcel);
        }

        #[test]
        fn a_draft_becomes_what_was_put_into_it(entries in told()) {
            let expected = plain(&entries);
            for mut draft in [Draft::encoded(), Draft::plain()] {
                for mut entry in std::iter::repeat_with(|| plain(&entries)).take(2).flat_map(|mut it| std::iter::from_fn(move || it.pop())) {
                    entry.topic = "t".into();
                    draft.push("t", entry.payload, entry.request, entry.retain);
                }
                let cost = draft.cost();
                let parcel = draft.finish();
                prop_assert_eq!((parcel.len(), parcel.cost(), draft.is_empty()), (2 * expected.len(), cost, true));
                let came = parcel.entries().map(|entry| (entry.payload.to_vec(), entry.request, entry.retain));
                let put = entries.iter().chain(&entries).map(|told| (told.payload.clone(), told.request, told.retain));
                prop_assert!(came.eq(put));
            }
        }

        #[test]
        fn cut_anywhere_both_forms_are_the_same(entries in told(), cut in any::<prop::sample::Index>()) {
            let mut plain = plain(&entries);
            let mut read = Parcel::decode(encoded(&plain)).unwrap();
            let cut = cut.index(entries.len() + 1);
            prop_assert_eq!(plain.split_to(cut), read.split_to(cut));
            while let Some(entry) = plain.pop() {
                prop_assert_eq!(Some(entry), read.pop());
                prop_assert_eq!(plain.len(), read.len());
                prop_assert_eq!(encoded(&plain), encoded(&read));
            }
            prop_assert_eq!(read.pop(), None);
        }

        #[test]
        fn garbage_is_at_fault_or_read_to_the_end(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Ok(mut parcel) = Parcel::decode(bytes.into()) {
                let len = parcel.len();
                prop_assert_eq!(std::iter::from_fn(|| parcel.pop()).count(), len);
            }
        }
    }

    #[test]
    fn a_payload_shares_the_memory_that_it_came_in() {
        let entry = Entry { topic: "t".into(), payload: vec![7; 100_000].into(), ..Entry::default() };
        let bytes = encoded(&entry.into());
        let payload = Parcel::decode(bytes.clone()).unwrap().pop().unwrap().payload;
        assert!(bytes.as_ptr_range().contains(&payload.as_ptr()));
    }
}
