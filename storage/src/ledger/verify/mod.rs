//! Reading the whole ledger to see whether it is what was signed.
//!
//! Every entry is hashed anew and held to its stored leaf, every stored node to those below it, every checkpoint to the
//! root over its entries and to the key that signs there, every key to the entry that names it; numbers and times only
//! grow, and nothing lies beyond the end. Entries are read in units that threads take from each other; what joins them
//! is done in their order, so that the first thing that is wrong is the one that is told.
//!
//! What is found depends on what is given. With nothing, what does not fit what the ledger itself has signed. With the
//! public key, a ledger that another key signed. With a checkpoint that was kept elsewhere, entries that were changed,
//! cut off or written anew since, whoever did it.

mod joined;
mod unit;

use std::ops::{ControlFlow, Range};

use daemoneye_dsl::types::Timestamp;
use redb::{ReadableTable, ReadableTableMetadata};

use super::blocks;
use super::checkpoint::SignedCheckpoint;
use super::fenced;
use super::hash::Hash;
use super::head::Head;
use super::nodes::{self, STEP};
use super::note::PublicKey;
use super::tables::{BLOCKS, CHECKPOINTS, NODES, ORIGINS};
use super::view::LedgerView;
use crate::Error;
use crate::tables::Tables;
use joined::Joined;

/// Entries that a thread takes at a time: a complete subtree.
const UNIT: u64 = 1 << UNIT_LEVEL;
const UNIT_LEVEL: u32 = 2 * STEP;

/// What the ledger is held to, beside itself.
#[derive(Clone, Debug, Default)]
pub struct Against {
    /// A key that must be one of those that sign it.
    pub key: Option<PublicKey>,
    /// A checkpoint that was kept elsewhere.
    pub checkpoint: Option<SignedCheckpoint>,
    /// A checkpoint up to which entries need not be read again.
    pub from: Option<SignedCheckpoint>,
}

/// What reading it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Which ledger.
    pub origin: String,
    /// Entries that were read.
    pub entries: Range<u64>,
    /// Checkpoints whose root and signature are right.
    pub checkpoints: u64,
    /// The root over all entries.
    pub root: Hash,
    /// The keys that sign it, the first first.
    pub keys: Vec<PublicKey>,
    /// The last checkpoint that is right: its size and when it was signed.
    pub last_good: Option<(u64, Option<Timestamp>)>,
}

/// The first thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What, in words.
    pub what: String,
    /// The first entry that is concerned, where that is known.
    pub entry: Option<u64>,
    /// What should be there and what is, where these are hashes or the like.
    pub differs: Option<(String, String)>,
    /// The last checkpoint that is right: its size and when it was signed.
    pub last_good: Option<(u64, Option<Timestamp>)>,
}

/// Why a check ended early.
enum Fault {
    Mismatch(Mismatch),
    Error(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        match error {
            Error::Ledger(what) => Self::found(what, None),
            error => Self::Error(error),
        }
    }
}

impl Fault {
    fn found(what: impl Into<String>, entry: Option<u64>) -> Self {
        Self::Mismatch(Mismatch { what: what.into(), entry, differs: None, last_good: None })
    }

    fn differs(what: impl Into<String>, entry: Option<u64>, expected: String, found: String) -> Self {
        let differs = Some((expected, found));
        Self::Mismatch(Mismatch { what: what.into(), entry, differs, last_good: None })
    }
}

/// What all threads read.
struct Reading<'a> {
    view: &'a LedgerView,
    head: Head,
    origin: String,
    keys: Vec<(u64, PublicKey)>,
    /// Checkpoints from outside.
    given: Vec<SignedCheckpoint>,
}

impl LedgerView {
    /// Verifies the ledger with so many threads; `advance` is told how many more entries were read.
    pub fn verify(
        &self,
        against: &Against,
        threads: usize,
        advance: &(dyn Fn(u64) + Sync),
    ) -> Result<Result<Verified, Mismatch>, Error> {
        match fault_of(|| verify(self, against, threads, advance)) {
            Ok(verified) => Ok(Ok(verified)),
            Err(Fault::Mismatch(mismatch)) => Ok(Err(mismatch)),
            Err(Fault::Error(error)) => Err(error),
        }
    }
}

/// Runs a check behind the fence around redb.
fn fault_of<T>(check: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    fenced(|| Ok(check()))?
}

fn verify(
    view: &LedgerView,
    against: &Against,
    threads: usize,
    advance: &(dyn Fn(u64) + Sync),
) -> Result<Verified, Fault> {
    let (head, origin, keys) = (view.head()?, view.origin()?, view.keys()?);
    let given: Vec<_> = [&against.from, &against.checkpoint].into_iter().flatten().cloned().collect();
    let reading = Reading { view, head, origin, keys, given };
    reading.check_keys(against.key.as_ref())?;
    reading.given.iter().try_for_each(|given| reading.check_given(given))?;
    let from = reading.first(against.from.is_some());
    let mut joined = Joined::beginning(&reading, from)?;
    reading.in_order(threads, from, advance, |unit| joined.push(&reading, unit))?;
    joined.end(&reading)?;
    reading.check_beyond()?;
    reading.check_origins()?;
    if let Some(key) = &against.key
        && !joined.signers.contains(key)
    {
        let what = "no checkpoint is signed by the key that was given";
        return Err(Fault::found(what, None)).map_err(|fault| joined.after(fault));
    }
    let Joined { tree, checkpoints, last_good, .. } = joined;
    Ok(Verified {
        entries: from..tree.size(),
        checkpoints,
        root: tree.root(),
        keys: reading.keys.into_iter().map(|(_, key)| key).collect(),
        origin: reading.origin,
        last_good,
    })
}

