//! A page: samples by process and then by round, each column by itself.
//!
//! ```text
//! page        [samples: varint] 8 × column
//! column      [form: u8][bytes before compression: varint][bytes: varint][bytes]         form: 1 zstd, 2 differences
//! processes   [id - the one before: varint]     [pid: varint, zigzag]     [samples: varint]
//! samples     [round - the one before of the process: varint]      cpu, memory, threads, status: [code: varint]
//! ```
//!
//! Codes (`value.rs`) lie as they are, or each as its difference from the one before of its process, zigzag, whichever is
//! shorter. Reading takes any bytes and tells what is wrong with them.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use super::value::{COLUMNS, GREATEST, Sample};
use crate::segment::bytes::{Bytes, Wrong, put_varint};

/// Samples of a page.
pub(super) const PAGE_SAMPLES: usize = 8192;
/// Bytes of a column before compression: a varint has ten at most.
const COLUMN_LEN_MAX: usize = 10 * PAGE_SAMPLES + 10;
/// Higher takes longer to write and as long to read.
const LEVEL: i32 = 3;

const COMPRESSED: u8 = 1;
const DIFFERENCES: u8 = 2;

/// A sample and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// The `proc_id`.
    pub(super) process: u64,
    pub(super) pid: i64,
    /// Counted from the first of the stretch.
    pub(super) round: u32,
    pub(super) sample: Sample,
}

/// Writes pages.
pub(super) struct Writer {
    compressor: Compressor<'static>,
}

impl Writer {
    pub(super) fn new() -> Self {
        Self { compressor: Compressor::new(LEVEL).expect("the level is valid") }
    }

    /// The page of rows in order.
    pub(super) fn page(&mut self, rows: &[Row]) -> Vec<u8> {
        let groups: Vec<&[Row]> = rows.chunk_by(|one, other| one.process == other.process).collect();
        let mut out = Vec::new();
        put_varint(rows.len() as u64, &mut out);
        let mut before = 0;
        let ids = groups.iter().map(|group| {
            let id = group[0].process;
            id - std::mem::replace(&mut before, id)
        });
        let ids = self.column(ids, 0);
        let pids = self.column(groups.iter().map(|group| zigzag(group[0].pid)), 0);
        let counts = self.column(groups.iter().map(|group| group.len() as u64), 0);
        let rounds = groups.iter().flat_map(|group| {
            let mut before = 0;
            group.iter().map(move |row| u64::from(row.round - std::mem::replace(&mut before, row.round)))
        });
        let rounds = self.column(rounds, 0);
        out.extend([ids, pids, counts, rounds].into_iter().flatten());
        for column in 0..COLUMNS {
            let plain = self.column(rows.iter().map(|row| row.sample.0[column].into()), 0);
            let differences = groups.iter().flat_map(|group| {
                let mut before = 0;
                group.iter().map(move |row| {
                    let code = i64::from(row.sample.0[column]);
                    zigzag(code - std::mem::replace(&mut before, code))
                })
            });
            let differences = self.column(differences, DIFFERENCES);
            out.extend(if differences.len() < plain.len() { differences } else { plain });
        }
        out
    }

    fn column(&mut self, codes: impl Iterator<Item = u64>, form: u8) -> Vec<u8> {
        let mut raw = Vec::new();
        codes.for_each(|code| put_varint(code, &mut raw));
        let compressed = self.compressor.compress(&raw).expect("the buffer is large enough");
        let (form, bytes) = if compressed.len() < raw.len() { (form | COMPRESSED, &compressed) } else { (form, &raw) };
        let mut out = vec![form];
        put_varint(raw.len() as u64, &mut out);
        put_varint(bytes.len() as u64, &mut out);
        out.extend_from_slice(bytes);
        out
    }
}

/// The processes of a page.
#[derive(Debug)]
pub(super) struct Processes {
    /// Ascending, each once.
    pub(super) ids: Vec<u64>,
    pub(super) pids: Vec<i64>,
    /// Where the samples of each end.
    pub(super) ends: Vec<usize>,
}

