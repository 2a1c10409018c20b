//! The ledger as it was last committed: entries, checkpoints, proofs.

use std::ops::ControlFlow;
use std::path::Path;

use daemoneye_dsl::types::Timestamp;
use redb::{ReadTransaction, ReadableTable};

use super::blocks;
use super::checkpoint::SignedCheckpoint;
use super::entry::{Encoded, Entry};
use super::fenced;
use super::hash::{Blake3, Digest, Hash, hex};
use super::head::Head;
use super::nodes;
use super::note::PublicKey;
use super::proof;
use super::tables::{BLOCKS, CHECKPOINTS, KEYS, LEDGER, META, NODES, ORIGIN_KEY};
use super::tree::{Frontier, subtrees};
use crate::Error;
use crate::file::ReadFile;
use crate::tables::Tables;

/// The ledger as another process reads it while it is being written.
pub struct ReadLedger {
    pub(crate) file: ReadFile,
}

/// One committed state, unchanged by what is appended meanwhile.
pub struct LedgerView {
    pub(crate) txn: ReadTransaction,
}

/// Which entry comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Forwards,
    /// The newest.
    Backwards,
}

impl ReadLedger {
    /// Opens the ledger at `path` beside its writer, if there is one. After a writer was killed this fails with
    /// [`Error::NeedsRepair`] until a writer has opened the file again.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { file: fenced(|| ReadFile::open(path.as_ref(), &LEDGER))? })
    }

    /// The state as last committed, for several questions about the same moment.
    pub fn read(&self) -> Result<LedgerView, Error> {
        fenced(|| Ok(LedgerView::new(self.file.reading()?)))
    }
}

impl LedgerView {
    pub(crate) fn new(txn: ReadTransaction) -> Self {
        Self { txn }
    }

    /// Which ledger this is: what its checkpoints begin with.
    pub fn origin(&self) -> Result<String, Error> {
        fenced(|| origin(&self.txn))
    }

    /// How many entries there are.
    pub fn size(&self) -> Result<u64, Error> {
        fenced(|| Ok(self.head()?.tree.size()))
    }

    pub(crate) fn head(&self) -> Result<Head, Error> {
        Head::read(&self.txn.table(META)?)
    }

