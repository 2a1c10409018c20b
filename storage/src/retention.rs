//! What is kept, and for how long: history that ended too long ago, or is more than fits, is dropped and noted.
//!
//! A version is dropped only when it ended: the living stay, however old. A segment of which nothing is left goes whole;
//! one of which something is left is written again without the rest, under the same row numbers (`numbering.rs`), as
//! soon as that is worth it: when half of its rows are too old, or one is too old by a quarter more. So nothing stays
//! much longer than it should, and a row is written again a few times at most.
//!
//! Moments are those of the snapshots: no clock is read, an agent that was off for long drops nothing before it has seen
//! the present, and a present that is far from the last is not believed at once (`clock.rs`).
//!
//! Samples are dropped a stretch at a time (`samples/`), a day later than versions, so that the oldest moment of which there
//! are versions has its samples too; for size, whichever is older goes first.
//!
//! What may be too much is what is in use in the file, all tables together: pages that are free are used again or given
//! back, and nothing is dropped for them.
//!
//! What was dropped is noted by the moment before which it ended. History is what is kept, so a question that names no
//! moment as old as that is answered completely; one that does is not ([`Reason::HistoryDropped`]).

use std::collections::HashSet;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{Array, TimestampMicrosecondArray};
use arrow_schema::Field;
use daemoneye_dsl::audit::{Action, Actor, Fact};
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata, Table as Written, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::history::{self, Part};
use crate::reader::{Probe, Question, Scan};
use crate::samples::{self, Expired};
use crate::scan::quarantine;
use crate::seal::{self, Draft, Source};
use crate::segment::{Fault, Spans};
use crate::tables::{
    BLOCKS, DROPPED_TO_KEY, DROPS, DropNote, FIRST_ROW, HISTORY, HOLES, LAST_SNAPSHOT_KEY, META, MOMENT, NEXT_ROW_KEY,
    Row, SAMPLES, SAMPLES_DROPPED_TO_KEY, SEEN_FROM, SEEN_TO, SEGMENTS, Tables,
};
use crate::unreadable::{self, Ended, Ends};
use crate::{Error, clock, outbox, room};

/// Notes of drops that are kept; when there are more, the two oldest become one.
const DROPS_MAX: u64 = 256;
/// Of a segment, the part that must have ended before it is written again for its size.
const WORTH: usize = 8;
/// Blocks this old are sealed however few they are: only segments are dropped.
const BLOCK_AGE_MAX: i64 = 24 * 60 * 60 * MICROS_PER_SEC;

/// Samples are kept this much longer than versions: as long as a whole round holds.
const SAMPLES_LONGER: i64 = samples::WHOLE_MICROS;

/// What is to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// How long a version is kept after its end, in microseconds.
    pub age_micros: i64,
    /// Bytes of the file once what is free in it was given back ([`Room::file_len`]). Only history is dropped for it.
    pub bytes: u64,
}

/// Why something was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It ended too long ago.
    Age = 1,
    /// There was more than fits.
    Size = 2,
}

/// A kind of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// Versions of processes, with their starts and exits.
    Versions = 1,
    /// Samples.
    Samples = 2,
}

impl Kept {
    /// The table that it is the history of.
    fn name(self) -> &'static str {
        match self {
            Self::Versions => HISTORY,
            Self::Samples => samples::TABLE,
        }
    }

    /// Where the moment stands before which it is no longer whole.
    fn key(self) -> &'static str {
        match self {
            Self::Versions => DROPPED_TO_KEY,
            Self::Samples => SAMPLES_DROPPED_TO_KEY,
        }
    }
}

/// What was dropped at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// The last snapshot before whose time was believed.
    pub at: Timestamp,
    /// Of what.
    pub of: Kept,
    /// Versions or samples.
    pub rows: u64,
    /// Bytes that became free, about.
    pub bytes: u64,
    /// When the first of them was seen first.
    pub from: Timestamp,
    /// When the last of them ended.
    pub to: Timestamp,
    /// Why.
    pub cause: Cause,
}

/// What is to be done next.
pub(crate) enum Step {
    /// A part without the versions that go.
    Versions(Draft),
    /// A stretch of samples goes.
    Samples(Expired),
    /// It is to be noted that this part cannot be read: nothing else says how long it stays.
    Unreadable(Part),
}

