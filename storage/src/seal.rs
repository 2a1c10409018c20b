//! Sealing: many blocks become a segment, several segments one. Nothing is lost or seen twice whenever it stops.
//!
//! Rows keep their numbers, so that a segment takes the place of the parts it is made of. Reading and encoding need no
//! transaction that writes; the exchange does, and is short. An ending that is noted meanwhile stays where it is noted.

use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Field;
use arrow_select::concat::concat;
use daemoneye_dsl::ipc::DECODED_LEN_MAX;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, WriteTransaction};

use crate::history::{self, Endings, Extent, Part};
use crate::numbering::{self, Numbering};
use crate::retention::{self, Dropped};
use crate::scan::quarantine;
use crate::segment::{self, Edition, Fault, SEGMENT_ROWS_MAX, Spans};
use crate::tables::{BLOCKS, ENDINGS, ROW, Row, SEGMENTS, Tables, segment_fields};
use crate::{Error, absent, block, unreadable};

/// Endings that are noted beside settled segments, one for so many of their rows, from which on the segment with most
/// of them takes them in.
const ROWS_AN_ENDING: u64 = 64;

/// When there is enough to seal, and how much goes into one segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Rows in blocks from which on they are sealed.
    pub(crate) due_rows: u64,
    /// Blocks from which on they are sealed, however few rows they have.
    pub(crate) due_blocks: usize,
    /// Segments that become one.
    pub(crate) merged: usize,
    /// Rows of the smallest segments that are told from larger ones.
    pub(crate) tier_rows: u32,
    /// Stretches of samples that become one.
    pub(crate) stretches: usize,
    /// Bytes that a column of a segment of several parts may have, or all columns of blocks: it is made of whole columns
    /// in memory, and blocks are in memory whole.
    pub(crate) len: u64,
}

impl Bounds {
    /// Those of a store that runs. Tests have smaller ones.
    pub(crate) const USUAL: Self =
        Self { due_rows: 8 << 10, due_blocks: 64, merged: 4, tier_rows: 8 << 10, stretches: 8, len: 12 << 20 };
}

/// What one step of sealing did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Rows of the new segment.
    pub rows: u32,
    /// Its bytes.
    pub bytes: u64,
    /// Blocks or segments that it is made of.
    pub parts: usize,
}

/// When a version ended and, of an exit, when it was seen last.
type Ending = (i64, Option<i64>);

/// A segment that is to take the place of parts.
pub(crate) struct Draft {
    parts: Vec<Part>,
    /// The rows that they had, and those that are left.
    before: Range<Row>,
    after: Range<Row>,
    rows: u32,
    /// None where no row is left.
    chunks: Vec<Vec<u8>>,
    endings: Vec<(Row, Ending)>,
    /// What retention left out.
    pub(crate) dropped: Option<Dropped>,
}

impl Draft {
    /// Nothing in the place of a part with these rows.
    pub(crate) fn without(
        txn: &ReadTransaction,
        part: Part,
        rows: Range<Row>,
        dropped: Dropped,
    ) -> Result<Self, Error> {
        let (endings, after) = (endings(txn, rows.clone())?, rows.start..rows.start);
        Ok(Self { parts: vec![part], before: rows, after, rows: 0, chunks: vec![], endings, dropped: Some(dropped) })
    }

    /// Bytes that the new segment takes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| segment::in_file(chunk.len())).sum()
    }
}

