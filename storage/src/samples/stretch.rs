//! A stretch: rounds and their samples, as a header and pages.
//!
//! ```text
//! chunks   value of (first round, chunk number); 0 is the header, the others have pages, each with a checksum
//! header   [version: u8][rounds: u32][pages: u32][bytes in the file, without the header: u64]
//!          rounds × [(time - the one before) × 2 + whole: varint, zigzag]
//!          pages × [first process: u64][samples: u32][piece]
//! ```
//!
//! Pieces and chunks are those of segments (`segment/pieces.rs`).

use std::ops::RangeInclusive;

use daemoneye_dsl::types::Timestamp;
use redb::Table as Written;

use super::page::{PAGE_SAMPLES, Page, Row, Writer};
use super::{Number, TABLE};
use crate::Error;
use crate::retention::{Cause, Dropped, Kept};
use crate::room::of_chunks;
use crate::scan::quarantine;
use crate::segment::bytes::{Bytes, Wrong, put_varint};
use crate::segment::pieces::{self, ChunkTable, Chunks, Edition, Fault, Piece, Pieces, in_file};
use crate::tables::{SAMPLES, Tables};

const VERSION: u8 = 1;
/// Bytes of a page in the header.
const PAGE_LEN: usize = 24;

/// A round of a stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    pub(crate) time: i64,
    /// Whether it has every process that was alive.
    pub(crate) whole: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct PageAt {
    pub(super) first: u64,
    pub(super) samples: u32,
    pub(super) piece: Piece,
}

/// What the header says.
#[derive(Debug)]
pub(crate) struct Stretch {
    pub(crate) first: Number,
    pub(crate) rounds: Vec<Taken>,
    /// That it takes in the file.
    pub(crate) bytes: u64,
    pages: Vec<PageAt>,
}

/// A stretch is written again under its number only with more rounds.
pub(super) fn edition(first: Number, rounds: &[Taken]) -> Edition {
    Edition { first, generation: u32::try_from(rounds.len()).expect("stretches are bounded") }
}

/// What the log and errors call a stretch.
pub(crate) fn name(first: Number) -> String {
    format!("stretch {first} of {TABLE}")
}

/// The chunks of a stretch with these rows, in order.
pub(super) fn write(first: Number, rounds: &[Taken], rows: &[Row]) -> Vec<Vec<u8>> {
    let mut chunks = Chunks::new(edition(first, rounds));
    let mut writer = Writer::new();
    let mut pages = Vec::new();
    for rows in rows.chunks(PAGE_SAMPLES) {
        let piece = chunks.add(&writer.page(rows));
        let samples = u32::try_from(rows.len()).expect("a page's samples are bounded");
        pages.push(PageAt { first: rows[0].process, samples, piece });
    }
    let bytes = chunks.bytes();
    chunks.finish(&header(rounds, bytes, &pages))
}

pub(super) fn header(rounds: &[Taken], bytes: u64, pages: &[PageAt]) -> Vec<u8> {
    let number = |len: usize| u32::try_from(len).expect("stretches are bounded").to_le_bytes();
    let mut header = vec![VERSION];
    header.extend(number(rounds.len()));
    header.extend(number(pages.len()));
    header.extend(bytes.to_le_bytes());
    let mut before = 0;
    for round in rounds {
        let step = i128::from(round.time) - i128::from(std::mem::replace(&mut before, round.time));
        // A step is a bit longer than a moment, and so is its sign.
        let code = (((step << 1) ^ (step >> 127)).cast_unsigned() << 1) | u128::from(round.whole);
        put_varint(u64::try_from(code & u128::from(u64::MAX)).expect("cut"), &mut header);
        put_varint(u64::try_from(code >> 64).expect("a few bits"), &mut header);
    }
    for page in pages {
        header.extend(page.first.to_le_bytes());
        header.extend(page.samples.to_le_bytes());
        page.piece.put(&mut header);
    }
    header
}

