//! The versions of processes, wherever they lie: in blocks that were just written, or in sealed segments.
//!
//! A part that is damaged is set aside, the others answer, and the answer is marked.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray, UInt32Array};
use arrow_schema::DataType;
use arrow_select::take::take_record_batch;
use daemoneye_dsl::tables::{schema_of, version_columns};
use daemoneye_dsl::types::{Timestamp, Value};
use redb::ReadableTable;

use crate::error::Error;
use crate::keys::ProcKey;
use crate::numbering::Numbering;
use crate::reader::{Probe, Question};
use crate::samples;
use crate::segment::{self, ChunkTable, Fault, Reading, Segment, Spans, rounded};
use crate::tables::{
    BLOCKS, ENDINGS, HISTORY, LAST_SEEN_AT, LIVE, MOMENT, Row, SEEN_FROM, SEEN_TO, SEGMENTS, Tables, block_schema,
};
use crate::view::Contents;
use crate::{absent, block, filter};

/// Where versions with consecutive numbers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Block(Row),
    Segment(Row),
}

impl Part {
    /// The number of its first row.
    pub(crate) fn first(self) -> Row {
        let (Self::Block(first) | Self::Segment(first)) = self;
        first
    }

    /// What the log and errors call it.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Block(first) => block::name(first),
            Self::Segment(first) => format!("segment {first} of {HISTORY}"),
        }
    }
}

/// A part and the number behind that of its last row, if it says one: reading it proves that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) part: Part,
    pub(crate) end: Option<Row>,
}

/// All parts, in the order of their rows.
pub(crate) fn extents(txn: &impl Tables) -> Result<Vec<Extent>, Error> {
    let mut parts = segments(&txn.table(SEGMENTS)?)?;
    for entry in txn.table(BLOCKS)?.iter()? {
        let (first, sealed) = entry?;
        let first = first.value();
        let end = block::rows(sealed.value()).and_then(|rows| first.checked_add(rows.into()));
        parts.push(Extent { part: Part::Block(first), end });
    }
    parts.sort_unstable_by_key(|extent| extent.part.first());
    Ok(parts)
}

/// All parts, in the order of their rows.
pub(crate) fn parts(txn: &impl Tables) -> Result<Vec<Part>, Error> {
    Ok(extents(txn)?.into_iter().map(|extent| extent.part).collect())
}

/// The segments, found by going from the header of one to that of the next.
fn segments(table: &impl ChunkTable) -> Result<Vec<Extent>, Error> {
    let mut parts = Vec::new();
    let mut from = 0;
    while let Some(entry) = table.range((from, 0)..)?.next() {
        let (key, chunk) = entry?;
        let (first, number) = key.value();
        let end = if number == 0 { segment::claimed_end(chunk.value()) } else { None };
        parts.push(Extent { part: Part::Segment(first), end });
        let Some(next) = first.checked_add(1) else { break };
        from = next;
    }
    Ok(parts)
}

/// The part that has a row, if any has.
fn part_of(txn: &impl Tables, row: Row) -> Result<Option<Part>, Error> {
    let (blocks, chunks) = (txn.table(BLOCKS)?, txn.table(SEGMENTS)?);
    let block = blocks.range(..=row)?.next_back().transpose()?.map(|(first, _)| first.value());
    let segment = chunks.range(..=(row, u32::MAX))?.next_back().transpose()?.map(|(key, _)| key.value().0);
    Ok(match (block, segment) {
        (Some(block), segment) if segment.is_none_or(|segment| segment < block) => Some(Part::Block(block)),
        (_, Some(segment)) => Some(Part::Segment(segment)),
        (_, None) => None,
    })
}

/// Opens a segment.
pub(crate) fn open<T: ChunkTable>(table: &T, first: Row) -> Result<Reading<'_, T>, Fault> {
    let header = table.get((first, 0))?.ok_or_else(|| Fault::from("its header is missing"))?;
    let segment = Segment::open(first, header.value())?;
    Ok(Reading::new(table, segment))
}

