//! Scanning the stored tables, one block at a time.
//!
//! A table of the catalog is a view of one kind of block: each of its columns is stored, joined from `closings`, or
//! constant. A block is skipped when its summary shows that every row lies outside the window; it is set aside, and
//! the answer marked, when it is damaged.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::builder::TimestampMicrosecondBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;
use arrow_select::filter::filter;
use daemoneye_dsl::alert::SourceRow;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::tables::{Table, schema_of};
use daemoneye_dsl::types::Type;
use redb::ReadableTable;

use crate::block::{self, Summary};
use crate::guard::{guarded, guarded_each};
use crate::keys::ProcKey;
use crate::reader::{Scan, Scanned, StoredProcess, Window};
use crate::tables::{BLOCKS, CLOSINGS, GONE, Kind, LIVE, SEEN_FROM, STARTED, SUMMARIES, Tables};
use crate::{Error, alerts, status};

/// What `observed_by` holds for what a comparison of snapshots showed.
pub(crate) const BY_SNAPSHOT: &str = "snapshot";

/// Receives batches until it breaks.
pub(crate) type Each<'a> = &'a mut dyn FnMut(RecordBatch) -> ControlFlow<()>;

/// [`crate::Reader::scan`].
pub(crate) fn collect(txn: &impl Tables, scan: &Scan<'_>) -> Result<Scanned, Error> {
    let mut batches = Vec::new();
    let completeness = visit(txn, scan, &mut |batch| {
        batches.push(batch);
        ControlFlow::Continue(())
    })?;
    Ok(Scanned { batches, completeness })
}

/// [`crate::Reader::visit`].
pub(crate) fn visit(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    check(scan)?;
    guarded_each(each, |each| dispatch(txn, scan, each))
}

fn dispatch(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    match &*scan.table.name {
        "process_starts" => Blocks::new(Kind::Versions, true, scan).visit(txn, each),
        "processes_history" => Blocks::new(Kind::Versions, false, scan).visit(txn, each),
        "process_exits" => Blocks::new(Kind::Exits, false, scan).visit(txn, each),
        "alerts" => alerts::visit(txn, scan, each),
        "rules" | "rule_stats" | "collectors" => status::visit(txn, scan, each),
        "processes" => Err(Error::Refused(
            "`processes` is now, which is never answered from a stored state: ask the agent or take a snapshot".into(),
        )),
        name => Err(Error::Refused(format!("the event store has no table `{name}`"))),
    }
}

fn check(scan: &Scan<'_>) -> Result<(), Error> {
    let Table { name, columns, .. } = scan.table;
    if let Some(at) = scan.columns.iter().find(|at| **at >= columns.len()) {
        return Err(Error::Refused(format!("`{name}` has no column {at}")));
    }
    match scan.window.map(|window| columns.get(window.column)) {
        Some(None) => Err(Error::Refused(format!("the window over `{name}` names no column"))),
        Some(Some(column)) if column.ty != Type::Timestamp => {
            Err(Error::Refused(format!("`{name}.{}` is {}, and a window takes TIMESTAMP", column.name, column.ty)))
        }
        _ => Ok(()),
    }
}

/// The result's layout.
pub(crate) fn layout(scan: &Scan<'_>) -> SchemaRef {
    let columns: Vec<_> = scan.columns.iter().map(|at| scan.table.columns[*at].clone()).collect();
    schema_of(&columns)
}

/// Where a column of a table comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// The block's column at this position.
    Stored(usize),
    /// The end of the version, from `closings`.
    SeenTo,
    /// [`BY_SNAPSHOT`].
    BySnapshot,
}

/// A scan over one kind of block.
struct Blocks {
    kind: Kind,
    stored: SchemaRef,
    /// Only the versions marked as starts.
    starts_only: bool,
    result: SchemaRef,
    /// In the order of the result's columns.
    origins: Vec<Origin>,
    window: Option<(Origin, Window)>,
}

impl Blocks {
    fn new(kind: Kind, starts_only: bool, scan: &Scan<'_>) -> Self {
        let stored = kind.schema();
        let origin = |at: usize| {
            let name = &*scan.table.columns[at].name;
            match (stored.index_of(name), name) {
                (Ok(at), _) => Origin::Stored(at),
                (Err(_), "seen_to") => Origin::SeenTo,
                (Err(_), "observed_by") => Origin::BySnapshot,
                // A start is observed when its version is first seen.
                (Err(_), "observed_at") => Origin::Stored(stored.index_of(SEEN_FROM).expect("a stored column")),
                (Err(_), name) => unreachable!("`{}.{name}` has no origin", scan.table.name),
            }
        };
        Self {
            kind,
            starts_only,
            result: layout(scan),
            origins: scan.columns.iter().map(|at| origin(*at)).collect(),
            window: scan.window.map(|window| (origin(window.column), window)),
            stored,
        }
    }