/// What should be done next; nothing if everything may stay.
pub(crate) fn next(txn: &ReadTransaction, retention: Retention) -> Result<Option<Step>, Error> {
    let Some(now) = clock::believed(txn)? else { return Ok(None) };
    let candidates = candidates(txn)?;
    for candidate in &candidates {
        if let Some(step) = candidate.aged(txn, now, retention.age_micros)? {
            return Ok(Some(step));
        }
    }
    let samples = samples::oldest(txn)?;
    let late = now.saturating_sub(retention.age_micros).saturating_sub(SAMPLES_LONGER);
    if let Some(expired) = samples.as_ref().and_then(|oldest| oldest.expired(now, late, Cause::Age)) {
        return Ok(Some(Step::Samples(expired)));
    }
    if retention.bytes == u64::MAX || room::room(txn)?.file_len() <= retention.bytes {
        return Ok(None);
    }
    // The oldest goes, be it of this or of that.
    let of_samples = |limit: i64| samples.as_ref().and_then(|oldest| oldest.expired(now, limit, Cause::Size));
    let mut unreadable = HashSet::new();
    loop {
        let Some((limit, candidate, choice)) = oldest(txn, &candidates, &unreadable)? else {
            return Ok(of_samples(i64::MAX).map(Step::Samples));
        };
        if let Some(expired) = of_samples(limit) {
            return Ok(Some(Step::Samples(expired)));
        }
        let step = match choice {
            Choice::Unknown => Some(Step::Unreadable(candidate.part)),
            Choice::Whole => Some(Step::Versions(candidate.whole(txn, (now, limit), Cause::Size)?)),
            Choice::Ended(header) => {
                let without = || match Aged::read(txn, candidate, header, limit)? {
                    Some(aged) => aged.without(txn, now, Cause::Size).map(Some),
                    None => Ok(None),
                };
                whole(candidate.part, without())?.flatten().map(Step::Versions)
            }
        };
        if step.is_some() {
            return Ok(step);
        }
        unreadable.insert(candidate.part.first());
    }
}

/// Takes a stretch of samples out, and notes it.
pub(crate) fn expire(txn: &WriteTransaction, Expired { first, dropped }: &Expired) -> Result<(), Error> {
    samples::remove(&mut txn.open_table(SAMPLES)?, *first)?;
    note(txn, dropped)
}

/// Whether blocks have waited so long that they should be sealed; those that cannot be read never are.
pub(crate) fn blocks_wait(txn: &ReadTransaction) -> Result<bool, Error> {
    let blocks = txn.table(BLOCKS)?;
    let Some(now) = last_snapshot(txn)? else { return Ok(false) };
    for entry in blocks.iter()? {
        let first = entry?.0.value();
        let Some(block) = whole(Part::Block(first), history::block(&blocks, first))? else { continue };
        let seen = block.column_by_name(SEEN_FROM).expect("a stored column").as_primitive::<TimestampMicrosecondType>();
        return Ok(seen.iter().flatten().min().is_some_and(|seen| seen < now.saturating_sub(BLOCK_AGE_MAX)));
    }
    Ok(false)
}

fn last_snapshot(txn: &impl Tables) -> Result<Option<i64>, Error> {
    Ok(txn.table(META)?.get(LAST_SNAPSHOT_KEY)?.map(|time| time.value().cast_signed()))
}

/// What was read, unless it is damaged, which is said in the log.
fn whole<T>(part: Part, read: Result<T, Fault>) -> Result<Option<T>, Error> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(Fault::Storage(error)) => Err(error),
        Err(Fault::Damaged(why)) => {
            quarantine(&part.name(), &why);
            Ok(None)
        }
    }
}

/// A part of which something may go.
struct Candidate {
    part: Part,
    /// The rows that it has, at most.
    rows: Range<Row>,
    /// That it takes in the file.
    bytes: u64,
    /// Nothing where it cannot be read.
    header: Option<Header>,
}

/// What the header of a segment says.
struct Header {
    rows: u32,
    /// When the first of its versions was seen.
    from: i64,
    /// When the first that ended before it was sealed ended.
    first_end: Option<i64>,
    ends: Ends,
}

