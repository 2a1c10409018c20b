//! The parts of the benchmark `broker`: buses that run as processes of their own, and what goes over them.
//!
//! The benchmark starts itself again for each publisher, each subscriber and our broker ([`child`]); the peers are the
//! programs that the system's packages install. Every message carries its number, and where its way is timed the moment
//! at which it was handed to its bus, so that a subscriber can tell what is missing or out of order.

pub mod bare;
pub mod child;
pub mod load;
pub mod nats;
pub mod ours;
pub mod parts;
pub mod peers;
pub mod redis;
pub mod roles;
