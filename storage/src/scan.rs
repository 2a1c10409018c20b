//! Scanning the stored tables.
//!
//! The tables of history are views of the versions: each of their columns is stored, or constant. Of a segment, its
//! indexes say first which rows may be wanted, then the tests of columns whose different values are kept once; what is
//! left is read page by page, and a column only for rows that passed the tests before it.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, NullArray, RecordBatch, RecordBatchOptions, StringArray, UInt32Array,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use arrow_select::filter::filter;
use arrow_select::take::take;
use daemoneye_dsl::alert::SourceRow;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::tables::{Column, Table, schema_of};
use daemoneye_dsl::types::Value;
use redb::ReadableTable;

use crate::guard::{guarded, guarded_each};
use crate::history::{self, BlockTable, Endings, Extent, Part};
use crate::keys::ProcKey;
use crate::numbering::Numbering;
use crate::reader::{Each, Question, Scan, StoredProcess, Test};
use crate::samples::{self, Held};
use crate::segment::{ChunkTable, Fault, PAGE_ROWS, Reading, Spans};
use crate::tables::{
    BLOCKS, ENDINGS, HISTORY, LAST_SEEN_AT, LIVE, MOMENT, Row, SEEN_FROM, SEEN_TO, SEGMENTS, STARTED, Tables,
};
use crate::{Error, absent, alerts, damage, gaps, retention, status};

/// What `observed_by` holds for what a comparison of snapshots showed.
pub(crate) const BY_SNAPSHOT: &str = "snapshot";
const PROC_ID: &str = "proc_id";

/// [`crate::Reader::visit`].
pub(crate) fn visit(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    check(scan)?;
    guarded_each(each, |each| dispatch(txn, scan, each))
}

fn dispatch(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    match &*scan.table.name {
        "process_starts" | "process_exits" | "processes_history" => {
            let visited = Versions::new(scan).with_samples(txn)?.visit(txn, each)?;
            retention::judged(txn, scan, gaps::judged(txn, scan, visited)?)
        }
        "process_samples" => {
            let visited = samples::visit(txn, scan, each)?;
            retention::judged(txn, scan, gaps::judged(txn, scan, visited)?)
        }
        "alerts" => alerts::visit(txn, scan, each),
        "silences" | "rules" | "rule_stats" | "collectors" => status::visit(txn, scan, each),
        "processes" => Err(Error::Refused(
            "`processes` is now, which is never answered from a stored state: ask the agent or take a snapshot".into(),
        )),
        name => Err(Error::Refused(format!("the event store has no table `{name}`"))),
    }
}

fn check(scan: &Scan<'_>) -> Result<(), Error> {
    let Table { name, columns, .. } = scan.table;
    if let Some(at) = named_columns(scan).find(|at| *at >= columns.len()) {
        return Err(Error::Refused(format!("`{name}` has no column {at}")));
    }
    let mut named = named_columns(scan).map(|at| &*columns[at].name);
    match named.find(|column| **name == *HISTORY && scan.as_of.is_none() && samples::is_sampled(column)) {
        Some(column) => Err(Error::Refused(format!("`{column}` is a sample, which `{name}` has only of a moment"))),
        None => Ok(()),
    }
}

/// The columns that a scan is about.
fn named_columns<'a>(scan: &Scan<'a>) -> impl Iterator<Item = usize> + use<'a> {
    let probes = scan.required.iter().flatten().map(|probe| probe.column);
    scan.columns.iter().copied().chain(probes).chain(scan.tests.iter().map(|test| test.column))
}

/// The result's layout.
pub(crate) fn layout(scan: &Scan<'_>) -> SchemaRef {
    let columns: Vec<_> = scan.columns.iter().map(|at| scan.table.columns[*at].clone()).collect();
    schema_of(&columns)
}

/// Where a column of a table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin<'a> {
    /// The version's column of that name.
    Stored(&'a str),
    /// [`BY_SNAPSHOT`].
    BySnapshot,
    /// The column of that name of the sample that held at the scan's moment.
    Sampled(&'a str),
}

/// A table that is a view of the versions.
struct Versions<'a> {
    scan: &'a Scan<'a>,
    /// Of every column of the table.
    origins: Vec<Origin<'a>>,
    /// The versions that are rows of the table: those where this column is true, or not NULL.
    only: Option<&'static str>,
    result: SchemaRef,
    /// Rows that fail a test are left out: samples are not tested.
    is_exact: bool,
    /// The samples of the scan's moment, if the result has some.
    held: Option<Held>,
}