impl Reading<'_> {
    /// Where to begin: with everything, or with the unit in which the first checkpoint that was given ends. That unit is
    /// read whole; the nodes before it are right if that checkpoint's root is.
    fn first(&self, is_late: bool) -> u64 {
        let sizes = self.given.iter().map(|given| given.checkpoint().size);
        sizes.min().filter(|_| is_late).map_or(0, |size| size.saturating_sub(1) / UNIT * UNIT)
    }

    fn check_keys(&self, given: Option<&PublicKey>) -> Result<(), Fault> {
        let size = self.head.tree.size();
        match self.keys.as_slice() {
            [] if size > 0 => return Err(Fault::found("the ledger names no key that signs it", None)),
            [(from, _), ..] if *from != 0 => return Err(Fault::found("the ledger's first key is not there", None)),
            _ => {}
        }
        if let Some((from, _)) = self.keys.iter().skip(1).find(|(from, _)| *from >= size) {
            return Err(Fault::found(
                format!("a key is named by entry {from}, and there are {size} entries"),
                Some(*from),
            ));
        }
        if let Some((_, key)) = self.keys.iter().find(|(_, key)| key.name() != self.origin) {
            let what = "the ledger's keys are not of its name";
            return Err(Fault::differs(what, None, self.origin.clone(), key.name().to_owned()));
        }
        match given {
            Some(given) if !self.keys.iter().any(|(_, key)| key == given) => {
                let found = self.keys.iter().map(|(_, key)| key.to_string()).collect::<Vec<_>>().join(", ");
                let what = "the key that was given is not one that signs this ledger";
                Err(Fault::differs(what, None, given.to_string(), found))
            }
            _ => Ok(()),
        }
    }

    /// Whether a checkpoint from outside can be one of this ledger.
    fn check_given(&self, signed: &SignedCheckpoint) -> Result<(), Fault> {
        let (checkpoint, size) = (signed.checkpoint(), self.head.tree.size());
        if checkpoint.origin != self.origin {
            let what = "the checkpoint that was given is of another ledger";
            return Err(Fault::differs(what, None, checkpoint.origin.clone(), self.origin.clone()));
        }
        if checkpoint.size > size {
            let what = format!(
                "the ledger ends before entry {size}, and the checkpoint that was given is over {}: entries were cut \
                 off, or an older copy was put back",
                checkpoint.size
            );
            return Err(Fault::found(what, Some(size)));
        }
        self.check_signed(signed, "the checkpoint that was given")
    }

    /// The keys that have to sign a checkpoint over so many entries: where one hands over to the next, both.
    fn signers(&self, size: u64) -> &[(u64, PublicKey)] {
        let named = self.keys.partition_point(|(from, _)| *from == 0 || *from < size);
        let both = named > 1 && self.keys[named - 1].0 + 1 == size;
        &self.keys[named.saturating_sub(if both { 2 } else { 1 })..named]
    }

    fn check_signed(&self, signed: &SignedCheckpoint, what: &str) -> Result<(), Fault> {
        let size = signed.checkpoint().size;
        match self.signers(size).iter().find(|(_, key)| !signed.note().is_signed_by(key)) {
            Some((_, key)) => Err(Fault::found(
                format!("{what} over {size} entries is not signed by {key}"),
                Some(size.saturating_sub(1)),
            )),
            None => Ok(()),
        }
    }

    /// Whether nothing is stored beyond the end.
    fn check_beyond(&self) -> Result<(), Fault> {
        let size = self.head.tree.size();
        let mut beyond = false;
        blocks::visit(&self.view.txn.table(BLOCKS)?, size, |_, _| {
            beyond = true;
            Ok(ControlFlow::Break(()))
        })?;
        if beyond {
            return Err(Fault::found(format!("entry {size} is there, and the ledger ends before it"), Some(size)));
        }
        if let Some((over, _)) = self.view.txn.table(CHECKPOINTS)?.last().map_err(Error::from)?
            && over.value() > size
        {
            let over = over.value();
            let what =
                format!("a checkpoint over {over} entries is stored, and there are {size}: entries were cut off");
            return Err(Fault::found(what, Some(size)));
        }
        let nodes = self.view.txn.table(NODES)?;
        let chunks: u64 =
            (0..u64::BITS).step_by(STEP as usize).map(|level| (size >> level).div_ceil(nodes::CHUNK_LEN)).sum();
        if nodes.len().map_err(Error::from)? != chunks || !nodes::ends(&nodes, size)? {
            return Err(Fault::found(format!("nodes are stored that a tree over {size} entries has not"), Some(size)));
        }
        Ok(())
    }

    /// Whether what is noted of each origin is what its last entry says: a higher number would keep events out.
    fn check_origins(&self) -> Result<(), Fault> {
        for stored in self.view.txn.table(ORIGINS)?.iter().map_err(Error::from)? {
            let (name, last) = stored.map_err(Error::from)?;
            let (name, (number, sequence)) = (name.value(), last.value());
            let entry = self.view.entry(sequence)?.map(|entry| entry.event.id);
            if entry.as_ref().is_none_or(|id| id.origin != name || id.number != number) {
                let name = name.chars().take(64).collect::<String>();
                let what = format!("entry {sequence} is not event {number} of {name:?}, as is noted of its last");
                return Err(Fault::found(what, Some(sequence)));
            }
        }
        Ok(())
    }
}
