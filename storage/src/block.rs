//! Bytes on disk that carry their own proof, and the blocks of rows made of them.
//!
//! ```text
//! sealed   [version: 1][CRC-32C of context and payload: u32 LE][payload]     the context is the key: a block that
//! rows     payload = dsl::ipc                                                 turns up elsewhere is damaged too
//! keys     payload = filter.rs
//! block    [bytes of the keys, sealed: u32 LE][keys, sealed][rows, sealed]
//! ```
//!
//! Reading checks everything and returns what is wrong in words; no bytes make it panic.

use arrow_array::RecordBatch;
use daemoneye_dsl::ipc;
use redb::{ReadableTable, WriteTransaction};

use crate::tables::{BLOCKS, FIRST_ROW, HISTORY, META, NEXT_ROW_KEY, Row, block_schema};
use crate::{Error, filter};

/// Rows that one block has at most: what a scan holds at a time.
pub(crate) const BLOCK_ROWS_MAX: usize = 4096;
/// Bytes that a block of several rows may have when decoded.
const BLOCK_LEN_MAX: usize = 8 << 20;
const SEAL_VERSION: u8 = 1;
const SEAL_LEN: usize = 5;

/// Seals `payload` for the place that `context` names.
pub(crate) fn seal(context: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::with_capacity(SEAL_LEN + payload.len());
    sealed.push(SEAL_VERSION);
    sealed.extend_from_slice(&checksum(context, payload).to_le_bytes());
    sealed.extend_from_slice(payload);
    sealed
}

/// The payload of `sealed`, or what is wrong with it.
pub(crate) fn unseal<'a>(context: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], String> {
    let (&[version, ref sum @ ..], payload) =
        sealed.split_first_chunk::<SEAL_LEN>().ok_or("it is shorter than its header")?;
    if version != SEAL_VERSION {
        return Err(format!("its version is {version}, not {SEAL_VERSION}"));
    }
    if *sum != checksum(context, payload).to_le_bytes() {
        return Err("its checksum does not match".to_owned());
    }
    Ok(payload)
}

fn checksum(context: &[u8], payload: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(context), payload)
}

/// Keys and rows as the block that begins with `first`.
pub(crate) fn sealed(first: Row, keys: &[u8], rows: &[u8]) -> Vec<u8> {
    let keys = seal(&context(KEYS, first), keys);
    let len = u32::try_from(keys.len()).expect("a block's rows are bounded").to_le_bytes();
    [&len, keys.as_slice(), &seal(&context(ROWS, first), rows)].concat()
}

const KEYS: &[u8] = b"keys";
const ROWS: &[u8] = b"rows";

/// The context of a part of a block.
fn context(part: &[u8], first: Row) -> Vec<u8> {
    [part, &first.to_be_bytes()].concat()
}

/// The two parts of a block, sealed; nothing is proven yet.
fn parts(block: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = block.split_first_chunk()?;
    rest.split_at_checked(u32::from_le_bytes(*len) as usize)
}

/// The filter of the block that begins with `first`, or what is wrong with it.
pub(crate) fn keys(first: Row, block: &[u8]) -> Result<&[u8], String> {
    let (keys, _) = parts(block).ok_or("it is shorter than its keys")?;
    unseal(&context(KEYS, first), keys)
}

/// Rows that fit into a block, as bytes.
pub(crate) struct Encoded {
    rows: u32,
    keys: Vec<u8>,
    payload: Vec<u8>,
}

