//! The operating system as rows: one [`Collector`] per table, and the program `procmond` that publishes what it sees.
//!
//! A collector reports and never judges: it gives full [`Snapshot`]s with what it could not read stated beside them,
//! and the agent works out what changed. Reading is blocking work on plain files; parsing is pure functions from
//! bytes to values, because the bytes are an attacker's.

pub mod collector;
pub mod processes;
pub mod redact;
pub mod text;

pub use collector::{CollectError, Collector, Snapshot};