/// Reads a block.
pub(crate) fn block(table: &impl BlockTable, first: Row) -> Result<RecordBatch, Fault> {
    Ok(columns_of_block(table, first, |_| true)?.0)
}

/// Reads the columns of a block whose names are wanted; gives the bytes of the whole block too.
pub(crate) fn columns_of_block(
    table: &impl BlockTable,
    first: Row,
    wanted: impl Fn(&str) -> bool,
) -> Result<(RecordBatch, u64), Fault> {
    let sealed = table.get(first)?.ok_or_else(|| Fault::from("it is missing"))?;
    let schema = block_schema();
    let columns = schema.fields().iter().enumerate().filter(|(_, field)| wanted(field.name()));
    let columns: Vec<usize> = columns.map(|(at, _)| at).collect();
    let rows = block::decode(first, sealed.value(), &columns).map_err(Fault::Damaged)?;
    Ok((rows, sealed.value().len() as u64))
}

/// Whether rows of a block may meet a probe of each group, as far as its keys tell; how many rows it has, and the bytes
/// that were read.
pub(crate) fn block_may_have(
    table: &impl BlockTable,
    first: Row,
    required: &[Vec<(&str, &Question)>],
) -> Result<(bool, u32, u64), Fault> {
    let block = table.get(first)?.ok_or_else(|| Fault::from("it is missing"))?;
    let keys = block::keys(first, block.value()).map_err(Fault::Damaged)?;
    let rows = filter::rows(keys).ok_or_else(|| Fault::from("its keys are too short"))?;
    let is_met = |(column, question): &(&str, &Question)| filter::may_have(keys, column, question);
    Ok((required.iter().all(|group| group.iter().any(is_met)), rows, keys.len() as u64))
}

/// The blocks.
pub(crate) trait BlockTable: ReadableTable<Row, &'static [u8]> {}

impl<T: ReadableTable<Row, &'static [u8]>> BlockTable for T {}

/// Which rows a block has.
pub(crate) fn block_numbering(first: Row, block: &RecordBatch) -> Result<Numbering, Fault> {
    let rows = u32::try_from(block.num_rows()).map_err(|_| Fault::from("it has too many rows"))?;
    Ok(Numbering::Consecutive { first, rows })
}

/// Rows of one part as a block has them, or what is wrong with it.
fn rows_of(txn: &impl Tables, part: Part, rows: &[Row]) -> Result<Result<RecordBatch, String>, Error> {
    let places = |numbering: &Numbering| -> Result<Vec<u32>, Fault> {
        rows.iter().map(|row| numbering.place(*row).ok_or_else(|| "a row is missing".into())).collect()
    };
    let read = || match part {
        Part::Block(first) => {
            let all = block(&txn.table(BLOCKS)?, first)?;
            let places = places(&block_numbering(first, &all)?)?;
            Ok(take_record_batch(&all, &UInt32Array::from(places)).map_err(Error::from)?)
        }
        Part::Segment(first) => {
            let chunks = txn.table(SEGMENTS)?;
            let mut segment = open(&chunks, first)?;
            let spans = Spans::of(places(&Numbering::of(first, &mut segment)?)?);
            let schema = block_schema();
            let column = |field: &Arc<arrow_schema::Field>| segment.read(field.name(), field.data_type(), &spans);
            let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>, Fault>>()?;
            RecordBatch::try_new(schema, columns).map_err(|error| Fault::Damaged(error.to_string()))
        }
    };
    settled(read())
}

/// Tells damage, which is reported, from a failure of the storage, which ends the question.
fn settled<T>(read: Result<T, Fault>) -> Result<Result<T, String>, Error> {
    match read {
        Ok(read) => Ok(Ok(read)),
        Err(Fault::Damaged(why)) => Ok(Err(why)),
        Err(Fault::Storage(error)) => Err(error),
    }
}