impl<'a> Versions<'a> {
    fn new(scan: &'a Scan<'a>) -> Self {
        // A start is observed when its version is first seen, an exit when it is no longer.
        let (only, observed_at) = match &*scan.table.name {
            "process_starts" => (Some(STARTED), SEEN_FROM),
            "process_exits" => (Some(LAST_SEEN_AT), SEEN_TO),
            _ => (None, SEEN_TO),
        };
        let origin = |column: &'a Column| match &*column.name {
            "observed_at" => Origin::Stored(observed_at),
            "observed_by" => Origin::BySnapshot,
            name if scan.as_of.is_some() && samples::is_sampled(name) => Origin::Sampled(name),
            name => Origin::Stored(name),
        };
        let origins: Vec<_> = scan.table.columns.iter().map(origin).collect();
        let is_exact = !scan.tests.iter().any(|test| matches!(origins[test.column], Origin::Sampled(_)));
        Self { scan, origins, only, result: layout(scan), is_exact, held: None }
    }

    /// With the samples that the result has.
    fn with_samples(mut self, txn: &impl Tables) -> Result<Self, Error> {
        let sampled = |at: &usize| if let Origin::Sampled(name) = self.origins[*at] { Some(name) } else { None };
        let names: Vec<&str> = self.scan.columns.iter().filter_map(sampled).collect();
        if let Some(moment) = self.scan.as_of.filter(|_| !names.is_empty()) {
            self.held = Some(samples::at_moment(txn, moment.0, &samples::Wanted::of_scan(self.scan), &names)?);
        }
        Ok(self)
    }

    /// A column of the samples of the processes with these ids.
    fn sampled(&self, name: &str, ids: &ArrayRef) -> ArrayRef {
        let held = self.held.as_ref().expect("the scan has a moment, and the result samples");
        held.column(name, ids.as_string::<i32>())
    }

    fn name(&self, column: usize) -> Option<&'a str> {
        match self.origins[column] {
            Origin::Stored(name) => Some(name),
            Origin::BySnapshot | Origin::Sampled(_) => None,
        }
    }

    fn visit(&self, txn: &impl Tables, each: Each<'_>) -> Result<Completeness, Error> {
        if let Some(exact) = self.scan.exact {
            exact.set(self.is_exact);
        }
        let mut completeness = self.held.as_ref().map(|held| held.completeness.clone()).unwrap_or_default();
        let parts = history::extents(txn)?;
        for rows in absent::among(txn, &parts)? {
            quarantine(&absent::name(&rows), absent::WHY);
            completeness.add(Reason::SegmentQuarantined);
        }
        let blocks = txn.table(BLOCKS)?;
        let chunks = txn.table(SEGMENTS)?;
        let endings = txn.table(ENDINGS)?;
        for Extent { part, .. } in parts {
            if self.scan.is_over() {
                break;
            }
            let visited = match part {
                Part::Block(first) => self.visit_block(&blocks, &endings, first, each),
                Part::Segment(first) => self.visit_segment(&chunks, &endings, first, each),
            };
            match visited {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(())) => break,
                Err(Fault::Storage(error)) => return Err(error),
                Err(Fault::Damaged(why)) => {
                    quarantine(&part.name(), &why);
                    completeness.add(Reason::SegmentQuarantined);
                }
            }
        }
        Ok(completeness)
    }

    fn visit_block(
        &self,
        blocks: &impl BlockTable,
        endings: &impl ReadableTable<Row, (i64, Option<i64>)>,
        first: Row,
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, Fault> {
        let mut required = history::named(self.scan.required, |column| self.name(column));
        if self.only == Some(STARTED) {
            required.push(vec![(STARTED, &Question::Equal(Value::Boolean(true)))]);
        }
        let (may_have, rows, bytes) = history::block_may_have(blocks, first, &required)?;
        if !may_have {
            self.scan.count(|tally| {
                tally.blocks += 1;
                tally.rows += u64::from(rows);
                tally.rows_pruned += u64::from(rows);
                tally.bytes += bytes;
            });
            return Ok(ControlFlow::Continue(()));
        }
        let tested = self.scan.tests.iter().map(|test| test.column);
        let read: Vec<&str> = self.given().chain(tested).filter_map(|at| self.name(at)).collect();
        let wanted =
            |name: &str| read.contains(&name) || self.only == Some(name) || self.held.is_some() && name == PROC_ID;
        let (stored, bytes) = history::columns_of_block(blocks, first, wanted)?;
        let numbering = history::block_numbering(first, &stored)?;
        let rows = u32::try_from(stored.num_rows()).map_err(|_| Fault::from("it has too many rows"))?;
        self.scan.count(|tally| {
            tally.blocks += 1;
            tally.rows += u64::from(rows);
            tally.bytes += bytes;
        });
        let endings = Endings::of(endings, &numbering)?;
        let column = |name: &str| match stored.column_by_name(name) {
            Some(column) => column.clone(),
            None => endings.column(name, rows),
        };
        let mut kept = Spans::all(rows);
        if let Some(only) = self.only {
            kept = history::passing(&is_row(&column(only)), &kept);
        }
        for test in self.scan.tests {
            let values = match self.origins[test.column] {
                Origin::Stored(name) => column(name),
                Origin::BySnapshot => by_snapshot(rows as usize),
                Origin::Sampled(_) => continue,
            };
            kept = kept.and(&history::passing(&(test.passes)(&values), &Spans::all(rows)));
        }
        if kept.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        let places = UInt32Array::from_iter_values(kept.iter());
        let columns = self.scan.columns.iter().enumerate().map(|(place, at)| match self.origins[*at] {
            _ if self.is_unread(place) => Ok(unread(kept.len())),
            Origin::Stored(name) => take(&column(name), &places, None),
            Origin::BySnapshot => Ok(by_snapshot(kept.len())),
            Origin::Sampled(name) => take(&column(PROC_ID), &places, None).map(|ids| self.sampled(name, &ids)),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>().map_err(Error::from)?;
        Ok(each(batch(&as_they_came(&self.result, &columns), columns, kept.len())?))
    }

    fn visit_segment(
        &self,
        chunks: &impl ChunkTable,
        endings: &impl ReadableTable<Row, (i64, Option<i64>)>,
        first: Row,
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, Fault> {
        let mut segment = history::open(chunks, first)?;
        let visited = self.visit_opened(&mut segment, endings, first, each);
        self.scan.count(|tally| tally.bytes += segment.bytes_read());
        visited
    }

    fn visit_opened<T: ChunkTable>(
        &self,
        segment: &mut Reading<'_, T>,
        endings: &impl ReadableTable<Row, (i64, Option<i64>)>,
        first: Row,
        each: Each<'_>,
    ) -> Result<ControlFlow<()>, Fault> {
        let rows = segment.segment().rows();
        let asks_endings = self.only == Some(LAST_SEEN_AT)
            || self.given().chain(self.asked()).any(|at| self.name(at).is_some_and(Endings::fill));
        let endings =
            if asks_endings { Endings::of(endings, &Numbering::of(first, segment)?)? } else { Endings::unasked() };
        let required = history::named(self.scan.required, |column| self.name(column));
        let (mut kept, asked) = history::probed(segment, &required, &endings)?;
        self.scan.count(|tally| {
            tally.segments += 1;
            tally.segments_pruned += u64::from(kept.is_empty());
            tally.rows += u64::from(rows);
            tally.rows_pruned += u64::from(rows) - kept.len() as u64;
            tally.indexes.extend(asked.into_iter().map(str::to_owned));
        });
        let mut rest: Vec<(&str, &Test<'_>)> = Vec::new();
        for test in self.scan.tests {
            if kept.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            let Some(name) = self.name(test.column) else {
                if matches!(self.origins[test.column], Origin::Sampled(_)) {
                    continue;
                }
                kept = if (test.passes)(&by_snapshot(1)).iter().eq([Some(true)]) { kept } else { Spans::default() };
                continue;
            };
            match segment.tested(name, &self.ty(test.column), test.passes, &kept)? {
                Some(passed) if !Endings::fill(name) => kept = passed,
                _ => rest.push((name, test)),
            }
        }
        // Numbers are read faster than texts.
        rest.sort_by_key(|(_, test)| self.ty(test.column) == DataType::Utf8);
        for from in (0..rows).step_by(PAGE_ROWS as usize) {
            let mut page = kept.within(&(from..from + PAGE_ROWS));
            if !page.is_empty() && self.scan.is_over() {
                return Ok(ControlFlow::Break(()));
            }
            if let Some(only) = self.only.filter(|_| !page.is_empty()) {
                let ty = if only == STARTED { DataType::Boolean } else { MOMENT };
                let values = read(segment, &endings, only, &ty, &page)?;
                page = history::passing(&is_row(&values), &page);
            }
            for (name, test) in &rest {
                if !page.is_empty() {
                    let values = read(segment, &endings, name, &self.ty(test.column), &page)?;
                    page = history::passing(&(test.passes)(&values), &page);
                }
            }
            if page.is_empty() {
                continue;
            }
            let column = |(place, at): (usize, &usize)| match self.origins[*at] {
                _ if self.is_unread(place) => Ok(unread(page.len())),
                Origin::Stored(name) if self.is_exact && self.scan.dictionaries.contains(&place) => {
                    segment.read_coded(name, &page)
                }
                Origin::Stored(name) => read(segment, &endings, name, &self.ty(*at), &page),
                Origin::BySnapshot => Ok(by_snapshot(page.len())),
                Origin::Sampled(name) => Ok(self.sampled(name, &segment.read(PROC_ID, &DataType::Utf8, &page)?)),
            };
            let columns = self.scan.columns.iter().enumerate().map(column).collect::<Result<Vec<_>, Fault>>()?;
            let result = as_they_came(&self.result, &columns);
            let rows = batch(&result, columns, page.len()).map_err(|error| Fault::Damaged(error.to_string()))?;
            if each(rows).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Whether nobody looks at a column of the result.
    fn is_unread(&self, place: usize) -> bool {
        self.is_exact && self.scan.unread.contains(&place)
    }

    /// The columns that are handed over.
    fn given(&self) -> impl Iterator<Item = usize> {
        let places = self.scan.columns.iter().enumerate();
        places.filter(|(place, _)| !self.is_unread(*place)).map(|(_, at)| *at)
    }

    /// The columns that probes and tests ask for.
    fn asked(&self) -> Vec<usize> {
        let probes = self.scan.required.iter().flatten().map(|probe| probe.column);
        probes.chain(self.scan.tests.iter().map(|test| test.column)).collect()
    }

    fn ty(&self, column: usize) -> DataType {
        self.scan.table.columns[column].ty.arrow()
    }
}

/// The result's layout, with the columns that came as dictionaries or not at all.
pub(crate) fn as_they_came(result: &SchemaRef, columns: &[ArrayRef]) -> SchemaRef {
    let is_other = |ty: &DataType| matches!(ty, DataType::Dictionary(..) | DataType::Null);
    if !columns.iter().any(|column| is_other(column.data_type())) {
        return result.clone();
    }
    let field = |(field, column): (&Arc<Field>, &ArrayRef)| match column.data_type() {
        ty if is_other(ty) => Arc::new(Field::new(field.name(), ty.clone(), true)),
        _ => field.clone(),
    };
    Arc::new(Schema::new(result.fields().iter().zip(columns).map(field).collect::<Vec<_>>()))
}

/// What stands for a column that nobody looks at.
fn unread(rows: usize) -> ArrayRef {
    Arc::new(NullArray::new(rows))
}

/// A column of some rows of a segment, endings that came later counted in.
fn read<T: ChunkTable>(
    segment: &mut Reading<'_, T>,
    endings: &Endings,
    name: &str,
    ty: &DataType,
    rows: &Spans,
) -> Result<ArrayRef, Fault> {
    let stored = segment.read(name, ty, rows)?;
    Ok(if Endings::fill(name) { endings.over(name, stored, rows) } else { stored })
}

/// Whether a version is a row of a table that goes by this column.
fn is_row(values: &ArrayRef) -> BooleanArray {
    match values.data_type() {
        DataType::Boolean => values.as_boolean().clone(),
        _ => (0..values.len()).map(|row| Some(values.is_valid(row))).collect(),
    }
}

pub(crate) fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
}

/// The rows where `keep` is true.
pub(crate) fn filtered(schema: &SchemaRef, columns: &[ArrayRef], keep: &BooleanArray) -> Result<RecordBatch, Error> {
    let kept: Vec<_> = columns.iter().map(|column| filter(column, keep)).collect::<Result<_, _>>()?;
    batch(schema, kept, keep.true_count())
}

/// The `observed_by` of that many rows.
pub(crate) fn by_snapshot(rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(BY_SNAPSHOT, rows)))
}

/// Says in the log, once, what was set aside; every answer's completeness says that something was.
pub(crate) fn quarantine(what: &str, why: &str) {
    if damage::is_news(what, why) {
        tracing::warn!(what, why, "a damaged part of the event store was set aside");
    }
}

/// [`crate::Reader::process`].
pub(crate) fn process(txn: &impl Tables, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
    let Some(key) = ProcKey::parse(proc_id) else { return Ok(None) };
    guarded(|| last_version(txn, key))
}

fn last_version(txn: &impl Tables, key: ProcKey) -> Result<Option<StoredProcess>, Error> {
    let Some(row) = history::last_row(txn, key)? else { return Ok(None) };
    let version = history::version(txn, key, row)?.map_err(Error::Damaged)?;
    Ok(Some(StoredProcess::alone(version, Some(source(row)))))
}

/// [`crate::Transaction::source_of_living`].
pub(crate) fn source_of_living(txn: &impl Tables, proc_id: &str) -> Result<Option<SourceRow>, Error> {
    let Some(key) = ProcKey::parse(proc_id) else { return Ok(None) };
    guarded(|| Ok(txn.table(LIVE)?.get(key.0)?.map(|row| source(row.value()))))
}

fn source(row: Row) -> SourceRow {
    SourceRow { table: HISTORY.to_owned(), row }
}