    fn visit(&self, txn: &impl Tables, each: Each<'_>) -> Result<Completeness, Error> {
        let mut completeness = Completeness::default();
        let summaries = txn.table(SUMMARIES)?;
        let blocks = txn.table(BLOCKS)?;
        let closings = txn.table(CLOSINGS)?;
        let kind = self.kind as u8;
        for entry in summaries.range((kind, 0)..=(kind, u64::MAX))? {
            let (key, sealed) = entry?;
            let (_, number) = key.value();
            let summary = block::summary(self.kind, &self.stored, number, sealed.value());
            if summary.as_ref().is_some_and(|summary| self.is_outside(summary)) {
                continue;
            }
            let ends = self.ends(&closings, number)?;
            if summary.is_some_and(|summary| self.ended_outside(&ends, summary.rows)) {
                continue;
            }
            match block::read(&blocks, self.kind, &self.stored, number)? {
                Ok(rows) => {
                    let batch = self.project(&rows, &ends)?;
                    if batch.num_rows() > 0 && each(batch).is_break() {
                        break;
                    }
                }
                Err(why) => {
                    quarantine(&block::name(self.kind, number), &why);
                    completeness.add(Reason::SegmentQuarantined);
                }
            }
        }
        Ok(completeness)
    }

    /// Whether no row can be wanted, by the summary alone.
    fn is_outside(&self, summary: &Summary) -> bool {
        if self.starts_only && summary.starts == 0 {
            return true;
        }
        let Some((Origin::Stored(column), window)) = self.window else { return false };
        let at = block::time_columns(&self.stored).position(|at| at == column).expect("the window is over a TIMESTAMP");
        let span = summary.times[at];
        !span.nulls && !window.meets(span.min, span.max)
    }

    /// Whether every version of a block ended, and outside the window over `seen_to`.
    fn ended_outside(&self, ends: &[(u32, i64)], rows: u32) -> bool {
        let Some((Origin::SeenTo, window)) = self.window else { return false };
        ends.len() == rows as usize && !ends.iter().any(|(_, end)| window.meets(*end, *end))
    }

    /// The ends of a block's versions, by row; nothing if nobody asks for them.
    fn ends(&self, closings: &impl ReadableTable<(u64, u32), i64>, number: u64) -> Result<Vec<(u32, i64)>, Error> {
        let windowed = self.window.is_some_and(|(origin, _)| origin == Origin::SeenTo);
        if !windowed && !self.origins.contains(&Origin::SeenTo) {
            return Ok(Vec::new());
        }
        let ends = closings.range((number, 0)..=(number, u32::MAX))?.map(|entry| {
            let (key, end) = entry?;
            Ok((key.value().1, end.value()))
        });
        ends.collect()
    }

    fn project(&self, rows: &RecordBatch, ends: &[(u32, i64)]) -> Result<RecordBatch, Error> {
        let columns = self.origins.iter().map(|origin| match origin {
            Origin::Stored(at) => rows.column(*at).clone(),
            Origin::SeenTo => seen_to(rows.num_rows(), ends),
            Origin::BySnapshot => by_snapshot(rows.num_rows()),
        });
        let columns: Vec<ArrayRef> = columns.collect();
        if !self.starts_only {
            return batch(&self.result, columns, rows.num_rows());
        }
        let started = rows.column_by_name(STARTED).expect("a stored column").as_boolean();
        filtered(&self.result, &columns, started)
    }
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> Result<RecordBatch, Error> {
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

fn seen_to(rows: usize, ends: &[(u32, i64)]) -> ArrayRef {
    if ends.is_empty() {
        return Arc::new(TimestampMicrosecondArray::new_null(rows));
    }
    let mut column = TimestampMicrosecondBuilder::with_capacity(rows);
    let mut ends = ends.iter().peekable();
    for row in 0..rows {
        let end = ends.next_if(|(at, _)| *at as usize == row);
        column.append_option(end.map(|(_, end)| *end));
    }
    Arc::new(column.finish())
}

/// Says in the log what was set aside; the answer's completeness says that something was.
pub(crate) fn quarantine(what: &str, why: &str) {
    tracing::warn!(what, why, "a damaged part of the event store was set aside");
}

/// [`crate::Reader::process`].
pub(crate) fn process(txn: &impl Tables, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
    let Some(key) = ProcKey::parse(proc_id) else { return Ok(None) };
    guarded(|| last_version(txn, key))
}

fn last_version(txn: &impl Tables, key: ProcKey) -> Result<Option<StoredProcess>, Error> {
    let mut place = txn.table(LIVE)?.get(key.0)?.map(|place| place.value());
    if place.is_none() {
        place = txn.table(GONE)?.get(key.0)?.map(|place| place.value());
    }
    let Some(place) = place else { return Ok(None) };
    let row = block::version_row(txn, key, place)?
        .map_err(|why| Error::Damaged(format!("{}: {why}", block::name(Kind::Versions, place.0))))?;
    let source = SourceRow { table: Kind::Versions.table().to_owned(), block: place.0, row: place.1 };
    Ok(Some(StoredProcess { row: version_part(&row), source: Some(source) }))
}

/// The columns that make a version, of rows of [`Kind::Versions`].
pub(crate) fn version_part(rows: &RecordBatch) -> RecordBatch {
    let columns: Vec<_> = (0..rows.num_columns() - 2).collect();
    rows.project(&columns).expect("a stored version starts with the version's columns")
}