/// Versions of one part, by ascending row, each with whose it must be; or what is wrong.
pub(crate) fn versions(
    txn: &impl Tables,
    part: Part,
    wanted: &[(Row, ProcKey)],
) -> Result<Result<RecordBatch, String>, Error> {
    let rows: Vec<Row> = wanted.iter().map(|(row, _)| *row).collect();
    Ok(rows_of(txn, part, &rows)?.and_then(|versions| {
        let ids = versions.column_by_name("proc_id").expect("a version has an id").as_string::<i32>();
        let is_lie = |(at, (_, key)): &(usize, &(Row, ProcKey))| ProcKey::parse(ids.value(*at)) != Some(*key);
        match wanted.iter().enumerate().find(is_lie) {
            Some((_, (row, key))) => Err(format!("row {row} is not process {key}")),
            None => Ok(version_part(&versions)),
        }
    }))
}

/// One version, or what is wrong with the part that it is in, whose name comes first.
pub(crate) fn version(txn: &impl Tables, key: ProcKey, row: Row) -> Result<Result<RecordBatch, String>, Error> {
    let Some(part) = part_of(txn, row)? else { return Ok(Err(format!("row {row} of {HISTORY}: it is missing"))) };
    let version = versions(txn, part, &[(row, key)])?;
    Ok(version.map_err(|why| format!("{}: {why}", part.name())))
}

/// The columns that make a version, of rows of a block.
fn version_part(rows: &RecordBatch) -> RecordBatch {
    let columns: Vec<_> = (0..schema_of(&version_columns()).fields().len()).collect();
    rows.project(&columns).expect("a stored version starts with the version's columns")
}

/// The number of the last version of a process, alive or gone.
pub(crate) fn last_row(txn: &impl Tables, key: ProcKey) -> Result<Option<Row>, Error> {
    if let Some(row) = txn.table(LIVE)?.get(key.0)? {
        return Ok(Some(row.value()));
    }
    let question = Question::Equal(Value::Text(key.to_string()));
    let mut damaged = None;
    let extents = extents(txn)?;
    for part in extents.iter().rev().map(|extent| extent.part) {
        let read = || match part {
            Part::Block(first) => {
                let blocks = txn.table(BLOCKS)?;
                if !block_may_have(&blocks, first, &[vec![("proc_id", &question)]])?.0 {
                    return Ok(None);
                }
                let (rows, _) = columns_of_block(&blocks, first, |name| name == "proc_id")?;
                let ids = rows.column_by_name("proc_id").expect("a version has an id").as_string::<i32>();
                let is_it = |id: Option<&str>| id.and_then(ProcKey::parse) == Some(key);
                Ok(ids.iter().rposition(is_it).map(|at| first.saturating_add(at as Row)))
            }
            Part::Segment(first) => {
                let chunks = txn.table(SEGMENTS)?;
                let mut segment = open(&chunks, first)?;
                let among = match segment.probe("proc_id", &question)? {
                    Some(rows) => rows,
                    None => Spans::all(segment.segment().rows()),
                };
                let ids = segment.read("proc_id", &DataType::Utf8, &among)?;
                let ids = among.iter().zip(ids.as_string::<i32>());
                let found = ids.filter(|(_, id)| id.and_then(ProcKey::parse) == Some(key)).last();
                let row = |(at, _)| Ok::<_, Fault>(Numbering::of(first, &mut segment)?.row(at));
                found.map(row).transpose()
            }
        };
        match settled(read())? {
            Ok(Some(row)) => return Ok(Some(row)),
            Ok(None) => {}
            Err(why) => damaged = damaged.or(Some(format!("{}: {why}", part.name()))),
        }
    }
    if damaged.is_none() {
        damaged = absent::among(txn, &extents)?.first().map(|rows| format!("{}: {}", absent::name(rows), absent::WHY));
    }
    match damaged {
        // It may be in there.
        Some(why) => Err(Error::Damaged(why)),
        None => Ok(None),
    }
}