/// Puts a stretch in its place.
pub(super) fn put(
    table: &mut Written<'_, (Number, u32), &'static [u8]>,
    first: Number,
    chunks: &[Vec<u8>],
) -> Result<u64, Error> {
    let mut bytes = 0;
    for (number, chunk) in (0..).zip(chunks) {
        bytes += chunk.len() as u64;
        table.insert((first, number), chunk.as_slice())?;
    }
    Ok(bytes)
}

/// Takes a stretch out.
pub(crate) fn remove(table: &mut Written<'_, (Number, u32), &'static [u8]>, first: Number) -> Result<(), Error> {
    Ok(table.retain_in((first, 0)..=(first, u32::MAX), |_, _| false)?)
}

/// The first rounds of all stretches, in order.
pub(crate) fn all(table: &impl ChunkTable) -> Result<Vec<Number>, Error> {
    let mut all = Vec::new();
    let mut from = 0;
    while let Some(entry) = table.range((from, 0)..)?.next() {
        let (first, _) = entry?.0.value();
        all.push(first);
        let Some(next) = first.checked_add(1) else { break };
        from = next;
    }
    Ok(all)
}

/// Reads a header.
pub(crate) fn open(table: &impl ChunkTable, first: Number) -> Result<Stretch, Fault> {
    let chunk = table.get((first, 0))?.ok_or_else(|| Fault::from("its header is missing"))?;
    let stretch = pieces::read_header(first, chunk.value(), |header| Stretch::read(first, header))?;
    Ok(Stretch { bytes: stretch.bytes.saturating_add(in_file(chunk.value().len())), ..stretch })
}

impl Stretch {
    fn read(first: Number, header: &[u8]) -> Result<Self, Wrong> {
        let mut header = Bytes(header);
        if header.u8()? != VERSION {
            return Err("it has a version that is not known");
        }
        let (rounds, pages, bytes) = (header.u32()? as usize, header.u32()? as usize, header.u64()?);
        if rounds == 0 || rounds.saturating_mul(2).saturating_add(pages.saturating_mul(PAGE_LEN)) > header.0.len() {
            return Err("it claims more than it has");
        }
        let mut taken: Vec<Taken> = Vec::with_capacity(rounds);
        for _ in 0..rounds {
            let code = u128::from(header.varint()?) | u128::from(header.varint()?) << 64;
            let (whole, step) = (code & 1 != 0, code >> 1);
            let step = (step >> 1).cast_signed() ^ -(step & 1).cast_signed();
            let before = taken.last().map_or(0, |before| before.time);
            let time = i128::from(before).checked_add(step).and_then(|time| i64::try_from(time).ok());
            taken.push(Taken { time: time.ok_or("a round is at no moment")?, whole });
        }
        let page = |_| {
            let (first, samples, piece) = (header.u64()?, header.u32()?, Piece::read(&mut header)?);
            Ok(PageAt { first, samples, piece })
        };
        let pages = (0..pages).map(page).collect::<Result<Vec<_>, Wrong>>()?;
        if pages.windows(2).any(|pair| pair[0].first > pair[1].first) {
            return Err("its pages are in no order");
        }
        Ok(Self { first, rounds: taken, bytes, pages })
    }

    pub(crate) fn samples(&self) -> u64 {
        self.pages.iter().map(|page| u64::from(page.samples)).sum()
    }

    /// The first and the last moment of its rounds.
    pub(crate) fn times(&self) -> (i64, i64) {
        let times = || self.rounds.iter().map(|round| round.time);
        (times().min().expect("it has a round"), times().max().expect("it has a round"))
    }

    /// The number behind its last round.
    pub(crate) fn end(&self) -> Number {
        self.first.saturating_add(self.rounds.len() as u64)
    }

    /// Bytes of all pages.
    #[cfg(test)]
    pub(crate) fn pages_len(&self) -> u64 {
        (0..self.pages()).map(|at| self.page_len(at)).sum()
    }

    pub(super) fn pages(&self) -> usize {
        self.pages.len()
    }

    /// Bytes of a page.
    pub(super) fn page_len(&self, at: usize) -> u64 {
        self.pages[at].piece.len() as u64
    }

