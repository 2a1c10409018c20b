//! The nodes of the tree as they are stored: all of every eighth level, as many in a value as fit in a page.
//!
//! A node of another level is hashed from those of the level below that is stored, at most 128 of them; so a proof reads
//! a few pages for every eight levels, and the nodes take hardly more room than the leaf hashes do.

use redb::{ReadableTable, Table};

use super::hash::{Blake3, HASH_LEN, Hash};
use super::tree::Frontier;
use crate::Error;

/// Every so many levels are stored.
pub(crate) const STEP: u32 = 8;
/// Hashes in a value: with its key and what redb notes of them they fill a page of 4096 bytes.
pub(crate) const CHUNK_LEN: u64 = 127;

/// A stored chunk's key for the node (level, index), the level a stored one.
fn place(level: u32, index: u64) -> Place {
    (u8::try_from(level).expect("a tree has no more than 64 levels"), index / CHUNK_LEN)
}

/// The stored nodes `from..to` of a stored level, in order.
pub(crate) fn stored(
    table: &impl ReadableTable<(u8, u64), &'static [u8]>,
    level: u32,
    mut from: u64,
    to: u64,
) -> Result<Vec<Hash>, Error> {
    let mut hashes = Vec::with_capacity(usize::try_from(to - from).unwrap_or_default());
    while from < to {
        let missing = || Error::damaged_ledger(format!("node {from} of level {level} is not there"));
        let chunk = table.get(place(level, from))?.ok_or_else(missing)?;
        let (begin, len) = (from % CHUNK_LEN, (to - from).min(CHUNK_LEN - from % CHUNK_LEN));
        let bytes = |at: u64| usize::try_from(at).expect("a chunk is short") * HASH_LEN;
        let wanted = chunk.value().get(bytes(begin)..bytes(begin + len)).ok_or_else(missing)?;
        hashes.extend(wanted.as_chunks::<HASH_LEN>().0);
        from += len;
    }
    Ok(hashes)
}

/// The node (level, index), which is complete.
pub(crate) fn node(
    table: &impl ReadableTable<(u8, u64), &'static [u8]>,
    level: u32,
    index: u64,
) -> Result<Hash, Error> {
    let above = level % STEP;
    let mut subtree = Frontier::<Blake3>::default();
    stored(table, level - above, index << above, (index + 1) << above)?.into_iter().for_each(|hash| subtree.push(hash));
    Ok(subtree.root())
}

/// The key of a chunk: its level, and which of its chunks it is.
type Place = (u8, u64);

/// Adds nodes at the end of each stored level, a chunk at a time.
#[derive(Default)]
pub(crate) struct NodeWriter {
    /// By stored level: where the last chunk goes, and what it has so far.
    open: Vec<Option<(Place, Vec<u8>)>>,
}

impl NodeWriter {
    /// Adds the node (level, index), the first of its level that is not stored; one of a level that is not stored is
    /// passed over.
    pub(crate) fn push(
        &mut self,
        table: &mut Table<'_, (u8, u64), &'static [u8]>,
        level: u32,
        index: u64,
        hash: &Hash,
    ) -> Result<(), Error> {
        if !level.is_multiple_of(STEP) {
            return Ok(());
        }
        let (slot, place) = ((level / STEP) as usize, place(level, index));
        if self.open.len() <= slot {
            self.open.resize_with(slot + 1, || None);
        }
        let open = &mut self.open[slot];
        if open.as_ref().is_none_or(|(at, _)| *at != place) {
            if let Some((at, full)) = open.take() {
                table.insert(at, full.as_slice())?;
            }
            let begun = table.get(place)?.map(|chunk| chunk.value().to_vec()).unwrap_or_default();
            *open = Some((place, begun));
        }
        let (_, chunk) = open.as_mut().expect("it was just opened");
        if chunk.len() as u64 != index % CHUNK_LEN * HASH_LEN as u64 {
            return Err(Error::damaged_ledger(format!("the nodes of level {level} do not end before {index}")));
        }
        chunk.extend(hash);
        Ok(())
    }

    /// Stores what was added.
    pub(crate) fn finish(self, table: &mut Table<'_, (u8, u64), &'static [u8]>) -> Result<(), Error> {
        for (place, chunk) in self.open.into_iter().flatten() {
            table.insert(place, chunk.as_slice())?;
        }
        Ok(())
    }
}

/// Whether the last chunk of each level ends where the level of a tree over so many entries does.
pub(crate) fn ends(table: &impl ReadableTable<(u8, u64), &'static [u8]>, size: u64) -> Result<bool, Error> {
    for level in (0..u64::BITS).step_by(STEP as usize) {
        let Some(last) = (size >> level).checked_sub(1) else { break };
        let len = table.get(place(level, last))?.map(|chunk| chunk.value().len() as u64);
        if len != Some((last % CHUNK_LEN + 1) * HASH_LEN as u64) {
            return Ok(false);
        }
    }
    Ok(true)
}