impl Candidate {
    /// What is to be done with it because of its age.
    fn aged(&self, txn: &ReadTransaction, now: i64, age: i64) -> Result<Option<Step>, Error> {
        let limit = now.saturating_sub(age);
        let due = |header: &Header| {
            let Some(aged) = Aged::read(txn, self, header, limit)? else { return Ok(None) };
            let late = now.saturating_sub(age.saturating_add(age / 4));
            let worth = aged.ended.len() * 2 >= aged.rows() || aged.ended.iter().any(|(ended, _)| *ended <= late);
            if worth { aged.without(txn, now, Cause::Age).map(Some) } else { Ok(None) }
        };
        let draft = match &self.header {
            Some(header) => whole(self.part, due(header))?,
            None => None,
        };
        match draft {
            Some(draft) => Ok(draft.map(Step::Versions)),
            None => match self.ended(txn)? {
                Ended::By(ended) if ended <= limit => {
                    Ok(Some(Step::Versions(self.whole(txn, (now, ended), Cause::Age)?)))
                }
                Ended::Unknown => Ok(Some(Step::Unreadable(self.part))),
                Ended::By(_) | Ended::Not => Ok(None),
            },
        }
    }

    /// When all of it had ended, which cannot be read in it.
    fn ended(&self, txn: &ReadTransaction) -> Result<Ended, Error> {
        unreadable::ended(txn, self.part, &self.rows, self.header.as_ref().map(|header| header.ends))
    }

    /// Nothing in its place; all of it had ended.
    fn whole(&self, txn: &ReadTransaction, (now, ended): (i64, i64), cause: Cause) -> Result<Draft, Error> {
        let header = self.header.as_ref();
        let dropped = Dropped {
            at: Timestamp(now),
            of: Kept::Versions,
            rows: header.map_or(self.rows.end - self.rows.start, |header| header.rows.into()),
            bytes: self.bytes,
            from: Timestamp(header.map_or(ended, |header| header.from.min(ended))),
            to: Timestamp(ended),
            cause,
        };
        tracing::warn!(
            part = self.part.name(),
            "a part that cannot be read is dropped: what it held has ended long ago"
        );
        Draft::without(txn, self.part, self.rows.clone(), dropped)
    }
}

/// The segments, and blocks that sealing has left because they cannot be read.
fn candidates(txn: &ReadTransaction) -> Result<Vec<Candidate>, Error> {
    let (chunks, blocks, holes) = (txn.table(SEGMENTS)?, txn.table(BLOCKS)?, txn.table(HOLES)?);
    let parts = history::parts(txn)?;
    let next_row = txn.table(META)?.get(NEXT_ROW_KEY)?.map_or(FIRST_ROW, |row| row.value());
    let sealed = parts.iter().rposition(|part| matches!(part, Part::Segment(_))).map_or(0, |last| last + 1);
    let mut candidates = Vec::new();
    for (at, part) in parts[..sealed].iter().enumerate() {
        let (part, first) = (*part, part.first());
        let end = parts.get(at + 1).map_or(next_row, |next| next.first()).max(first);
        let end = holes.range(first..end)?.next().transpose()?.map_or(end, |(hole, _)| hole.value());
        let candidate = match part {
            Part::Block(_) => match whole(part, history::block(&blocks, first))? {
                Some(_) => continue,
                None => {
                    let bytes = blocks.get(first)?.map_or(0, |block| block.value().len() as u64);
                    Candidate { part, rows: first..end, bytes, header: None }
                }
            },
            Part::Segment(_) => match whole(part, history::open(&chunks, first))? {
                None => Candidate { part, rows: first..end, bytes: room::of_chunks(&chunks, first)?, header: None },
                Some(reading) => {
                    let segment = reading.segment();
                    let least = |column| segment.range(column).0.map(|(least, _)| least);
                    let last = segment.range(SEEN_TO).0.map(|(_, greatest)| greatest);
                    let ends = Ends { last, open: (segment.rows() - segment.present(SEEN_TO)).into() };
                    let (from, first_end) = (least(SEEN_FROM).unwrap_or(i64::MIN), least(SEEN_TO));
                    let header = Some(Header { rows: segment.rows(), from, first_end, ends });
                    Candidate { part, rows: first..segment.end(), bytes: segment.bytes(), header }
                }
            },
        };
        candidates.push(candidate);
    }
    Ok(candidates)
}

/// What can be dropped of a part.
#[derive(Clone, Copy)]
enum Choice<'c> {
    /// What ended up to a moment.
    Ended(&'c Header),
    /// All of it, which cannot be read.
    Whole,
    /// Nothing yet: when it ended is not known.
    Unknown,
}

