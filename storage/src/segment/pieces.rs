//! Where the bytes of a segment lie: pieces, each with its own checksum, packed into chunks that fill redb's pages.
//!
//! ```text
//! chunk   value of (segment, chunk number), pieces one behind the other; a piece never crosses into the next chunk
//! piece   [CRC-32C of segment, chunk, offset and payload: u32 LE][payload]
//! ```
//!
//! redb gives a value pages of a power of two: chunks have nearly that size, so that little is lost.

use std::cell::Cell;

use redb::{ReadableTable, StorageError};

use super::bytes::{Bytes, Wrong};
use crate::Error;

/// Bytes of a chunk: with key and header, a page of 64 KiB.
const CHUNK_LEN: usize = (64 << 10) - 64;
const SUM_LEN: usize = 4;
/// Bytes of a [`Piece`].
pub(super) const PIECE_LEN: usize = 12;

/// Where a piece is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Piece {
    chunk: u32,
    at: u32,
    /// Bytes, its checksum counted; 0 is no piece.
    len: u32,
}

impl Piece {
    pub(super) fn put(self, out: &mut Vec<u8>) {
        out.extend([self.chunk, self.at, self.len].into_iter().flat_map(u32::to_le_bytes));
    }

    pub(super) fn read(bytes: &mut Bytes<'_>) -> Result<Self, Wrong> {
        Ok(Self { chunk: bytes.u32()?, at: bytes.u32()?, len: bytes.u32()? })
    }

    pub(super) fn is_none(self) -> bool {
        self.len == 0
    }

    pub(super) fn len(self) -> usize {
        self.len as usize
    }

    fn sum(self, segment: u64, payload: &[u8]) -> u32 {
        let mut place = [0; 16];
        place[..8].copy_from_slice(&segment.to_le_bytes());
        place[8..12].copy_from_slice(&self.chunk.to_le_bytes());
        place[12..].copy_from_slice(&self.at.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c(&place), payload)
    }
}

/// Chunks that are being written.
pub(super) struct Chunks {
    segment: u64,
    /// By number; 0 is kept for the header.
    all: Vec<Vec<u8>>,
    /// Those that may have room.
    open: Vec<usize>,
}

/// Chunks that are kept open: a piece that one has no room for may fit where another left some.
const OPEN_MAX: usize = 4;

impl Chunks {
    pub(super) fn new(segment: u64) -> Self {
        Self { segment, all: vec![vec![]], open: vec![] }
    }

    /// Puts a piece into the fullest chunk that has room.
    pub(super) fn add(&mut self, payload: &[u8]) -> Piece {
        let len = SUM_LEN + payload.len();
        let fits = |chunk: &&usize| self.all[**chunk].len() + len <= CHUNK_LEN;
        let chunk = self.open.iter().filter(fits).max_by_key(|chunk| self.all[**chunk].len()).copied();
        let chunk = chunk.unwrap_or_else(|| self.open_one());
        let number = |len: usize| u32::try_from(len).expect("segments are bounded");
        let bytes = &mut self.all[chunk];
        let piece = Piece { chunk: number(chunk), at: number(bytes.len()), len: number(len) };
        bytes.extend_from_slice(&piece.sum(self.segment, payload).to_le_bytes());
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

    /// Bytes so far.
    pub(super) fn bytes(&self) -> u64 {
        self.all.iter().map(|chunk| chunk.len() as u64).sum()
    }

    /// All chunks, with the header as the first.
    pub(super) fn finish(mut self, header: &[u8]) -> Vec<Vec<u8>> {
        let piece = Piece { chunk: 0, at: 0, len: 0 };
        let mut first = piece.sum(self.segment, header).to_le_bytes().to_vec();
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
pub(super) struct Pieces<'t, T> {
    table: &'t T,
    segment: u64,
    bytes: Cell<u64>,
}

impl<'t, T: ChunkTable> Pieces<'t, T> {
    pub(super) fn new(table: &'t T, segment: u64) -> Self {
        Self { table, segment, bytes: Cell::new(0) }
    }

    /// Gives `read` the payload of a piece.
    pub(super) fn read<R>(&self, piece: Piece, read: impl FnOnce(&[u8]) -> Result<R, Fault>) -> Result<R, Fault> {
        self.bytes.set(self.bytes.get() + piece.len() as u64);
        let chunk =
            self.table.get((self.segment, piece.chunk))?.ok_or_else(|| Fault::from("a part of it is missing"))?;
        let end = (piece.at as usize).saturating_add(piece.len());
        let bytes = chunk.value().get(piece.at as usize..end).ok_or("a part of it is cut off")?;
        read(checked(self.segment, piece, bytes)?)
    }

    /// Bytes of all that were read so far.
    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes.get()
    }
}

/// Gives `read` the header of a segment.
pub(super) fn read_header<T>(
    segment: u64,
    chunk: &[u8],
    read: impl FnOnce(&[u8]) -> Result<T, Wrong>,
) -> Result<T, Wrong> {
    read(checked(segment, Piece::default(), chunk)?)
}

fn checked(segment: u64, piece: Piece, bytes: &[u8]) -> Result<&[u8], Wrong> {
    let (sum, payload) = bytes.split_first_chunk().ok_or("a part of it is cut off")?;
    if u32::from_le_bytes(*sum) != piece.sum(segment, payload) {
        return Err("a checksum does not match");
    }
    Ok(payload)
}