/// The segment that should be made next; nothing if there is no need.
pub(crate) fn draft(txn: &ReadTransaction, bounds: &Bounds, all: bool) -> Result<Option<Draft>, Error> {
    let mut parts = sized(txn)?;
    loop {
        let blocks = || parts.iter().filter(|part| part.is_block());
        let rows: u64 = blocks().map(|part| u64::from(part.rows)).sum();
        let due = rows >= bounds.due_rows || blocks().count() >= bounds.due_blocks || all;
        // Segments first: blocks come all the time, and would leave no time for them.
        let again = match to_merge(&parts, bounds) {
            None => to_complete(txn, &parts, bounds)?,
            merged => merged,
        };
        let chosen = again.or_else(|| if due { run(&parts, Sized::is_block, 1, bounds) } else { None });
        let Some(chosen) = chosen else { return Ok(None) };
        match make(txn, &parts[chosen.clone()]) {
            Ok(draft) => return Ok(Some(draft)),
            Err((at, Fault::Damaged(why))) => {
                // It stays where it is, for whoever can mend it.
                let damaged = parts.remove(chosen.start + at);
                quarantine(&damaged.part.name(), &why);
                if let Some(next) = parts.get_mut(chosen.start + at) {
                    next.adjacent = false;
                }
            }
            Err((_, Fault::Storage(error))) => return Err(error),
        }
    }
}

/// A part and its rows.
struct Sized {
    part: Part,
    rows: u32,
    /// Bytes of its longest column, or more.
    len: u64,
    /// Nothing that is damaged or missing lies between it and the one before. (Rows that retention took out may.)
    adjacent: bool,
}

impl Sized {
    fn is_block(&self) -> bool {
        matches!(self.part, Part::Block(_))
    }
}

/// The parts as far as can be told without reading their rows.
fn sized(txn: &ReadTransaction) -> Result<Vec<Sized>, Error> {
    let (blocks, chunks) = (txn.table(BLOCKS)?, txn.table(SEGMENTS)?);
    let parts = history::extents(txn)?;
    let missing = absent::among(txn, &parts)?;
    let mut sized: Vec<Sized> = Vec::with_capacity(parts.len());
    let (mut before, mut adjacent) = (0, false);
    for Extent { part, end } in parts {
        adjacent &= !missing.iter().any(|rows| (before..part.first()).contains(&rows.start));
        before = part.first();
        let size = match part {
            Part::Block(first) => {
                let len = blocks.get(first)?.map_or(0, |sealed| block::decoded_len(sealed.value()));
                let rows = end.and_then(|end| u32::try_from(end.checked_sub(first)?).ok());
                rows.map(|rows| (rows, len)).ok_or_else(|| "it does not say how many rows it has".into())
            }
            Part::Segment(first) => {
                history::open(&chunks, first).map(|segment| (segment.segment().rows(), segment.segment().longest()))
            }
        };
        match size {
            Ok((rows, len)) => {
                sized.push(Sized { part, rows, len, adjacent });
                adjacent = true;
            }
            Err(Fault::Storage(error)) => return Err(error),
            Err(Fault::Damaged(why)) => {
                quarantine(&part.name(), &why);
                adjacent = false;
            }
        }
    }
    Ok(sized)
}

/// The first adjacent parts of which all are so that fit into a segment: at least `least`, or two if more do not fit.
fn run(parts: &[Sized], wanted: impl Fn(&Sized) -> bool, least: usize, bounds: &Bounds) -> Option<Range<usize>> {
    let mut from = 0;
    while from < parts.len() {
        if !wanted(&parts[from]) || parts[from].rows > SEGMENT_ROWS_MAX {
            from += 1;
            continue;
        }
        let follows = |to: usize| parts.get(to).filter(|part| part.adjacent && wanted(part));
        let (mut rows, mut len) = (parts[from].rows, parts[from].len);
        let mut to = from + 1;
        while let Some(part) = follows(to) {
            len = len.saturating_add(part.len);
            if part.rows > SEGMENT_ROWS_MAX - rows || len > bounds.len {
                break;
            }
            rows += part.rows;
            to += 1;
        }
        let full = follows(to).is_some();
        if to - from >= least || full && to - from > 1 {
            return Some(from..to);
        }
        from = to;
    }
    None
}

