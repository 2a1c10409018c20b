//! Every redb table of the ledger's file, its key and what it holds. Numbers in values are big-endian.
//!
//! ```text
//! meta         name              bytes     "format": u64; "origin": the ledger's name;
//!                                          "head": size u64, recorded i64, then the peaks of the tree (tree.rs)
//! blocks       first sequence    block     entries one after the other, each a length u32 and its bytes (entry.rs)
//! nodes        (level, chunk)    hashes    node i of a level lies in chunk i / 127; of every eighth level (nodes.rs)
//! checkpoints  size              note      what was signed over so many entries (checkpoint.rs)
//! keys         first sequence    text      the public key that signs from there on; the first at 0
//! origins      name              u64 u64   the highest number that is in, and the entry that it has
//! ```

use std::path::Path;

use redb::{ReadTransaction, TableDefinition, TableError, WriteTransaction};

use super::hash::hex;
use crate::Error;
use crate::file::Kind;

/// The version of everything in this file; a ledger with another one is not opened.
const FORMAT: u64 = 1;

pub(crate) const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
pub(crate) const BLOCKS: TableDefinition<u64, &[u8]> = TableDefinition::new("blocks");
pub(crate) const NODES: TableDefinition<(u8, u64), &[u8]> = TableDefinition::new("nodes");
pub(crate) const CHECKPOINTS: TableDefinition<u64, &str> = TableDefinition::new("checkpoints");
pub(crate) const KEYS: TableDefinition<u64, &str> = TableDefinition::new("keys");
pub(crate) const ORIGINS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("origins");

const FORMAT_KEY: &str = "format";
pub(crate) const ORIGIN_KEY: &str = "origin";
pub(crate) const HEAD_KEY: &str = "head";

/// What tells the ledger from other files.
pub(crate) const LEDGER: Kind = Kind { cache_len_max: 4 << 20, create, check };

fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(BLOCKS)?;
    txn.open_table(NODES)?;
    txn.open_table(CHECKPOINTS)?;
    txn.open_table(KEYS)?;
    txn.open_table(ORIGINS)?;
    let mut id = [0; 8];
    getrandom::fill(&mut id).map_err(|error| {
        Error::Refused(format!("the system gives no random bytes for a ledger's name: {error}; try again later"))
    })?;
    let mut meta = txn.open_table(META)?;
    meta.insert(FORMAT_KEY, FORMAT.to_be_bytes().as_slice())?;
    meta.insert(ORIGIN_KEY, format!("daemoneye/{}", hex(&id)).as_bytes())?;
    Ok(())
}

fn check(read: &ReadTransaction, path: &Path) -> Result<(), Error> {
    let foreign = |why: String| Error::Foreign { path: path.to_owned(), why };
    let not_one = || foreign("is a redb file but not a ledger".to_owned());
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(not_one()),
    };
    let format = meta.get(FORMAT_KEY)?.and_then(|format| Some(u64::from_be_bytes(format.value().try_into().ok()?)));
    match (format, read.open_table(BLOCKS)) {
        (Some(FORMAT), Ok(_)) => Ok(()),
        (Some(format), Ok(_)) => Err(foreign(format!("has format {format}, and this version reads {FORMAT}"))),
        (_, Err(TableError::Storage(error))) => Err(error.into()),
        _ => Err(not_one()),
    }
}
