//! Sealing: many blocks become a segment, several segments one. Nothing is lost or seen twice whenever it stops.
//!
//! Rows keep their numbers, so that a segment takes the place of the parts it is made of. Reading and encoding need no
//! transaction that writes; the exchange does, and is short. An ending that is noted meanwhile stays where it is noted.

use std::ops::Range;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::Field;
use arrow_select::concat::concat;
use redb::{ReadTransaction, ReadableTable, WriteTransaction};

use crate::history::{self, Endings, Part};
use crate::numbering::{self, Numbering};
use crate::retention::{self, Dropped};
use crate::scan::quarantine;
use crate::segment::{self, Fault, SEGMENT_ROWS_MAX, Spans};
use crate::tables::{BLOCKS, ENDINGS, META, NEXT_ROW_KEY, ROW, Row, SEGMENTS, Tables, segment_fields};
use crate::{Error, block};

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
    /// Bytes that a column of a segment of several parts may have: it is made of whole columns in memory.
    pub(crate) len: u64,
}

impl Bounds {
    /// Those of a store that runs. Tests have smaller ones.
    pub(crate) const USUAL: Self =
        Self { due_rows: 8 << 10, due_blocks: 64, merged: 4, tier_rows: 8 << 10, stretches: 8, len: 64 << 20 };
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
    first: Row,
    rows: u32,
    /// None where no row is left.
    chunks: Vec<Vec<u8>>,
    endings: Vec<(Row, Ending)>,
    /// What retention left out.
    pub(crate) dropped: Option<Dropped>,
}

impl Draft {
    /// Bytes of the new segment.
    pub(crate) fn bytes(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.len() as u64).sum()
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
        let merged = to_merge(&parts, bounds);
        let chosen = merged.or_else(|| if due { run(&parts, Sized::is_block, 1, bounds) } else { None });
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
    /// Nothing that is damaged lies between it and the one before. (Rows that retention took out may.)
    adjacent: bool,
}

impl Sized {
    fn is_block(&self) -> bool {
        matches!(self.part, Part::Block(_))
    }
}