/// When versions of a part ended, by their place in it, as far as that was noted outside the part.
pub(crate) struct Endings(Vec<(u32, i64, Option<i64>)>);

impl Endings {
    /// Of the part with these rows.
    pub(crate) fn of(
        table: &impl ReadableTable<Row, (i64, Option<i64>)>,
        numbering: &Numbering,
    ) -> Result<Self, Error> {
        let endings = table.range(numbering.range())?.filter_map(|entry| match entry {
            Ok((row, ending)) => {
                let (seen_to, last_seen_at) = ending.value();
                Some(Ok((numbering.place(row.value())?, seen_to, last_seen_at)))
            }
            Err(error) => Some(Err(error.into())),
        });
        endings.collect::<Result<_, Error>>().map(Self)
    }

    /// The places of which these say that a column meets a probe; of a question that they do not know, all.
    fn meeting(&self, name: &str, question: &Question) -> Spans {
        let meets = |value: Option<i64>| match (question, value) {
            (Question::Null, value) => value.is_none(),
            (_, None) => false,
            (Question::AtLeast(bound), Some(value)) => rounded(value) >= *bound,
            (Question::AtMost(bound), Some(value)) => rounded(value) <= *bound,
            (Question::Equal(Value::Timestamp(wanted)), Some(value)) => value == *wanted,
            _ => true,
        };
        let met = self
            .0
            .iter()
            .filter(|(_, seen_to, last_seen_at)| meets(if name == SEEN_TO { Some(*seen_to) } else { *last_seen_at }));
        let mut places = Spans::default();
        met.for_each(|(place, _, _)| places.add(*place..place + 1));
        places
    }

    /// Of a part for which nobody asks when versions ended.
    pub(crate) fn unasked() -> Self {
        Self(vec![])
    }

    /// How many ended as these say.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether a column is one that endings fill.
    pub(crate) fn fill(name: &str) -> bool {
        matches!(name, SEEN_TO | LAST_SEEN_AT)
    }

    /// What a column is for some rows, given what the part itself says of it.
    pub(crate) fn over(&self, name: &str, stored: ArrayRef, rows: &Spans) -> ArrayRef {
        if self.0.is_empty() {
            return stored;
        }
        let stored = stored.as_primitive::<TimestampMicrosecondType>();
        let mut endings = self.0.iter().peekable();
        let moment = |(place, stored): (u32, Option<i64>)| {
            while endings.next_if(|(at, _, _)| *at < place).is_some() {}
            match endings.next_if(|(at, _, _)| *at == place) {
                Some((_, seen_to, _)) if name == SEEN_TO => Some(*seen_to),
                Some((_, _, last_seen_at)) => *last_seen_at,
                None => stored,
            }
        };
        Arc::new(rows.iter().zip(stored).map(moment).collect::<TimestampMicrosecondArray>())
    }

    /// A column of a block, which says nothing of endings itself.
    pub(crate) fn column(&self, name: &str, rows: u32) -> ArrayRef {
        self.over(name, arrow_array::new_null_array(&MOMENT, rows as usize), &Spans::all(rows))
    }
}