    /// Entry number `sequence`; nothing if there are not so many.
    pub fn entry(&self, sequence: u64) -> Result<Option<Entry>, Error> {
        let mut found = None;
        self.entries(sequence, Order::Forwards, &mut |entry, _| {
            found = Some(entry);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Hands out entries and their leaf hashes, from number `from` on, or all before it, until `each` breaks. An entry
    /// that is not what its leaf hash says is an error.
    pub fn entries(
        &self,
        from: u64,
        order: Order,
        each: &mut dyn FnMut(Entry, Hash) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        fenced(|| self.read_entries(from, order, each))
    }

    /// [`LedgerView::entries`], for who has a fence around redb already.
    pub(crate) fn read_entries(
        &self,
        from: u64,
        order: Order,
        each: &mut dyn FnMut(Entry, Hash) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let (blocks, nodes) = (self.txn.table(BLOCKS)?, self.txn.table(NODES)?);
        // Leaf hashes are read a chunk at a time.
        let (mut begin, mut leaves) = (0, Vec::new());
        let size = self.head()?.tree.size();
        let mut checked = |sequence: u64, bytes: &[u8]| {
            if !(begin..begin + leaves.len() as u64).contains(&sequence) {
                begin = sequence / nodes::CHUNK_LEN * nodes::CHUNK_LEN;
                leaves = nodes::stored(&nodes, 0, begin, size.min(begin + nodes::CHUNK_LEN))?;
            }
            let expected = usize::try_from(sequence - begin).ok().and_then(|at| leaves.get(at));
            let (found, expected) = (Blake3::leaf(bytes), expected.copied().unwrap_or_default());
            if found != expected {
                return Err(Error::damaged_ledger(format!(
                    "entry {sequence} does not match its leaf hash: expected {}, found {}",
                    hex(&expected),
                    hex(&found)
                )));
            }
            let entry = Encoded::read(bytes).and_then(|entry| {
                let is_its_own = entry.sequence == sequence;
                is_its_own.then_some(entry).ok_or_else(|| format!("it says that it is entry {}", entry.sequence))
            });
            let entry = entry.map_err(|why| Error::damaged_ledger(format!("entry {sequence}: {why}")))?;
            Ok(each(entry.to_entry(), found))
        };
        match order {
            Order::Forwards => blocks::visit(&blocks, from, &mut checked),
            Order::Backwards => blocks::visit_back(&blocks, from.min(size), &mut checked),
        }
    }

    /// The first entry that was recorded then or later; how many there are, if none was.
    pub(crate) fn since(&self, recorded: Timestamp) -> Result<u64, Error> {
        let (mut from, mut to) = (0, self.head()?.tree.size());
        while from < to {
            let middle = from + (to - from) / 2;
            let mut is_earlier = false;
            self.read_entries(middle, Order::Forwards, &mut |entry, _| {
                is_earlier = entry.recorded < recorded;
                ControlFlow::Break(())
            })?;
            if is_earlier { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }

    /// The newest checkpoint; nothing if none was signed yet.
    pub fn checkpoint(&self) -> Result<Option<SignedCheckpoint>, Error> {
        self.checkpoint_within(u64::MAX)
    }

    /// The newest checkpoint over so many entries or fewer.
    pub fn checkpoint_within(&self, size: u64) -> Result<Option<SignedCheckpoint>, Error> {
        fenced(|| {
            let table = self.txn.table(CHECKPOINTS)?;
            let Some((size, note)) = table.range(..=size)?.next_back().transpose()? else { return Ok(None) };
            parsed(size.value(), note.value()).map(Some)
        })
    }

    /// The keys that sign this ledger, each with the entry from which on it does, the first first.
    pub fn keys(&self) -> Result<Vec<(u64, PublicKey)>, Error> {
        fenced(|| {
            let mut keys = Vec::new();
            for stored in self.txn.table(KEYS)?.iter()? {
                let (from, key) = stored?;
                let key = PublicKey::parse(key.value())
                    .map_err(|why| Error::damaged_ledger(format!("the key from entry {} on: {why}", from.value())))?;
                keys.push((from.value(), key));
            }
            Ok(keys)
        })
    }

    /// The tree over the first `size` entries; nothing if there are not so many.
    pub(crate) fn tree(&self, size: u64) -> Result<Option<Frontier<Blake3>>, Error> {
        if size > self.head()?.tree.size() {
            return Ok(None);
        }
        let nodes = self.txn.table(NODES)?;
        let peaks = subtrees(0..size).map(|(level, index)| nodes::node(&nodes, level, index));
        Ok(Frontier::of(size, peaks.collect::<Result<_, _>>()?))
    }

    /// The root over the first `size` entries, from stored nodes; nothing if there are not so many.
    pub fn root(&self, size: u64) -> Result<Option<Hash>, Error> {
        fenced(|| Ok(self.tree(size)?.map(|tree| tree.root())))
    }

    /// The path from entry `index` to the root over the first `size`; nothing if there is no such entry.
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, Error> {
        self.proving(size, |node| proof::inclusion::<Blake3, _>(index, size, node))
    }

    /// The proof that the first `new_size` entries begin with the first `old_size`; nothing if they cannot.
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Result<Option<Vec<Hash>>, Error> {
        self.proving(new_size, |node| proof::consistency::<Blake3, _>(old_size, new_size, node))
    }

    fn proving(
        &self,
        size: u64,
        prove: impl FnOnce(&mut dyn FnMut(u32, u64) -> Result<Hash, Error>) -> Result<Option<Vec<Hash>>, Error>,
    ) -> Result<Option<Vec<Hash>>, Error> {
        fenced(|| {
            if size > self.head()?.tree.size() {
                return Ok(None);
            }
            let nodes = self.txn.table(NODES)?;
            prove(&mut |level, index| nodes::node(&nodes, level, index))
        })
    }
}

/// A stored checkpoint.
pub(crate) fn parsed(size: u64, note: &str) -> Result<SignedCheckpoint, Error> {
    let signed = SignedCheckpoint::parse(note).and_then(|signed| {
        let said = signed.checkpoint().size;
        (said == size).then_some(signed).ok_or_else(|| format!("it says that it is over {said}"))
    });
    signed.map_err(|why| Error::damaged_ledger(format!("the checkpoint over {size} entries: {why}")))
}

/// The ledger's name.
pub(crate) fn origin(txn: &impl Tables) -> Result<String, Error> {
    let stored = txn.table(META)?.get(ORIGIN_KEY)?.and_then(|name| String::from_utf8(name.value().to_vec()).ok());
    stored.ok_or_else(|| Error::damaged_ledger("its name cannot be read".to_owned()))
}