/// Segments of about one size; larger ones are left alone until there are enough of them, so that a row is written
/// again only a few times. The largest wait until others follow: most of what they have has ended by then, and an ending
/// that is in the segment need not be looked for beside it.
fn to_merge(parts: &[Sized], bounds: &Bounds) -> Option<Range<usize>> {
    let tier = |rows: u32| (rows / bounds.tier_rows).checked_ilog2().map_or(0, |log| log / 2 + 1);
    let last = tier(SEGMENT_ROWS_MAX / 2);
    let smaller = (0..last)
        .find_map(|most| run(parts, |part| !part.is_block() && tier(part.rows) <= most, bounds.merged, bounds));
    let settled = &parts[..settled(parts, bounds)];
    smaller
        .or_else(|| run(settled, |part| !part.is_block() && part.rows <= SEGMENT_ROWS_MAX / 2, bounds.merged, bounds))
}

/// How many parts come before the last segments.
fn settled(parts: &[Sized], bounds: &Bounds) -> usize {
    let mut segments = parts.iter().enumerate().filter(|(_, part)| !part.is_block()).map(|(at, _)| at);
    segments.nth_back(bounds.merged - 1).unwrap_or(0)
}

/// The settled segment beside which most endings are noted, if there are many: each question about a moment reads them.
fn to_complete(txn: &ReadTransaction, parts: &[Sized], bounds: &Bounds) -> Result<Option<Range<usize>>, Error> {
    let endings = txn.table(ENDINGS)?;
    let rows = |parts: &[Sized]| parts.iter().map(|part| u64::from(part.rows)).sum::<u64>();
    let (settled, others) = parts.split_at(settled(parts, bounds));
    if endings.len()? <= rows(others) + rows(settled) / ROWS_AN_ENDING {
        return Ok(None);
    }
    // So many more than all others can have that some segment has its share.
    let mut most = None;
    for (at, part) in settled.iter().enumerate().filter(|(_, part)| !part.is_block()) {
        let to = parts.get(at + 1).map_or(Row::MAX, |next| next.part.first());
        let late = endings.range(part.part.first()..to)?.count() as u64;
        if late > u64::from(part.rows) / ROWS_AN_ENDING {
            most = most.max(Some((late, at)));
        }
    }
    Ok(most.map(|(_, at)| at..at + 1))
}

/// Makes a segment of parts, reading a column at a time; on a fault, which part has it.
fn make(txn: &ReadTransaction, parts: &[Sized]) -> Result<Draft, (usize, Fault)> {
    let open = |(at, part): (usize, &Sized)| {
        let source = Source::open(txn, part.part).map_err(|fault| (at, fault))?;
        if source.kept.len() != part.rows as usize {
            return Err((at, "its rows are not as many as there should be".into()));
        }
        Ok(source)
    };
    make_of(txn, parts.iter().enumerate().map(open).collect::<Result<Vec<_>, _>>()?)
}

/// Makes a segment of what is kept of some parts.
pub(crate) fn make_of(
    txn: &ReadTransaction,
    mut sources: Vec<Source<'_, ReadTransaction>>,
) -> Result<Draft, (usize, Fault)> {
    let of_all = |error: Error| (0, Fault::Storage(error));
    let parts: Vec<Part> = sources.iter().map(|source| source.part).collect();
    let before = sources[0].numbering.range().start..sources[sources.len() - 1].numbering.range().end;
    let endings = endings(txn, before.clone()).map_err(of_all)?;
    let made = sources.iter().map(|source| source.generation).max().unwrap_or(0);
    let generation = made.checked_add(1).ok_or_else(|| (0, "it claims to have been written too often".into()))?;
    let numbers: Vec<Row> =
        sources.iter().flat_map(|source| source.kept.iter().map(|place| source.numbering.row(place))).collect();
    let rows = u32::try_from(numbers.len()).expect("a segment's rows are bounded");
    let (Some(first), Some(last)) = (numbers.first().copied(), numbers.last()) else {
        let after = before.start..before.start;
        return Ok(Draft { parts, before, after, rows, chunks: vec![], endings, dropped: None });
    };
    let after = first..last.saturating_add(1);
    let fields = segment_fields();
    let mut joined = Joined { fields: &fields, numbers: &numbers, sources: &mut sources };
    let chunks = segment::write(Edition { first, generation }, after.end, rows, &fields, &mut joined)?;
    Ok(Draft { parts, before, after, rows, chunks, endings, dropped: None })
}