/// The rows that a probe of each group may be met by, as far as a segment's indexes tell, and the columns whose indexes
/// were asked. What `endings` say of a row goes before what the segment says.
///
/// What the header says leaves fewest rows is asked first; once few are left, reading them costs less than asking on.
pub(crate) fn probed<'a, T: ChunkTable>(
    segment: &mut Reading<'_, T>,
    required: &[Vec<(&'a str, &Question)>],
    endings: &Endings,
) -> Result<(Spans, Vec<&'a str>), Fault> {
    let mut rows = Spans::all(segment.segment().rows());
    let mut asked = Vec::new();
    let mut groups: Vec<_> = required
        .iter()
        .map(|group| (group.iter().map(|(name, question)| segment.estimate(name, question)).sum::<f64>(), group))
        .collect();
    groups.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    'groups: for (_, group) in groups {
        let mut any = Spans::default();
        for (name, question) in group {
            asked.push(*name);
            if Endings::fill(name) {
                any = any.or(&endings.meeting(name, question));
                // Only what had not ended is NULL in the segment, and these ended all.
                let nulls = segment.segment().rows() - segment.segment().present(name);
                if *name == SEEN_TO && *question == &Question::Null && endings.0.len() >= nulls as usize {
                    continue;
                }
            }
            let Some(found) = segment.probe(name, question)? else { continue 'groups };
            any = any.or(&found);
        }
        if let [(name, _)] = group.as_slice() {
            segment.only_found(name);
        }
        rows = rows.and(&any);
        if rows.len() <= FEW_ROWS {
            break;
        }
    }
    Ok((rows, asked))
}

/// Rows of a segment that are sooner read than looked for in another index.
const FEW_ROWS: usize = 16;

/// Of some rows, those for which a test of their values is true.
pub(crate) fn passing(passed: &BooleanArray, rows: &Spans) -> Spans {
    if passed.null_count() == 0 && passed.true_count() == passed.len() {
        return rows.clone();
    }
    let passed = rows.iter().zip(passed).filter_map(|(row, passed)| (passed == Some(true)).then_some(row));
    let mut kept = Spans::default();
    passed.for_each(|row| kept.add(row..row + 1));
    kept
}

/// The probes of a scan with the names that the parts have for the columns.
pub(crate) fn named<'a>(
    required: &'a [Vec<Probe>],
    name: impl Fn(usize) -> Option<&'a str>,
) -> Vec<Vec<(&'a str, &'a Question)>> {
    let probe = |probe: &'a Probe| Some((name(probe.column)?, &probe.question));
    required.iter().filter_map(|group| group.iter().map(probe).collect::<Option<Vec<_>>>()).collect()
}

/// [`crate::View::contents`].
pub(crate) fn contents(txn: &impl Tables) -> Result<Contents, Error> {
    let mut contents = Contents::default();
    let blocks = txn.table(BLOCKS)?;
    let chunks = txn.table(SEGMENTS)?;
    for part in parts(txn)? {
        let read = || match part {
            Part::Block(first) => {
                let (rows, bytes) = columns_of_block(&blocks, first, |name| name == SEEN_FROM)?;
                let seen = rows.column_by_name(SEEN_FROM).expect("a stored column");
                let oldest = seen.as_primitive::<TimestampMicrosecondType>().iter().flatten().min();
                Ok((rows.num_rows() as u64, 0, oldest, bytes))
            }
            Part::Segment(first) => {
                let reading = open(&chunks, first)?;
                let segment = reading.segment();
                let oldest = segment.range(SEEN_FROM).0.map(|(least, _)| least);
                let bytes = segment.bytes();
                Ok((u64::from(segment.rows()), u64::from(segment.present(LAST_SEEN_AT)), oldest, bytes))
            }
        };
        let Ok((rows, exits, oldest, bytes)) = settled(read())? else {
            contents.damaged += 1;
            continue;
        };
        match part {
            Part::Block(_) => {
                contents.blocks += 1;
                contents.block_bytes += bytes;
            }
            Part::Segment(_) => {
                contents.segments += 1;
                contents.sealed += rows;
                contents.segment_bytes += bytes;
            }
        }
        contents.versions += rows;
        contents.exits += exits;
        let older = oldest.map(Timestamp).into_iter().chain(contents.oldest).min();
        contents.oldest = older;
    }
    for entry in txn.table(ENDINGS)?.iter()? {
        let (_, last_seen_at) = entry?.1.value();
        contents.exits += u64::from(last_seen_at.is_some());
    }
    samples::contents(txn, &mut contents)?;
    Ok(contents)
}
