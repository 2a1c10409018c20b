//! Publish and subscribe over local sockets. Moves bytes, knows no SQL.
//!
//! ```text
//! Client ── frames over a Unix socket ──► connection ──► Core ──► connection ──► Client ──► Subscription
//! Client ── typed messages ─────────────► (in process) ┘    └──► (in process) ──► Client ──► Subscription
//! ```
//!
//! [`Broker`] accepts connections and feeds one [`core::Core`], which decides everything and does no I/O. Every queue
//! has a bound and says what happens when it is full; whatever is dropped is counted and told to the subscriber it was
//! meant for. One peer that stalls, lies or dies costs the others nothing.

mod backoff;
mod broker;
mod client;
mod connection;
pub mod core;
mod error;
pub mod frame;
mod listener;
pub mod message;
mod queue;
pub mod topic;

pub use backoff::{Backoff, connect_with_backoff};
pub use broker::Broker;
pub use bytes::Bytes;
pub use client::{Client, Delivery, Subscription};
pub use error::Error;
pub use message::{Mode, Outcome, SnapshotBatch};
pub use queue::{QUEUE_BYTES_MAX, QUEUE_LEN_MAX};