/// The rows that are kept of all parts, one part behind the other. A fault says which part has it.
struct Joined<'j, 't> {
    fields: &'j [(Field, bool)],
    numbers: &'j [Row],
    sources: &'j mut [Source<'t, ReadTransaction>],
}

impl segment::Rows for Joined<'_, '_> {
    type Error = (usize, Fault);

    fn column(&mut self, at: usize) -> Result<ArrayRef, Self::Error> {
        let field = &self.fields[at].0;
        if field.name() == ROW {
            return Ok(numbering::column(self.numbers));
        }
        let columns = self.sources.iter().enumerate();
        concatenated(columns.map(|(at, source)| source.column(field, &source.kept).map_err(|fault| (at, fault))))
    }

    fn texts(&mut self, at: usize, rows: Range<u32>) -> Result<ArrayRef, Self::Error> {
        let field = &self.fields[at].0;
        let mut before = 0;
        let mut columns = Vec::new();
        for (at, source) in self.sources.iter().enumerate() {
            let count = u32::try_from(source.kept.len()).expect("a segment's rows are bounded");
            let (from, to) = (rows.start.max(before), rows.end.min(before + count));
            if from < to {
                let rows = source.kept.part(&(from - before..to - before));
                columns.push(source.column(field, &rows).map_err(|fault| (at, fault)));
            }
            before += count;
        }
        concatenated(columns.into_iter())
    }

    fn unlike(&mut self, at: usize) -> Result<Option<usize>, Self::Error> {
        let name = self.fields[at].0.name();
        let mut len = 0;
        for (at, source) in self.sources.iter().enumerate() {
            match source.unlike(name).map_err(|fault| (at, fault))? {
                Some(of_part) => len += of_part,
                None => return Ok(None),
            }
        }
        Ok(Some(len))
    }
}

fn concatenated(columns: impl Iterator<Item = Result<ArrayRef, (usize, Fault)>>) -> Result<ArrayRef, (usize, Fault)> {
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    if let [column] = columns.as_slice() {
        return Ok(column.clone());
    }
    let columns: Vec<_> = columns.iter().map(AsRef::as_ref).collect();
    concat(&columns).map_err(|error| (0, Fault::Storage(error.into())))
}

/// What was noted of the ends of these rows.
fn endings(txn: &ReadTransaction, rows: Range<Row>) -> Result<Vec<(Row, Ending)>, Error> {
    let endings = txn.table(ENDINGS)?;
    let endings = endings.range(rows)?.map(|entry| {
        let (row, ending) = entry?;
        Ok((row.value(), ending.value()))
    });
    endings.collect()
}

/// A part that goes into a segment.
pub(crate) struct Source<'t, T: Tables + 't> {
    part: Part,
    /// 0 of a block.
    generation: u32,
    pub(crate) numbering: Numbering,
    /// The places of the rows that go into it.
    pub(crate) kept: Spans,
    endings: Endings,
    data: Data<'t, T>,
}

enum Data<'t, T: Tables + 't> {
    Block(RecordBatch),
    /// With the bytes of its longest column.
    Segment(T::Table<'t, (Row, u32), &'static [u8]>, usize),
}