/// The part whose rows ended first, as a whole, and up to when: seven eighths of it, or all that ended. Of parts that
/// cannot be read (others than these are met here), all.
fn oldest<'c>(
    txn: &ReadTransaction,
    candidates: &'c [Candidate],
    unreadable: &HashSet<Row>,
) -> Result<Option<(i64, &'c Candidate, Choice<'c>)>, Error> {
    let mut candidates: Vec<_> = candidates.iter().collect();
    let from = |candidate: &Candidate| candidate.header.as_ref().map_or(i64::MIN, |header| header.from);
    candidates.sort_by_key(|candidate| from(candidate));
    let mut best: Option<(i64, &Candidate, Choice<'_>)> = None;
    for candidate in candidates {
        // What ended had been seen before.
        if best.as_ref().is_some_and(|(limit, ..)| from(candidate) > *limit) {
            break;
        }
        let header = candidate.header.as_ref().filter(|_| !unreadable.contains(&candidate.part.first()));
        let read = match header {
            Some(header) => whole(candidate.part, Aged::read(txn, candidate, header, i64::MAX))?,
            None => None,
        };
        let (limit, choice) = match read {
            Some(Some(mut aged)) => {
                let Some(header) = header else { continue };
                if aged.ended.len() * WORTH < aged.rows() {
                    continue;
                }
                aged.ended.sort_unstable();
                let most = (aged.rows() - aged.rows() / WORTH).min(aged.ended.len());
                (aged.ended[most - 1].0, Choice::Ended(header))
            }
            Some(None) => continue,
            None => match candidate.ended(txn)? {
                Ended::By(ended) => (ended, Choice::Whole),
                Ended::Unknown => (i64::MIN, Choice::Unknown),
                Ended::Not => continue,
            },
        };
        if best.as_ref().is_none_or(|(best, ..)| limit < *best) {
            best = Some((limit, candidate, choice));
        }
    }
    Ok(best)
}

/// A segment and which of its versions ended up to some moment.
struct Aged<'t> {
    source: Source<'t, ReadTransaction>,
    bytes: u64,
    rows: u32,
    /// When, and at which place.
    ended: Vec<(i64, u32)>,
}

impl<'t> Aged<'t> {
    /// Nothing where none did.
    fn read(txn: &'t ReadTransaction, segment: &Candidate, header: &Header, limit: i64) -> Result<Option<Self>, Fault> {
        let source = Source::open(txn, segment.part)?;
        if header.first_end.is_none_or(|first| first > limit) && source.late_endings() == 0 {
            return Ok(None);
        }
        let ends = moments(&source, SEEN_TO)?;
        let ended: Vec<(i64, u32)> =
            ends.iter().zip(0..).filter_map(|(end, place)| Some((end.filter(|end| *end <= limit)?, place))).collect();
        let aged = Self { source, bytes: segment.bytes, rows: header.rows, ended };
        Ok(Some(aged).filter(|aged| !aged.ended.is_empty()))
    }

    fn rows(&self) -> usize {
        self.rows as usize
    }

    /// The segment without them.
    fn without(self, txn: &ReadTransaction, now: i64, cause: Cause) -> Result<Draft, Fault> {
        let Self { mut source, bytes, rows, ended } = self;
        let gone = Spans::of(ended.iter().map(|(_, place)| *place).collect());
        let seen = moments(&source, SEEN_FROM)?;
        let from = gone
            .iter()
            .map(|place| place as usize)
            .filter(|place| seen.is_valid(*place))
            .map(|place| seen.value(place))
            .min();
        let to = ended.iter().map(|(end, _)| *end).max().unwrap_or(now);
        source.kept = gone.complement(rows);
        let mut draft = seal::make_of(txn, vec![source]).map_err(|(_, fault)| fault)?;
        draft.dropped = Some(Dropped {
            at: Timestamp(now),
            of: Kept::Versions,
            rows: gone.len() as u64,
            bytes: bytes.saturating_sub(draft.bytes()),
            from: Timestamp(from.unwrap_or(to)),
            to: Timestamp(to),
            cause,
        });
        Ok(draft)
    }
}

fn moments(source: &Source<'_, ReadTransaction>, column: &str) -> Result<TimestampMicrosecondArray, Fault> {
    Ok(source
        .column(&Field::new(column, MOMENT, true), &source.kept)?
        .as_primitive::<TimestampMicrosecondType>()
        .clone())
}

