//! The audit ledger: what bears on security, in order, in a file of its own, so that who holds one old checkpoint sees
//! what was changed or taken away since.
//!
//! ```text
//! Ledger ── append ──────► entries, their tree (RFC 9162), in one transaction that is on the disk when it returns
//!   ├────── checkpoint ──► size and root, signed (C2SP tlog-checkpoint), to be kept elsewhere
//!   └────── rotate ──────► another key, named by an entry and signed for by both
//! ReadLedger ── read ────► LedgerView: entries, checkpoints, proofs; the same beside a live writer
//! ```
//!
//! | file | format |
//! |---|---|
//! | `entry` | an entry's bytes |
//! | `hash`, `tree` | what is hashed, the shape of the tree |
//! | `proof` | inclusion and consistency: made, and checked by pure functions |
//! | `note`, `checkpoint`, `key` | what is signed, and with what |
//! | `evidence`, `verify` | a proof that goes elsewhere; whether the whole ledger is what was signed |
//! | `tables`, `blocks`, `nodes` | where it lies |
//! | `table` | its entries as rows for queries |
//!
//! What it cannot do: whoever can write the file can cut entries off its end and put an older copy back, and whoever
//! holds the key as well (root does) can write all of it anew. Nothing in the file shows that. A checkpoint that was
//! taken elsewhere does, for the entries that it covers; so does a witness that signed one.

mod blocks;
mod checkpoint;
mod entry;
mod evidence;
mod hash;
mod head;
mod key;
mod log;
mod nodes;
mod note;
mod proof;
pub(crate) mod table;
mod tables;
mod tree;
mod verify;
mod view;

#[cfg(test)]
mod tests;

pub use checkpoint::{Checkpoint, SignedCheckpoint};
pub use entry::{ENTRY_LEN_MAX, Entry, TEXT_LEN_MAX};
pub use evidence::{PROOF_FILE_LEN_MAX, Proof};
pub use hash::{Blake3, Digest, HASH_LEN, Hash, hex};
pub use key::{SigningKey, public_path};
pub use log::{Appended, Ledger, ORIGINS_MAX, OUTBOX};
pub use note::{KeyKind, NOTE_LEN_MAX, Note, PublicKey, SIGNATURES_MAX, Signature, last_note};
pub use proof::{PROOF_LEN_MAX, root_from_inclusion, verify_consistency, verify_inclusion};
pub use tree::Frontier;
pub use verify::{Against, Mismatch, Verified};
pub use view::{LedgerView, Order, ReadLedger};

use crate::Error;
use crate::guard::guarded;

/// [`guarded`], for what is read from the ledger.
pub(crate) fn fenced<T>(read: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    guarded(read).map_err(Error::of_ledger)
}