/// The parts as far as can be told without reading their rows: a block ends where the next block begins.
fn sized(txn: &ReadTransaction) -> Result<Vec<Sized>, Error> {
    let (blocks, chunks) = (txn.table(BLOCKS)?, txn.table(SEGMENTS)?);
    let next = txn.table(META)?.get(NEXT_ROW_KEY)?.map_or(1, |row| row.value());
    let parts = history::parts(txn)?;
    let nexts = parts.iter().skip(1).map(Some).chain([None]);
    let mut sized: Vec<Sized> = Vec::with_capacity(parts.len());
    let mut adjacent = false;
    for (part, after) in parts.iter().zip(nexts) {
        let len = match part {
            Part::Block(first) => blocks.get(*first)?.map_or(0, |sealed| block::decoded_len(sealed.value())),
            Part::Segment(_) => 0,
        };
        let size =
            match (part, after) {
                // Retention may have taken out what began where it ends.
                (Part::Block(first), Some(Part::Segment(_))) => history::block(&blocks, *first)
                    .map(|block| (u32::try_from(block.num_rows()).unwrap_or(u32::MAX), len)),
                (Part::Block(first), after) => {
                    let end = after.map_or(next, |after| after.first());
                    Ok((u32::try_from(end.saturating_sub(*first)).unwrap_or(u32::MAX), len))
                }
                (Part::Segment(first), _) => history::open(&chunks, *first)
                    .map(|segment| (segment.segment().rows(), segment.segment().longest())),
            };
        match size {
            Ok((rows, len)) => {
                sized.push(Sized { part: *part, rows, len, adjacent });
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
    smaller.or_else(|| {
        let following = parts.iter().rev().filter(|part| !part.is_block()).take(bounds.merged).count();
        let settled = parts.iter().rposition(|part| !part.is_block())? + 1;
        let settled = &parts[..settled.saturating_sub(following)];
        run(settled, |part| !part.is_block() && part.rows <= SEGMENT_ROWS_MAX / 2, bounds.merged, bounds)
    })
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
    let range = sources[0].numbering.range().start..sources[sources.len() - 1].numbering.range().end;
    let endings = endings(txn, range).map_err(of_all)?;
    let numbers: Vec<Row> =
        sources.iter().flat_map(|source| source.kept.iter().map(|place| source.numbering.row(place))).collect();
    let rows = u32::try_from(numbers.len()).expect("a segment's rows are bounded");
    let Some(first) = numbers.first().copied() else {
        return Ok(Draft { first: parts[0].first(), parts, rows, chunks: vec![], endings, dropped: None });
    };
    let fields = segment_fields();
    let chunks = segment::write(first, rows, &fields, &mut |at| {
        let field = &fields[at].0;
        if field.name() == ROW {
            return Ok(numbering::column(&numbers));
        }
        let column =
            |(at, source): (usize, &mut Source<'_, ReadTransaction>)| source.column(field).map_err(|fault| (at, fault));
        let columns = sources.iter_mut().enumerate().map(column).collect::<Result<Vec<_>, _>>()?;
        let columns: Vec<_> = columns.iter().map(AsRef::as_ref).collect();
        concat(&columns).map_err(|error| of_all(error.into()))
    })?;
    Ok(Draft { parts, first, rows, chunks, endings, dropped: None })
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
    pub(crate) numbering: Numbering,
    /// The places of the rows that go into it.
    pub(crate) kept: Spans,
    endings: Endings,
    data: Data<'t, T>,
}

enum Data<'t, T: Tables + 't> {
    Block(RecordBatch),
    Segment(T::Table<'t, (Row, u32), &'static [u8]>),
}

impl<'t, T: Tables> Source<'t, T> {
    /// Opens a part, of which everything is kept.
    pub(crate) fn open(txn: &'t T, part: Part) -> Result<Self, Fault> {
        let (data, numbering, rows) = match part {
            Part::Block(first) => {
                let stored = history::block(&txn.table(BLOCKS)?, first)?;
                let numbering = history::block_numbering(first, &stored)?;
                let rows = stored.num_rows();
                (Data::Block(stored), numbering, u32::try_from(rows).expect("as it was numbered"))
            }
            Part::Segment(first) => {
                let chunks = txn.table(SEGMENTS)?;
                let mut segment = history::open(&chunks, first)?;
                let numbering = Numbering::of(first, &mut segment)?;
                let rows = segment.segment().rows();
                (Data::Segment(chunks), numbering, rows)
            }
        };
        let endings = Endings::of(&txn.table(ENDINGS)?, &numbering)?;
        Ok(Self { part, numbering, kept: Spans::all(rows), endings, data })
    }

    /// How many ended after they were sealed, or are in a block.
    pub(crate) fn late_endings(&self) -> usize {
        self.endings.len()
    }

    /// A column of the rows that are kept.
    pub(crate) fn column(&mut self, field: &Field) -> Result<ArrayRef, Fault> {
        let stored = match &self.data {
            Data::Block(rows) => match rows.column_by_name(field.name()) {
                Some(column) => return Ok(column.clone()),
                None => arrow_array::new_null_array(field.data_type(), rows.num_rows()),
            },
            Data::Segment(chunks) => {
                history::open(chunks, self.part.first())?.read(field.name(), field.data_type(), &self.kept)?
            }
        };
        Ok(if Endings::fill(field.name()) { self.endings.over(field.name(), stored, &self.kept) } else { stored })
    }
}

/// Puts the segment in the place of what it is made of.
pub(crate) fn exchange(txn: &WriteTransaction, draft: Draft) -> Result<Sealed, Error> {
    let mut blocks = txn.open_table(BLOCKS)?;
    let mut segments = txn.open_table(SEGMENTS)?;
    let mut endings = txn.open_table(ENDINGS)?;
    for part in &draft.parts {
        match part {
            Part::Block(first) => drop(blocks.remove(first)?),
            Part::Segment(first) => segments.retain_in((*first, 0)..=(*first, u32::MAX), |_, _| false)?,
        }
    }
    let mut bytes = 0;
    for (number, chunk) in (0..).zip(&draft.chunks) {
        bytes += chunk.len() as u64;
        segments.insert((draft.first, number), chunk.as_slice())?;
    }
    for (row, ending) in draft.endings {
        // One that was noted since, in its place, is not in the segment.
        let known = endings.get(row)?.map(|known| known.value());
        if known == Some(ending) {
            endings.remove(row)?;
        }
    }
    if let Some(dropped) = &draft.dropped {
        retention::note(txn, dropped)?;
    }
    Ok(Sealed { rows: draft.rows, bytes, parts: draft.parts.len() })
}