impl<'t, T: Tables> Source<'t, T> {
    /// Opens a part, of which everything is kept.
    pub(crate) fn open(txn: &'t T, part: Part) -> Result<Self, Fault> {
        let (data, generation, numbering, rows) = match part {
            Part::Block(first) => {
                let stored = history::block(&txn.table(BLOCKS)?, first)?;
                let numbering = history::block_numbering(first, &stored)?;
                let rows = stored.num_rows();
                (Data::Block(stored), 0, numbering, u32::try_from(rows).expect("as it was numbered"))
            }
            Part::Segment(first) => {
                let chunks = txn.table(SEGMENTS)?;
                let mut segment = history::open(&chunks, first)?;
                let numbering = Numbering::of(first, &mut segment)?;
                let (generation, rows) = (segment.segment().generation(), segment.segment().rows());
                let longest = usize::try_from(segment.segment().longest()).unwrap_or(0).min(DECODED_LEN_MAX);
                (Data::Segment(chunks, longest), generation, numbering, rows)
            }
        };
        let endings = Endings::of(&txn.table(ENDINGS)?, &numbering)?;
        Ok(Self { part, generation, numbering, kept: Spans::all(rows), endings, data })
    }

    /// How many ended after they were sealed, or are in a block.
    pub(crate) fn late_endings(&self) -> usize {
        self.endings.len()
    }

    /// More bytes than the texts of a column have, if they may be unlike each other.
    fn unlike(&self, name: &str) -> Result<Option<usize>, Fault> {
        Ok(match &self.data {
            Data::Block(rows) => rows
                .column_by_name(name)
                .and_then(|column| column.as_string_opt::<i32>())
                .map(|texts| texts.value_data().len()),
            Data::Segment(chunks, longest) => {
                history::open(chunks, self.part.first())?.is_unlike(name).then_some(*longest)
            }
        })
    }

    /// A column of some rows, by their places.
    pub(crate) fn column(&self, field: &Field, rows: &Spans) -> Result<ArrayRef, Fault> {
        let stored = match &self.data {
            Data::Block(stored) => match stored.column_by_name(field.name()) {
                Some(column) if rows.len() == column.len() => column.clone(),
                Some(column) => {
                    let slices = rows.ranges().iter().map(|rows| column.slice(rows.start as usize, rows.len()));
                    let slices: Vec<_> = slices.collect();
                    let slices: Vec<_> = slices.iter().map(AsRef::as_ref).collect();
                    concat(&slices).map_err(Error::from)?
                }
                None => arrow_array::new_null_array(field.data_type(), rows.len()),
            },
            Data::Segment(chunks, _) => {
                history::open(chunks, self.part.first())?.read(field.name(), field.data_type(), rows)?
            }
        };
        Ok(if Endings::fill(field.name()) { self.endings.over(field.name(), stored, rows) } else { stored })
    }
}

/// Puts the segment in the place of what it is made of.
pub(crate) fn exchange(txn: &WriteTransaction, draft: Draft) -> Result<Sealed, Error> {
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut segments = txn.open_table(SEGMENTS)?;
    let mut endings = txn.open_table(ENDINGS)?;
    for part in &draft.parts {
        unreadable::forget(txn, *part)?;
        match part {
            Part::Block(first) => drop(blocks.remove(first)?),
            Part::Segment(first) => segments.retain_in((*first, 0)..=(*first, u32::MAX), |_, _| false)?,
        }
    }
    let mut bytes = 0;
    for (number, chunk) in (0..).zip(&draft.chunks) {
        bytes += chunk.len() as u64;
        segments.insert((draft.after.start, number), chunk.as_slice())?;
    }
    for (row, ending) in draft.endings {
        // One that was noted since, in its place, is not in the segment.
        let known = endings.get(row)?.map(|known| known.value());
        if known == Some(ending) {
            endings.remove(row)?;
        }
    }
    absent::shrink(txn, &draft.before, &draft.after)?;
    if let Some(dropped) = &draft.dropped {
        retention::note(txn, dropped)?;
    }
    Ok(Sealed { rows: draft.rows, bytes, parts: draft.parts.len() })
}
