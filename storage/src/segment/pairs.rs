//! Which rows, or which pages, have a key: pairs in order, found by their key.
//!
//! ```text
//! root    n × [first key: u32][piece]                     of each block
//! block   groups: [key - the key before: varint] then its places, each [(place - the one before) << 1 | more: varint]
//! ```
//!
//! The first key of a block is told from 0, so is the first place of a group. A key with more places than are worth
//! looking for has none here and a place behind all others instead: it may be anywhere.

use std::ops::RangeInclusive;

use super::bytes::{Bytes, Wrong, put_varint};
use super::pieces::{Chunks, Fault, PIECE_LEN, Piece};

/// Bytes of a block, about.
const BLOCK_LEN: usize = 2 << 10;
const ENTRY_LEN: usize = 4 + PIECE_LEN;

/// Writes pairs of a key and a place, in order and each once, of places below `places`; a key that more than `most` of
/// them have is left to be looked for.
pub(super) fn write(pairs: &[(u32, u32)], places: u32, most: usize, chunks: &mut Chunks) -> Piece {
    let mut root = Vec::new();
    let mut block = Vec::new();
    let (mut first, mut last) = (0, 0);
    for group in pairs.chunk_by(|one, other| one.0 == other.0) {
        let key = group[0].0;
        if block.len() > BLOCK_LEN {
            close(&mut block, first, &mut root, chunks);
        }
        if block.is_empty() {
            (first, last) = (key, 0);
        }
        put_varint(u64::from(key - last), &mut block);
        last = key;
        if group.len() > most {
            put_varint(u64::from(places) << 1, &mut block);
            continue;
        }
        let mut before = 0;
        for (at, (_, place)) in group.iter().enumerate() {
            let more = u64::from(at + 1 < group.len());
            put_varint(u64::from(place - before) << 1 | more, &mut block);
            before = *place;
        }
    }
    close(&mut block, first, &mut root, chunks);
    chunks.add(&root)
}

fn close(block: &mut Vec<u8>, first: u32, root: &mut Vec<u8>, chunks: &mut Chunks) {
    if !block.is_empty() {
        root.extend_from_slice(&first.to_le_bytes());
        chunks.add(block).put(root);
        block.clear();
    }
}

/// Where keys are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Places {
    /// At these, in no order.
    At(Vec<u32>),
    /// Perhaps anywhere.
    Anywhere,
}

/// Gives a piece to who takes it.
pub(super) type Read<'r> = dyn FnMut(Piece, &mut dyn FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> + 'r;

/// The places of the keys in a range; `read` gives a piece.
pub(super) fn find(root: Piece, keys: &RangeInclusive<u32>, places: u32, read: &mut Read<'_>) -> Result<Places, Fault> {
    let mut blocks = Vec::new();
    read(root, &mut |root| {
        let (entries, _) = root.as_chunks::<ENTRY_LEN>();
        let first = |entry: &[u8; ENTRY_LEN]| u32::from_le_bytes(*entry.first_chunk().expect("four of them"));
        let from = entries.partition_point(|entry| first(entry) <= *keys.start()).saturating_sub(1);
        for entry in entries[from..].iter().take_while(|entry| first(entry) <= *keys.end()) {
            blocks.push(Piece::read(&mut Bytes(&entry[4..]))?);
        }
        Ok(())
    })?;
    let mut found = Vec::new();
    let mut anywhere = false;
    for block in blocks {
        read(block, &mut |block| {
            anywhere |= in_block(Bytes(block), keys, places, &mut found)?;
            Ok(())
        })?;
        if anywhere {
            return Ok(Places::Anywhere);
        }
    }
    Ok(Places::At(found))
}

/// Reads every piece of it, which proves its bytes.
pub(super) fn check(root: Piece, read: &mut Read<'_>) -> Result<(), Fault> {
    let mut blocks = Vec::new();
    read(root, &mut |root| {
        let (entries, _) = root.as_chunks::<ENTRY_LEN>();
        for entry in entries {
            blocks.push(Piece::read(&mut Bytes(&entry[4..]))?);
        }
        Ok(())
    })?;
    blocks.into_iter().try_for_each(|block| read(block, &mut |_| Ok(())))
}

/// Whether one of the keys may be anywhere.
fn in_block(
    mut block: Bytes<'_>,
    keys: &RangeInclusive<u32>,
    places: u32,
    found: &mut Vec<u32>,
) -> Result<bool, Wrong> {
    let mut key = 0_u64;
    while !block.0.is_empty() {
        key = key.saturating_add(block.varint()?);
        if key > u64::from(*keys.end()) {
            break;
        }
        let wanted = key >= u64::from(*keys.start());
        let mut place = 0_u64;
        loop {
            let next = block.varint()?;
            place = place.saturating_add(next >> 1);
            if place >= u64::from(places) {
                if wanted {
                    return Ok(true);
                }
            } else if wanted {
                found.push(u32::try_from(place).expect("below a u32"));
            }
            if next & 1 == 0 {
                break;
            }
        }
    }
    Ok(false)
}