impl Processes {
    /// The samples of each.
    pub(super) fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| start..*end)
    }
}

/// A page whose columns are read when they are asked for.
#[derive(Debug)]
pub(super) struct Page<'a> {
    pub(super) samples: usize,
    columns: [(u8, usize, &'a [u8]); 4 + COLUMNS],
}

thread_local! {
    /// Making one takes longer than reading a page.
    static DECOMPRESSOR: RefCell<Decompressor<'static>> =
        RefCell::new(Decompressor::new().expect("memory for a decompressor"));
}

impl<'a> Page<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Wrong> {
        let mut bytes = Bytes(bytes);
        let samples = len(&mut bytes)?;
        if samples > PAGE_SAMPLES {
            return Err("a page claims too many samples");
        }
        let mut columns = [(0, 0, [].as_slice()); 4 + COLUMNS];
        for column in &mut columns {
            let form = bytes.u8()?;
            let (raw, stored) = (len(&mut bytes)?, len(&mut bytes)?);
            if form > COMPRESSED | DIFFERENCES || raw > COLUMN_LEN_MAX {
                return Err("a column of a page has an unknown form");
            }
            *column = (form, raw, bytes.take(stored)?);
        }
        Ok(Self { samples, columns })
    }

    /// The numbers of a column, of which there must be so many if that is known; and whether they are differences.
    fn numbers(&self, at: usize, count: Option<usize>) -> Result<(Vec<u64>, bool), Wrong> {
        let (form, raw, stored) = self.columns[at];
        let decompressed;
        let mut bytes = Bytes(stored);
        if form & COMPRESSED != 0 {
            decompressed = DECOMPRESSOR
                .with_borrow_mut(|decompressor| decompressor.decompress(stored, raw))
                .map_err(|_| "a column of a page does not decompress")?;
            bytes = Bytes(&decompressed);
        }
        let mut numbers = Vec::with_capacity(count.unwrap_or(0));
        while !bytes.0.is_empty() && numbers.len() < PAGE_SAMPLES {
            numbers.push(bytes.varint()?);
        }
        if !bytes.0.is_empty() || count.is_some_and(|count| count != numbers.len()) {
            return Err("a column of a page has more or fewer values than there are");
        }
        Ok((numbers, form & DIFFERENCES != 0))
    }

    pub(super) fn processes(&self) -> Result<Processes, Wrong> {
        let (mut ids, _) = self.numbers(0, None)?;
        let mut before: Option<u64> = None;
        for id in &mut ids {
            let is_new = before.is_none() || *id > 0;
            let next = before.unwrap_or(0).checked_add(*id).filter(|_| is_new);
            *id = next.ok_or("the processes of a page are in no order")?;
            before = Some(*id);
        }
        let (pids, _) = self.numbers(1, Some(ids.len()))?;
        let pids = pids.into_iter().map(unzigzag).collect();
        let mut end = 0_usize;
        let mut ends = Vec::with_capacity(ids.len());
        for count in self.numbers(2, Some(ids.len()))?.0 {
            let next = usize::try_from(count).ok().and_then(|count| end.checked_add(count));
            end =
                next.filter(|next| *next > end && *next <= self.samples).ok_or("a page counts its samples wrongly")?;
            ends.push(end);
        }
        if end == self.samples { Ok(Processes { ids, pids, ends }) } else { Err("a page counts its samples wrongly") }
    }

    /// The round of each sample, of that many.
    pub(super) fn rounds(&self, processes: &Processes, rounds: usize) -> Result<Vec<u32>, Wrong> {
        let (steps, _) = self.numbers(3, Some(self.samples))?;
        let mut all = Vec::with_capacity(steps.len());
        for range in processes.ranges() {
            let mut before: Option<u64> = None;
            for step in &steps[range] {
                let later = before.is_none() || *step > 0;
                let round = before.unwrap_or(0).checked_add(*step).filter(|round| later && *round < rounds as u64);
                before = round;
                let round = round.and_then(|round| u32::try_from(round).ok());
                all.push(round.ok_or("a sample is of no round")?);
            }
        }
        Ok(all)
    }

    /// The code of each sample.
    pub(super) fn codes(&self, processes: &Processes, column: usize) -> Result<Vec<u32>, Wrong> {
        const BEYOND: Wrong = "a sample has a value that is none";
        let (numbers, differences) = self.numbers(4 + column, Some(self.samples))?;
        let code = |code: u64| u32::try_from(code).ok().filter(|code| *code <= GREATEST[column]).ok_or(BEYOND);
        if !differences {
            return numbers.into_iter().map(code).collect();
        }
        let mut all = Vec::with_capacity(numbers.len());
        for range in processes.ranges() {
            let mut before = 0_i64;
            for number in &numbers[range] {
                before = before.checked_add(unzigzag(*number)).ok_or(BEYOND)?;
                all.push(code(u64::try_from(before).map_err(|_| BEYOND)?)?);
            }
        }
        Ok(all)
    }

    /// Every sample.
    pub(super) fn rows(&self, rounds: usize) -> Result<Vec<Row>, Wrong> {
        let processes = self.processes()?;
        let rounds = self.rounds(&processes, rounds)?;
        let mut codes = Vec::with_capacity(COLUMNS);
        for column in 0..COLUMNS {
            codes.push(self.codes(&processes, column)?);
        }
        let mut rows = Vec::with_capacity(self.samples);
        for ((id, pid), range) in processes.ids.iter().zip(&processes.pids).zip(processes.ranges()) {
            rows.extend(range.map(|at| {
                let sample = Sample(std::array::from_fn(|column| codes[column][at]));
                Row { process: *id, pid: *pid, round: rounds[at], sample }
            }));
        }
        Ok(rows)
    }
}