/// Notes what is dropped in this transaction.
pub(crate) fn note(txn: &WriteTransaction, dropped: &Dropped) -> Result<(), Error> {
    let mut drops = txn.open_table(DROPS)?;
    let number = drops.last()?.map_or(0, |(number, _)| number.value() + 1);
    drops.insert(number, encode(dropped))?;
    if drops.len()? > DROPS_MAX {
        join_oldest(&mut drops)?;
    }
    let key = dropped.of.key();
    let mut meta = txn.open_table(META)?;
    let before = meta.get(key)?.map_or(i64::MIN, |to| to.value().cast_signed());
    meta.insert(key, before.max(dropped.to.0).cast_unsigned())?;
    drop(meta);
    let payload = serde_json::to_value(dropped).expect("a note is JSON");
    let fact = Fact::new(dropped.at, Actor::component("agent"), Action::HistoryDropped, dropped.of.name(), &payload);
    outbox::put(txn, &fact, outbox::Bounds::USUAL)
}

/// Makes one note of the two oldest that are about the same.
fn join_oldest(drops: &mut Written<'_, u64, DropNote>) -> Result<(), Error> {
    let mut oldest: [Option<(u64, Dropped)>; 2] = [None, None];
    let mut pair = None;
    for entry in drops.iter()? {
        let (number, note) = entry?;
        let Some(dropped) = decode(note.value()) else { continue };
        if let Some(before) = oldest[dropped.of as usize - 1].replace((number.value(), dropped)) {
            pair = Some((before, (number.value(), dropped)));
            break;
        }
    }
    let Some(((first, oldest), (second, next))) = pair else { return Ok(()) };
    let (rows, bytes) = (oldest.rows.saturating_add(next.rows), oldest.bytes.saturating_add(next.bytes));
    let (from, to) = (oldest.from.min(next.from), oldest.to.max(next.to));
    drops.remove(first)?;
    drops.insert(second, encode(&Dropped { rows, bytes, from, to, ..next }))?;
    Ok(())
}

fn encode(dropped: &Dropped) -> DropNote {
    (dropped.at.0, dropped.rows, dropped.bytes, dropped.from.0, dropped.to.0, dropped.cause as u8, dropped.of as u8)
}

fn decode((at, rows, bytes, from, to, cause, of): DropNote) -> Option<Dropped> {
    let cause = match cause {
        1 => Cause::Age,
        2 => Cause::Size,
        _ => return None,
    };
    let of = match of {
        1 => Kept::Versions,
        2 => Kept::Samples,
        _ => return None,
    };
    Some(Dropped { at: Timestamp(at), of, rows, bytes, from: Timestamp(from), to: Timestamp(to), cause })
}

/// [`crate::View::drops`].
pub(crate) fn all(txn: &impl Tables) -> Result<Vec<Dropped>, Error> {
    let mut drops = Vec::new();
    for entry in txn.table(DROPS)?.iter()? {
        let (number, note) = entry?;
        let unknown = || {
            Error::Damaged(format!(
                "note {} of what was dropped has an unknown cause, or is about nothing that is known",
                number.value()
            ))
        };
        drops.push(decode(note.value()).ok_or_else(unknown)?);
    }
    Ok(drops)
}

/// The moment before which history, or the samples, are no longer whole.
pub(crate) fn dropped_to(txn: &impl Tables, of: Kept) -> Result<Option<Timestamp>, Error> {
    Ok(txn.table(META)?.get(of.key())?.map(|to| Timestamp(to.value().cast_signed())))
}

/// How complete the answer to a scan of history is, given what its parts said.
pub(crate) fn judged(
    txn: &impl Tables,
    scan: &Scan<'_>,
    mut completeness: Completeness,
) -> Result<Completeness, Error> {
    let of = if scan.table.name == samples::TABLE { Kept::Samples } else { Kept::Versions };
    if let Some(to) = dropped_to(txn, of)? {
        let names_it =
            |probe: &Probe| scan.table.columns[probe.column].ty == Type::Timestamp && names(&probe.question, to);
        if scan.required.iter().flatten().any(names_it) {
            completeness.add(Reason::HistoryDropped);
        }
    }
    Ok(completeness)
}

/// Whether a question names a moment that is not after this one.
fn names(question: &Question, moment: Timestamp) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact in a double for centuries")]
    let limit = moment.0 as f64;
    match question {
        Question::AtLeast(bound) | Question::AtMost(bound) => *bound <= limit,
        Question::Equal(Value::Timestamp(bound)) => *bound <= moment.0,
        _ => false,
    }
}
