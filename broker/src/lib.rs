//! Publish and subscribe over local sockets. Moves bytes, knows no SQL.
//!
//! ```text
//! Client ── frames over a Unix socket ──► connection ──► Core ──► connection ──► Client ──► Subscription
//! Client ── typed messages ─────────────► (in process) ┘    └──► (in process) ──► Client ──► Subscription
//! ```
//!
//! [`Broker`] accepts connections and feeds one [`core::Core`], which decides everything and does no I/O. A client has
//! to prove who it is ([`key`]) before it may do what its role may ([`tree`]). Every queue has a bound and says what
//! happens when it is full; whatever is dropped is counted and told to the subscriber that it was meant for. One peer
//! that stalls, lies or dies costs the others nothing.

mod alarm;
mod allocator;
mod backoff;
mod broker;
mod client;
mod connection;
pub mod core;
mod error;
pub mod frame;
mod gate;
pub mod key;
mod listener;
pub mod message;
mod outgoing;
mod parcel;
pub mod payload;
mod queue;
mod routes;
mod seal;
pub mod topic;
pub mod tree;
mod wire;

pub use backoff::Backoff;
pub use broker::{Broker, Door, Settings};
pub use bytes::Bytes;
pub use client::{Client, Credential, Delivery, Encryption, Event, Gap, Identity, Interest, Subscription};
pub use core::Limits;
pub use error::Error;
pub use gate::{Gate, Peer, Publisher};
pub use key::{Key, KeyKind};
pub use message::{Outcome, WhenFull};
pub use parcel::{Entry, Parcel};
pub use payload::SnapshotBatch;
pub use queue::Room;
pub use tree::Role;