fn len(bytes: &mut Bytes<'_>) -> Result<usize, Wrong> {
    usize::try_from(bytes.varint()?).map_err(|_| "it claims to be too long")
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

fn unzigzag(code: u64) -> i64 {
    (code >> 1).cast_signed() ^ -(code & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let sample = prop_oneof![
            any::<[u32; COLUMNS]>().prop_map(|codes| std::array::from_fn(|at| codes[at].min(GREATEST[at]))),
            Just([7, 700, 2, 1]),
        ];
        let row = (prop_oneof![any::<u64>(), 0_u64..9], any::<i64>(), 0_u32..64, sample);
        prop::collection::vec(row, 0..200).prop_map(|rows| {
            let row = |(process, pid, round, codes): (u64, i64, u32, [u32; COLUMNS])| Row {
                process,
                pid: if process < 9 { 5 } else { pid },
                round,
                sample: Sample(codes),
            };
            let mut rows: Vec<_> = rows.into_iter().map(row).collect();
            rows.sort_by_key(|row| (row.process, row.round));
            rows.dedup_by_key(|row| (row.process, row.round));
            rows
        })
    }

    proptest! {
        #[test]
        fn what_is_written_comes_back(rows in rows()) {
            let page = Writer::new().page(&rows);
            prop_assert_eq!(Page::open(&page).unwrap().rows(64).unwrap(), rows);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, rows in rows(), at: prop::sample::Index, bit in 0..8) {
            let _rows_or_why = Page::open(&bytes).and_then(|page| page.rows(64));
            let mut page = Writer::new().page(&rows);
            let at = at.index(page.len());
            page[at] ^= 1_u8 << bit;
            let _rows_or_why = Page::open(&page).and_then(|page| page.rows(64));
        }

        #[test]
        fn zigzag_comes_back(number: i64) {
            prop_assert_eq!(unzigzag(zigzag(number)), number);
        }
    }
}
