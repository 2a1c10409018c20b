//! Where the bytes of a segment lie: pieces, each with its own checksum, packed into chunks that fill redb's pages.
//!
//! ```text
//! chunk   value of (segment, chunk number), pieces one behind the other; a piece never crosses into the next chunk
//! piece   [CRC-32C of segment, generation, chunk, offset and payload: u32 LE][payload]
//! ```
//!
//! redb gives a value pages of a power of two: chunks have nearly that size, so that little is lost.
//!
//! A segment that is written again under its number has another [`Edition`]: pieces of two of them do not go together.

use std::cell::Cell;

use redb::{ReadableTable, StorageError};

use super::bytes::{Bytes, Wrong};
use crate::Error;

/// Bytes of a chunk: with key and header, a page of 64 KiB.
const CHUNK_LEN: usize = (64 << 10) - 64;
const SUM_LEN: usize = 4;
/// Bytes of redb's smallest page.
const PAGE_LEN: usize = 4096;
/// Bytes that redb adds to a value of a chunk: its key, where it ends, and the head of its page.
const PAIR_LEN: usize = 24;
/// Bytes of a [`Piece`].
pub(crate) const PIECE_LEN: usize = 12;

/// A segment as it was written once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edition {
    /// The number of its first row.
    pub(crate) first: u64,
    /// Greater than that of everything that it was made of, so no two segments of one number have the same.
    pub(crate) generation: u32,
}

impl Edition {
    /// What the header is proven by: it says the generation itself.
    fn of_header(self) -> Self {
        Self { generation: 0, ..self }
    }
}

/// Where a piece is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Piece {
    chunk: u32,
    at: u32,
    /// Bytes, its checksum counted; 0 is no piece.
    len: u32,
}

impl Piece {
    pub(crate) fn put(self, out: &mut Vec<u8>) {
        out.extend([self.chunk, self.at, self.len].into_iter().flat_map(u32::to_le_bytes));
    }

    pub(crate) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Wrong> {
        Ok(Self { chunk: bytes.u32()?, at: bytes.u32()?, len: bytes.u32()? })
    }

    pub(crate) fn is_none(self) -> bool {
        self.len == 0
    }

    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    fn sum(self, Edition { first, generation }: Edition, payload: &[u8]) -> u32 {
        let mut place = [0; 20];
        place[..8].copy_from_slice(&first.to_le_bytes());
        place[8..12].copy_from_slice(&generation.to_le_bytes());
        place[12..16].copy_from_slice(&self.chunk.to_le_bytes());
        place[16..].copy_from_slice(&self.at.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&place), payload)
    }
}

/// Bytes of redb's pages that a chunk takes: a power of two of them, of its own, unless it is so small that others lie
/// beside it.
pub(crate) fn in_file(chunk_len: usize) -> u64 {
    let len = chunk_len + PAIR_LEN;
    let len = if len * 2 <= PAGE_LEN { len } else { len.div_ceil(PAGE_LEN).next_power_of_two() * PAGE_LEN };
    len as u64
}

/// Chunks that are being written.
pub(crate) struct Chunks {
    edition: Edition,
    /// By number; 0 is kept for the header.
    all: Vec<Vec<u8>>,
    /// Those that may have room.
    open: Vec<usize>,
}

/// Chunks that are kept open: a piece that one has no room for may fit where another left some.
const OPEN_MAX: usize = 4;

impl Chunks {
    pub(crate) fn new(edition: Edition) -> Self {
        Self { edition, all: vec![vec![]], open: vec![] }
    }

