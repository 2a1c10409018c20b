//! Entries as they are stored: one after the other in blocks that fill four pages, each with its length before it.

use std::ops::ControlFlow;

use redb::{ReadableTable, Table};

use crate::Error;

/// Bytes of a block, unless its only entry is longer: with its key and what redb notes of it it fills 16 KiB.
const BLOCK_LEN_MAX: usize = 16_360;
const LEN_LEN: usize = size_of::<u32>();

/// Adds entries at the end, a block at a time.
pub(crate) struct BlockWriter {
    /// The first entry of the block that is open.
    first: u64,
    block: Vec<u8>,
}

impl BlockWriter {
    /// Goes on behind the last entry, `next` being the number of the first that comes.
    pub(crate) fn after(table: &Table<'_, u64, &'static [u8]>, next: u64) -> Result<Self, Error> {
        Ok(match table.last()? {
            Some((first, block)) if block.value().len() < BLOCK_LEN_MAX => {
                Self { first: first.value(), block: block.value().to_vec() }
            }
            _ => Self { first: next, block: Vec::new() },
        })
    }

    /// Adds entry `sequence`.
    pub(crate) fn push(
        &mut self,
        table: &mut Table<'_, u64, &'static [u8]>,
        sequence: u64,
        entry: &[u8],
    ) -> Result<(), Error> {
        if !self.block.is_empty() && self.block.len() + LEN_LEN + entry.len() > BLOCK_LEN_MAX {
            table.insert(self.first, self.block.as_slice())?;
            self.block.clear();
        }
        if self.block.is_empty() {
            self.first = sequence;
        }
        self.block.extend(u32::try_from(entry.len()).expect("entries are short").to_be_bytes());
        self.block.extend(entry);
        Ok(())
    }

    /// Stores what was added.
    pub(crate) fn finish(self, table: &mut Table<'_, u64, &'static [u8]>) -> Result<(), Error> {
        if !self.block.is_empty() {
            table.insert(self.first, self.block.as_slice())?;
        }
        Ok(())
    }
}

/// Hands out the stored bytes of entries from number `from` on, in order, until `each` breaks. The number is that by
/// the entry's place; a block that is cut short or has a wrong number is an error.
pub(crate) fn visit(
    table: &impl ReadableTable<u64, &'static [u8]>,
    from: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    let Some((first, _)) = table.range(..=from)?.next_back().transpose()? else { return Ok(()) };
    let mut next = first.value();
    for stored in table.range(next..)? {
        let (first, block) = stored?;
        if first.value() != next {
            return Err(missing(next, first.value()));
        }
        let mut rest = block.value();
        while let Some((len, behind)) = rest.split_first_chunk() {
            let len = u32::from_be_bytes(*len) as usize;
            let (entry, behind) = behind.split_at_checked(len).ok_or_else(|| cut(next))?;
            if next >= from && each(next, entry)?.is_break() {
                return Ok(());
            }
            (next, rest) = (next + 1, behind);
        }
        if !rest.is_empty() {
            return Err(cut(next));
        }
    }
    Ok(())
}

/// [`visit`], the last entry before `end` first. Holds one block at a time.
pub(crate) fn visit_back(
    table: &impl ReadableTable<u64, &'static [u8]>,
    end: u64,
    mut each: impl FnMut(u64, &[u8]) -> Result<ControlFlow<()>, Error>,
) -> Result<(), Error> {
    for stored in table.range(..end)?.rev() {
        let (first, block) = stored?;
        let (first, mut rest, mut entries) = (first.value(), block.value(), Vec::new());
        while let Some((len, behind)) = rest.split_first_chunk() {
            let number = first + entries.len() as u64;
            let (entry, behind) =
                behind.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or_else(|| cut(number))?;
            entries.push((number, entry));
            rest = behind;
        }
        for (number, entry) in entries.into_iter().rev().filter(|(number, _)| *number < end) {
            if each(number, entry)?.is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn missing(next: u64, found: u64) -> Error {
    Error::damaged_ledger(if found > next {
        format!("entries {next} to {} are not there", found - 1)
    } else {
        format!("entry {found} is there twice")
    })
}

fn cut(sequence: u64) -> Error {
    Error::damaged_ledger(format!("entry {sequence} is cut short"))
}
