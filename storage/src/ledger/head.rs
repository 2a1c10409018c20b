//! How far the ledger is: what an append needs to know, and no more.

use daemoneye_dsl::types::Timestamp;
use redb::{ReadableTable, Table};

use super::hash::{Blake3, HASH_LEN};
use super::tables::HEAD_KEY;
use super::tree::Frontier;
use crate::Error;

/// The end of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// When the last entry was appended.
    pub(crate) recorded: Timestamp,
    /// The tree over all entries.
    pub(crate) tree: Frontier<Blake3>,
}

impl Head {
    /// That of an empty ledger.
    pub(crate) const fn first(tree: Frontier<Blake3>) -> Self {
        Self { recorded: Timestamp(i64::MIN), tree }
    }

    pub(crate) fn read(meta: &impl ReadableTable<&'static str, &'static [u8]>) -> Result<Self, Error> {
        let Some(stored) = meta.get(HEAD_KEY)? else { return Ok(Self::first(Frontier::default())) };
        Self::decode(stored.value())
            .ok_or_else(|| Error::damaged_ledger("the note of its end cannot be read".to_owned()))
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (size, bytes) = bytes.split_first_chunk()?;
        let (recorded, bytes) = bytes.split_first_chunk()?;
        let (peaks, rest) = bytes.as_chunks::<HASH_LEN>();
        let tree = Frontier::of(u64::from_be_bytes(*size), peaks.to_vec())?;
        rest.is_empty().then_some(Self { recorded: Timestamp(i64::from_be_bytes(*recorded)), tree })
    }

    pub(crate) fn write(&self, meta: &mut Table<'_, &'static str, &'static [u8]>) -> Result<(), Error> {
        let mut bytes = self.tree.size().to_be_bytes().to_vec();
        bytes.extend(self.recorded.0.to_be_bytes());
        bytes.extend(self.tree.peaks().as_flattened());
        meta.insert(HEAD_KEY, bytes.as_slice())?;
        Ok(())
    }
}