    /// Puts a piece into the fullest chunk that has room.
    pub(crate) fn add(&mut self, payload: &[u8]) -> Piece {
        let len = SUM_LEN + payload.len();
        let fits = |chunk: &&usize| self.all[**chunk].len() + len <= CHUNK_LEN;
        let chunk = self.open.iter().filter(fits).max_by_key(|chunk| self.all[**chunk].len()).copied();
        let chunk = chunk.unwrap_or_else(|| self.open_one());
        let number = |len: usize| u32::try_from(len).expect("segments are bounded");
        let bytes = &mut self.all[chunk];
        let piece = Piece { chunk: number(chunk), at: number(bytes.len()), len: number(len) };
        bytes.extend_from_slice(&piece.sum(self.edition, payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        piece
    }

    fn open_one(&mut self) -> usize {
        if self.open.len() == OPEN_MAX {
            let fullest = (0..OPEN_MAX).max_by_key(|at| self.all[self.open[*at]].len()).unwrap_or(0);
            self.open.swap_remove(fullest);
        }
        self.all.push(vec![]);
        self.open.push(self.all.len() - 1);
        self.all.len() - 1
    }

    /// Bytes that they take in the file so far, without the header.
    pub(crate) fn bytes(&self) -> u64 {
        self.all.iter().map(|chunk| in_file(chunk.len())).sum()
    }

    /// All chunks, with the header as the first.
    pub(crate) fn finish(mut self, header: &[u8]) -> Vec<Vec<u8>> {
        let mut first = Piece::default().sum(self.edition.of_header(), header).to_le_bytes().to_vec();
        first.extend_from_slice(header);
        self.all[0] = first;
        self.all
    }
}

/// Why a part of a segment cannot be read.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It is damaged, in words: the segment is set aside, the others answer.
    Damaged(String),
    /// The storage below failed.
    Storage(Error),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Storage(error)
    }
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Self {
        Self::Damaged(wrong.to_owned())
    }
}

impl From<StorageError> for Fault {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupted(detail) => Self::Damaged(detail),
            other => Self::Storage(other.into()),
        }
    }
}

/// The chunks of all segments.
pub(crate) trait ChunkTable: ReadableTable<(u64, u32), &'static [u8]> {}

impl<T: ReadableTable<(u64, u32), &'static [u8]>> ChunkTable for T {}

/// The pieces of a segment that is being read.
pub(crate) struct Pieces<'t, T> {
    table: &'t T,
    edition: Edition,
    bytes: Cell<u64>,
}

impl<'t, T: ChunkTable> Pieces<'t, T> {
    pub(crate) fn new(table: &'t T, edition: Edition) -> Self {
        Self { table, edition, bytes: Cell::new(0) }
    }

    /// Gives `read` the payload of a piece.
    pub(crate) fn read<R>(&self, piece: Piece, read: impl FnOnce(&[u8]) -> Result<R, Fault>) -> Result<R, Fault> {
        self.bytes.set(self.bytes.get() + piece.len() as u64);
        let chunk =
            self.table.get((self.edition.first, piece.chunk))?.ok_or_else(|| Fault::from("a part of it is missing"))?;
        let end = (piece.at as usize).saturating_add(piece.len());
        let bytes = chunk.value().get(piece.at as usize..end).ok_or("a part of it is cut off")?;
        read(checked(self.edition, piece, bytes)?)
    }

    /// Bytes of all that were read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes.get()
    }
}

/// Gives `read` the header of a segment.
pub(crate) fn read_header<T>(
    first: u64,
    chunk: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    read(checked(Edition { first, generation: 0 }.of_header(), Piece::default(), chunk)?)
}

/// The payload of a piece, whatever it is worth.
pub(super) fn unproven(piece: &[u8]) -> Option<&[u8]> {
    piece.get(SUM_LEN..)
}

fn checked(edition: Edition, piece: Piece, bytes: &[u8]) -> Result<&[u8], Wrong> {
    let (sum, payload) = bytes.split_first_chunk().ok_or("a part of it is cut off")?;
    if u32::from_le_bytes(*sum) != piece.sum(edition, payload) {
        return Err("a checksum does not match");
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_two_editions_do_not_go_together() {
        let written = |generation, payload: &[u8]| {
            let mut chunks = Chunks::new(Edition { first: 7, generation });
            (chunks.add(payload), chunks.finish(b"header"))
        };
        let ((piece, old), (same, new)) = (written(1, b"old"), written(2, b"new"));
        assert_eq!(piece, same);
        let edition = Edition { first: 7, generation: 2 };
        assert_eq!(checked(edition, piece, &new[1]), Ok(b"new".as_slice()));
        assert_eq!(checked(edition, piece, &old[1]), Err("a checksum does not match"));
    }
}