    /// Which processes a page may have.
    pub(super) fn processes(&self, at: usize) -> RangeInclusive<u64> {
        self.pages[at].first..=self.pages.get(at + 1).map_or(u64::MAX, |next| next.first)
    }

    /// Gives a page to who reads it.
    pub(super) fn page<T>(
        &self,
        table: &impl ChunkTable,
        at: usize,
        read: impl FnOnce(&Page<'_>) -> Result<T, Wrong>,
    ) -> Result<T, Fault> {
        let PageAt { samples, piece, .. } = self.pages[at];
        Pieces::new(table, edition(self.first, &self.rounds)).read(piece, |bytes| {
            let page = Page::open(bytes)?;
            if page.samples != samples as usize {
                return Err("a page has more or fewer samples than its header says".into());
            }
            Ok(read(&page)?)
        })
    }

    /// Every sample.
    pub(super) fn rows(&self, table: &impl ChunkTable) -> Result<Vec<Row>, Fault> {
        let mut rows = Vec::with_capacity(self.pages.len() * PAGE_SAMPLES);
        for at in 0..self.pages.len() {
            rows.extend(self.page(table, at, |page| page.rows(self.rounds.len()))?);
        }
        Ok(rows)
    }
}

/// Reads a stretch whole, a page at a time; gives its samples, and the number behind its last round.
pub(crate) fn check(table: &impl ChunkTable, first: Number) -> Result<(u64, Number), Fault> {
    let stretch = open(table, first)?;
    let mut last: Option<(u64, u32)> = None;
    for at in 0..stretch.pages() {
        let rows = stretch.page(table, at, |page| page.rows(stretch.rounds.len()))?;
        if rows.first().is_some_and(|row| row.process != stretch.pages[at].first) {
            return Err("a page begins with another process than its header says".into());
        }
        for row in rows {
            let place = (row.process, row.round);
            if last.replace(place).is_some_and(|last| last >= place) {
                return Err("its samples are in no order".into());
            }
        }
    }
    Ok((stretch.samples(), stretch.end()))
}

/// A stretch that is to be dropped.
pub(crate) struct Expired {
    pub(crate) first: Number,
    pub(crate) dropped: Dropped,
}

/// The stretch whose last moment is the earliest.
pub(crate) struct Oldest {
    first: Number,
    times: (i64, i64),
    samples: u64,
    bytes: u64,
}

impl Oldest {
    /// If nothing of it is after that moment.
    pub(crate) fn expired(&self, now: i64, limit: i64, cause: Cause) -> Option<Expired> {
        let Self { first, times: (from, to), samples: rows, bytes } = *self;
        let (at, of) = (Timestamp(now), Kept::Samples);
        let dropped = Dropped { at, of, rows, bytes, from: Timestamp(from), to: Timestamp(to), cause };
        (to <= limit).then_some(Expired { first, dropped })
    }
}

/// The stretch whose last moment is the earliest. One whose header cannot be read is taken to be as old as the younger
/// of those beside it, for it lies between them; the last one is not old.
pub(crate) fn oldest(txn: &impl Tables) -> Result<Option<Oldest>, Error> {
    let table = txn.table(SAMPLES)?;
    let mut oldest: Option<Oldest> = None;
    let mut consider = |other: Oldest| {
        if oldest.as_ref().is_none_or(|oldest| other.times.1 < oldest.times.1) {
            oldest = Some(other);
        }
    };
    let mut before = None;
    let mut unreadable = Vec::new();
    for first in all(&table)? {
        match open(&table, first) {
            Ok(stretch) => {
                let times = stretch.times();
                let beside =
                    before.replace(times).map_or(times, |before| (before.0.min(times.0), before.1.max(times.1)));
                for first in unreadable.drain(..) {
                    consider(Oldest { first, times: beside, samples: 0, bytes: of_chunks(&table, first)? });
                }
                consider(Oldest { first, times, samples: stretch.samples(), bytes: stretch.bytes });
            }
            Err(Fault::Damaged(why)) => {
                quarantine(&name(first), &why);
                unreadable.push(first);
            }
            Err(Fault::Storage(error)) => return Err(error),
        }
    }
    Ok(oldest)
}
