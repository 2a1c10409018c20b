//! Brokers and clients over real sockets, past them, and in processes of their own; and peers that lie or stall.

#![cfg(unix)]

mod file;
mod gathering;
mod in_process;
mod kept;
mod peer;
mod place;
mod policies;
mod processes;
mod sealed;
mod strangers;