/// Cuts rows into blocks within their bounds and encodes them.
pub(crate) fn encode(rows: &RecordBatch) -> Result<Vec<Encoded>, Error> {
    // The last piece is the next to encode.
    let mut pieces: Vec<_> = (0..rows.num_rows())
        .step_by(BLOCK_ROWS_MAX)
        .map(|from| rows.slice(from, BLOCK_ROWS_MAX.min(rows.num_rows() - from)))
        .rev()
        .collect();
    let mut encoded = Vec::new();
    while let Some(piece) = pieces.pop() {
        let payload = ipc::encode(&piece);
        let len = number(&payload).expect("the form starts with its length") as usize;
        let half = piece.num_rows() / 2;
        if len > BLOCK_LEN_MAX && half > 0 {
            pieces.push(piece.slice(half, piece.num_rows() - half));
            pieces.push(piece.slice(0, half));
        } else if len > ipc::DECODED_LEN_MAX {
            return Err(Error::Refused(format!("one row has {len} bytes, of which {} fit", ipc::DECODED_LEN_MAX)));
        } else {
            let rows = u32::try_from(piece.num_rows()).expect("a block's rows are bounded");
            encoded.push(Encoded { rows, keys: filter::encode(&piece), payload });
        }
    }
    Ok(encoded)
}

/// Appends new blocks; the answer is the number of the first row.
pub(crate) fn append(txn: &WriteTransaction, encoded: &[Encoded]) -> Result<Row, Error> {
    let mut meta = txn.open_table(META)?;
    let first = meta.get(NEXT_ROW_KEY)?.map_or(FIRST_ROW, |row| row.value());
    let mut next = first;
    let mut blocks = txn.open_table(BLOCKS)?;
    for Encoded { rows, keys, payload } in encoded {
        blocks.insert(next, sealed(next, keys, payload).as_slice())?;
        let exhausted = || Error::Refused(format!("the numbers of rows are used up at {next}"));
        next = next.checked_add(Row::from(*rows)).ok_or_else(exhausted)?;
    }
    meta.insert(NEXT_ROW_KEY, next)?;
    Ok(first)
}

/// The number that bytes begin with.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|number| u32::from_le_bytes(*number))
}

/// Rows of a block, as it says itself: nothing is proven yet.
pub(crate) fn rows(block: &[u8]) -> Option<u32> {
    parts(block).and_then(|(keys, _)| keys.get(SEAL_LEN..)).and_then(filter::rows)
}

/// Bytes that a block has when decoded, as it says itself: nothing is proven yet.
pub(crate) fn decoded_len(block: &[u8]) -> u64 {
    let rows = parts(block).and_then(|(_, rows)| rows.get(SEAL_LEN..));
    rows.and_then(number).map_or(0, u64::from)
}

/// Columns, by ascending position, of the rows in the block that begins with `first`; or what is wrong with it.
pub(crate) fn decode(first: Row, block: &[u8], columns: &[usize]) -> Result<RecordBatch, String> {
    let filter = keys(first, block)?;
    let (_, rows) = parts(block).expect("it has keys");
    let payload = unseal(&context(ROWS, first), rows)?;
    let rows = ipc::decode_columns(payload, &block_schema(), columns).map_err(|error| error.to_string())?;
    if filter::rows(filter).map(|rows| rows as usize) != Some(rows.num_rows()) {
        return Err("its keys are of another number of rows".to_owned());
    }
    Ok(rows)
}

/// What the log and errors call a block.
pub(crate) fn name(first: Row) -> String {
    format!("block {first} of {HISTORY}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_sealed_comes_back(context: Vec<u8>, payload: Vec<u8>) {
            let sealed = seal(&context, &payload);
            prop_assert_eq!(unseal(&context, &sealed), Ok(payload.as_slice()));
        }

        #[test]
        fn any_change_is_noticed(payload: Vec<u8>, at: prop::sample::Index, bit in 0..8, keep: prop::sample::Index) {
            let mut sealed = seal(b"here", &payload);
            prop_assert!(unseal(b"there", &sealed).is_err());
            prop_assert!(unseal(b"here", &sealed[..keep.index(sealed.len())]).is_err());
            let at = at.index(sealed.len());
            sealed[at] ^= 1_u8 << bit;
            prop_assert!(unseal(b"here", &sealed).is_err());
        }
    }
}
