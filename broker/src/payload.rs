//! What collectors, the agent and the command line say to each other in payloads; the broker does not look into them.

use bytes::Bytes;
use prost::Message as _;

use crate::error::Error;

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
    /// The collector's version; empty where it does not say.
    #[prost(string, tag = "10")]
    pub version: String,
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

/// What the agent is asked, published on `control.agent`. Its refusal says that nothing was done, and why.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Ask {
    /// What.
    #[prost(oneof = "Wish", tags = "1, 2, 3, 4, 5")]
    pub wish: Option<Wish>,
}

/// What the agent can be asked.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Wish {
    /// To do something; acknowledged when it is done.
    #[prost(message, tag = "1")]
    Order(Order),
    /// A SELECT; its rows come on the topic that it names, its [`Told`] is the reply.
    #[prost(message, tag = "2")]
    Statement(Statement),
    /// What the agent knows of itself; the reply says it in JSON.
    #[prost(enumeration = "Knowledge", tag = "3")]
    Knowledge(i32),
    /// The alerts that were written after this turn; the reply says them in JSON.
    #[prost(uint64, tag = "4")]
    AlertsAfter(u64),
    /// Something about the ledger, of which the agent is the one writer.
    #[prost(message, tag = "5")]
    Ledger(LedgerOrder),
}

/// What the agent can be asked about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
pub enum Knowledge {
    /// How the system is, as the store has it.
    Report = 0,
    /// The settings in force, with their origins.
    Settings = 1,
}

/// Something that changes what the agent does or knows. The reply is a sentence about what was done.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Order {
    /// What.
    #[prost(oneof = "Deed", tags = "1, 2, 3, 4, 5")]
    pub deed: Option<Deed>,
}

/// What the agent can be told to do.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Deed {
    /// To run quarantined rules again.
    #[prost(message, tag = "1")]
    Release(Release),
    /// To note what operators make of alerts.
    #[prost(message, tag = "2")]
    Handle(Handle),
    /// To keep alerts from being delivered.
    #[prost(message, tag = "3")]
    Silence(Silence),
    /// To end the silence of this number.
    #[prost(uint64, tag = "4")]
    Unsilence(u64),
    /// To put on record that a program takes a table out of the store, which it reads by itself.
    #[prost(message, tag = "5")]
    Export(Export),
}

/// Quarantined rules that are to run again: all of them, or none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Release {
    /// By name.
    #[prost(string, repeated, tag = "1")]
    pub rules: Vec<String>,
}

/// What is to become of alerts: of all of them, or of none.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Handle {
    /// By number.
    #[prost(uint64, repeated, tag = "1")]
    pub alerts: Vec<u64>,
    /// What, by its name.
    #[prost(string, tag = "2")]
    pub handling: String,
    /// What the operator has to say.
    #[prost(string, optional, tag = "3")]
    pub note: Option<String>,
}

/// What is not to be delivered.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Silence {
    /// Of which rule: its name or UUID; that of the alert where it is empty.
    #[prost(string, tag = "1")]
    pub rule: String,
    /// Of which key, as a JSON object.
    #[prost(string, optional, tag = "2")]
    pub key: Option<String>,
    /// Of the key of this alert.
    #[prost(uint64, optional, tag = "3")]
    pub alert: Option<u64>,
    /// For how long, in microseconds.
    #[prost(int64, tag = "4")]
    pub for_micros: i64,
    /// What the operator has to say.
    #[prost(string, optional, tag = "5")]
    pub note: Option<String>,
}

/// What is about to be taken out of the store.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Export {
    /// The table.
    #[prost(string, tag = "1")]
    pub table: String,
    /// The file that it goes to.
    #[prost(string, tag = "2")]
    pub file: String,
    /// Its rows from then on: microseconds since 1970 UTC; from the beginning where it does not say.
    #[prost(int64, optional, tag = "3")]
    pub from_micros: Option<i64>,
    /// And before then.
    #[prost(int64, optional, tag = "4")]
    pub to_micros: Option<i64>,
}

/// What is to be done with the ledger.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LedgerOrder {
    /// What.
    #[prost(oneof = "LedgerDeed", tags = "1, 2, 3")]
    pub deed: Option<LedgerDeed>,
}

/// What can be done with the ledger.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum LedgerDeed {
    /// To let a new key sign from here on; the reply is [`Rotated`].
    #[prost(message, tag = "1")]
    Rotate(Rotate),
    /// To keep what witnesses signed; the reply is [`Cosigned`].
    #[prost(message, tag = "2")]
    Cosign(Cosign),
    /// To sign all that it has; the reply is [`Signed`].
    #[prost(message, tag = "3")]
    Sign(Sign),
}

/// A checkpoint over everything that there is.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Sign {}

/// A new key.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Rotate {}

/// Cosignatures that are to be kept.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cosign {
    /// A checkpoint of this ledger, with the cosignatures.
    #[prost(string, tag = "1")]
    pub note: String,
    /// The public keys of those who may have cosigned it.
    #[prost(string, repeated, tag = "2")]
    pub witnesses: Vec<String>,
}

/// What became of [`Rotate`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Rotated {
    /// The public key that signs from here on.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The checkpoint over the entry that names it, signed by both keys.
    #[prost(string, tag = "2")]
    pub note: String,
}

