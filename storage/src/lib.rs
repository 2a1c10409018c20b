//! The event store: what happened on the host, what the rules found, and how far the agent got, in one redb file.
//!
//! ```text
//! Store ── begin ──► Transaction ── commit      one writer: offset, rows, alerts and dedup state become durable together
//!   └───── read ───► View                       a consistent snapshot, in this process
//! ReadStore ─ read ► View                       the same beside a live writer, from another process
//! ```
//!
//! Rows are stored by change: a process that stays as it is costs nothing. [`Reader`] is all that the planner sees; it
//! has no way to write. Only this crate names redb; `tables` says what lies where.
//!
//! Must hold: a transaction is there whole or not at all, whatever operation it was killed at; a damaged block takes
//! nothing else with it and the answer says that it is incomplete; no damage on disk makes a reader panic.

mod absent;
mod alerts;
mod block;
mod check;
mod clock;
mod damage;
mod error;
mod file;
mod filter;
mod gaps;
mod guard;
mod history;
mod keys;
pub mod ledger;
mod matches;
mod memory;
mod numbering;
mod outbox;
mod reader;
mod record;
mod report;
mod retention;
mod room;
mod samples;
mod scan;
mod seal;
mod segment;
mod status;
mod store;
mod tables;
mod transaction;
mod unreadable;
mod view;

#[cfg(test)]
mod tests;

/// What fuzzing reads: bytes as the content of what is stored, behind checksums that are right.
pub mod lies {
    pub use crate::samples::lies::samples;
    pub use crate::segment::lies::{block, segment};
}

pub use check::Checked;
pub use damage::{Damage, take_damage};
pub use error::Error;
pub use gaps::Gap;
pub use matches::MatchState;
pub use outbox::{EVENTS_READ_MAX, Origin};
pub use reader::{Each, Probe, Question, Reader, Scan, Scanned, StoredProcess, Tally, Test};
pub use record::{ProcessChange, Recorded};
pub use report::Report;
pub use retention::{Cause, Dropped, Kept, Retention};
pub use samples::{Round, Sampler};
pub use seal::Sealed;
pub use store::{ReadStore, Store};
pub use transaction::Transaction;
pub use view::{CHANGES_MAX, Changed, Contents, DELIVERIES_MAX, Live, Room, View};
