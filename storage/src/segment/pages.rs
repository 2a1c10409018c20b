//! The pages of a column of texts, each decompressed when a text of it is wanted, and held while more may be.

use std::ops::Range;

use super::bytes::{Bytes, Wrong};
use super::pieces::{ChunkTable, Fault, PIECE_LEN, Piece, Pieces};
use super::texts::{self, Page};

const ENTRY_LEN: usize = 4 + PIECE_LEN;
/// Bytes that are held at most, beyond one page.
const HELD_LEN_MAX: usize = 32 << 20;

/// Where the texts are, and those pages that were read.
pub(super) struct TextPages {
    /// The number of the first text of each page.
    table: Vec<(u32, Piece)>,
    texts: u32,
    /// By page; none before `first`.
    held: Vec<Option<Page>>,
    first: usize,
    len: usize,
}

impl TextPages {
    /// Of so many texts.
    pub(super) fn open(table: &[u8], texts: u32) -> Result<Self, Fault> {
        let (entries, _) = table.as_chunks::<ENTRY_LEN>();
        let entry = |entry: &[u8; ENTRY_LEN]| {
            let mut entry = Bytes(entry);
            Ok((entry.u32()?, Piece::read(&mut entry)?))
        };
        let table = entries.iter().map(entry).collect::<Result<Vec<_>, Wrong>>()?;
        let begins = if texts == 0 { table.is_empty() } else { table.first().is_some_and(|(first, _)| *first == 0) };
        if !begins || !table.is_sorted_by_key(|(first, _)| *first) {
            return Err("the pages of a column are out of order".into());
        }
        let held = table.iter().map(|_| None).collect();
        Ok(Self { table, texts, held, first: 0, len: 0 })
    }

    /// How many pages there are.
    pub(super) fn count(&self) -> usize {
        self.table.len()
    }

    /// The numbers of the texts of a page that there is.
    pub(super) fn range(&self, page: usize) -> Range<u32> {
        let from = self.table[page].0;
        let end = self.table.get(page + 1).map_or(self.texts, |(first, _)| *first);
        from..end.max(from)
    }

    /// Lets go of the pages whose texts are all before this one.
    pub(super) fn forget_before(&mut self, text: u32) {
        let page = self.table.partition_point(|(first, _)| *first <= text).saturating_sub(1);
        if page > self.first {
            self.held[self.first..page].fill_with(|| None);
            self.first = page;
            self.len = self.held[page..].iter().flatten().map(Page::len).sum();
        }
    }

    /// The text of that number.
    pub(super) fn get<T: ChunkTable>(&mut self, text: u32, pieces: &Pieces<'_, T>) -> Result<&str, Fault> {
        let page = self.table.partition_point(|(first, _)| *first <= text).checked_sub(1).ok_or("a text is missing")?;
        let from = self.table[page].0;
        self.page(page, pieces)?.get((text - from) as usize).ok_or_else(|| "a text is missing".into())
    }

    pub(super) fn page<T: ChunkTable>(&mut self, page: usize, pieces: &Pieces<'_, T>) -> Result<&Page, Fault> {
        if self.held[page].is_none() {
            let count = self.range(page).len();
            let read = pieces.read(self.table[page].1, |bytes| Ok(texts::decode(bytes, count)?))?;
            if self.len > HELD_LEN_MAX {
                self.held.fill_with(|| None);
                self.len = 0;
            }
            self.len += read.len();
            self.first = self.first.min(page);
            self.held[page] = Some(read);
        }
        Ok(self.held[page].as_ref().expect("it was just read"))
    }
}