/// What became of [`Sign`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Signed {
    /// The checkpoint; the one of before where nothing came since.
    #[prost(string, tag = "1")]
    pub note: String,
}

/// What became of [`Cosign`].
#[derive(Clone, PartialEq, prost::Message)]
pub struct Cosigned {
    /// Cosignatures that the ledger did not have before.
    #[prost(uint64, tag = "1")]
    pub new: u64,
    /// The checkpoint with all that it has now.
    #[prost(string, tag = "2")]
    pub note: String,
}

/// A SELECT.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Statement {
    /// Its text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// Values of its parameters, as `NAME=VALUE`.
    #[prost(string, repeated, tag = "2")]
    pub parameters: Vec<String>,
    /// What it may take, in microseconds.
    #[prost(uint64, tag = "3")]
    pub limit_micros: u64,
    /// What `now()` is, in microseconds since 1970 UTC; the agent's own clock where it does not say.
    #[prost(int64, optional, tag = "4")]
    pub now_micros: Option<i64>,
    /// Where its rows go, in the encoding of snapshots and in parts, each of which is to be acknowledged before the
    /// next comes.
    #[prost(string, tag = "5")]
    pub rows_to: String,
    /// The lists that it asks for: those of whoever asks, who need not see what the agent does.
    #[prost(message, repeated, tag = "6")]
    pub lists: Vec<ListText>,
    /// Its rows are not wanted, but what each operation did.
    #[prost(bool, tag = "7")]
    pub analyze: bool,
}

/// A list of values.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListText {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its values, one a line.
    #[prost(string, tag = "2")]
    pub text: String,
}

/// How a [`Statement`] ended.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Told {
    /// It reads `processes`, and the agent has seen none yet: nothing was asked.
    #[prost(bool, tag = "1")]
    pub is_too_early: bool,
    /// How complete the answer is, in JSON.
    #[prost(string, tag = "2")]
    pub completeness: String,
    /// Of a statement with a LIMIT, how many rows there would be without; nothing where it did not wait for all.
    #[prost(uint64, optional, tag = "3")]
    pub before_limit: Option<u64>,
    /// What it read of each table.
    #[prost(message, repeated, tag = "4")]
    pub read: Vec<TableRead>,
    /// When the snapshot that it read was collected: microseconds since 1970 UTC; nothing where it read none.
    #[prost(int64, optional, tag = "5")]
    pub snapshot_micros: Option<i64>,
    /// Where it was analyzed, what each operation did, in JSON.
    #[prost(string, tag = "6")]
    pub measured: String,
}

/// Rows that a statement looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub struct TableRead {
    /// The table.
    #[prost(string, tag = "1")]
    pub table: String,
    /// How many.
    #[prost(uint64, tag = "2")]
    pub rows: u64,
}

impl Told {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Told::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no end of a statement: {error}")))
    }
}

impl Rotated {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Rotated::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no new key: {error}")))
    }
}

impl Signed {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Signed::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no signed note: {error}")))
    }
}

impl Cosigned {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Cosigned::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no cosigned note: {error}")))
    }
}

impl From<Wish> for Ask {
    fn from(wish: Wish) -> Self {
        Self { wish: Some(wish) }
    }
}

impl From<Deed> for Order {
    fn from(deed: Deed) -> Self {
        Self { deed: Some(deed) }
    }
}

impl From<LedgerDeed> for Wish {
    fn from(deed: LedgerDeed) -> Self {
        Self::Ledger(LedgerOrder { deed: Some(deed) })
    }
}

impl Ask {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Ask::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that asks nothing: {error}")))
    }
}

/// What the broker refused, published on `audit.broker.<action>`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Notice {
    /// What happened: `connection_refused`, `connection_ended`, `subscription_refused`.
    #[prost(string, tag = "1")]
    pub action: String,
    /// The client's name, where it has proved it.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Its user, where the system says it.
    #[prost(uint32, optional, tag = "3")]
    pub uid: Option<u32>,
    /// Its group.
    #[prost(uint32, optional, tag = "4")]
    pub gid: Option<u32>,
    /// Its process.
    #[prost(uint32, optional, tag = "5")]
    pub pid: Option<u32>,
    /// Why.
    #[prost(string, tag = "6")]
    pub text: String,
}

impl Notice {
    /// The payload that carries it.
    pub fn to_payload(&self) -> Bytes {
        self.encode_to_vec().into()
    }

    /// Reads [`Notice::to_payload`] back.
    pub fn from_payload(payload: Bytes) -> Result<Self, Error> {
        Self::decode(payload).map_err(|error| Error::Invalid(format!("payload that is no notice: {error}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            version: "1.2.3".to_owned(),
        };
        let payload = batch.to_payload();
        let read = SnapshotBatch::from_payload(payload.clone()).unwrap();
        assert_eq!(read, batch);
        assert!(payload.as_ptr_range().contains(&read.rows.as_ptr()));
        assert!(SnapshotBatch::from_payload(payload.slice(..50)).is_err());
    }

    #[test]
    fn an_order_comes_back() {
        let order =
            Ask::from(Wish::Order(Deed::Release(Release { rules: vec!["a".to_owned(), String::new()] }).into()));
        assert_eq!(Ask::from_payload(order.to_payload()).unwrap(), order);
        assert!(Ask::from_payload(Bytes::from_static(&[0x0a, 9])).is_err());
    }
}
