//! What the planner reads through. It has no way to write, so detection cannot alter what it looks at.

use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use daemoneye_dsl::alert::SourceRow;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Table;

use crate::Error;

/// A consistent state of the stored tables.
///
/// `process_starts`, `process_exits`, `processes_history` and `alerts` are answered; `processes`, the present, never
/// is: the agent and a live snapshot know it, a store only remembers it.
pub trait Reader {
    /// The rows of a table.
    fn scan(&self, scan: &Scan<'_>) -> Result<Scanned, Error>;

    /// [`Reader::scan`] batch by batch, in the order they were stored, until `each` breaks: the way to read more than
    /// fits in memory. What is held at a time is one block.
    fn visit(
        &self,
        scan: &Scan<'_>,
        each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> Result<Completeness, Error> {
        let Scanned { batches, completeness } = self.scan(scan)?;
        let _all_or_some = batches.into_iter().try_for_each(each);
        Ok(completeness)
    }

    /// The last known version of a process, alive or gone, in the layout of `dsl::tables::version_columns()`. An id
    /// that is none names no process; a damaged version is an error that names its block.
    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error>;
}

/// What to read.
#[derive(Clone, Copy, Debug)]
pub struct Scan<'a> {
    /// The table, as the catalog declares it.
    pub table: &'a Table,
    /// Positions in the table, in the order of the result's columns.
    pub columns: &'a [usize],
    /// Which rows may be left out.
    pub window: Option<Window>,
}

/// Rows whose TIMESTAMP `column` lies outside may be left out, and need not be: the caller filters again. Rows where it
/// is NULL are never left out. Bounds are inclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The column's position in the table.
    pub column: usize,
    /// Microseconds since 1970; unbounded if absent.
    pub from: Option<i64>,
    /// Microseconds since 1970; unbounded if absent.
    pub to: Option<i64>,
}

impl Window {
    /// Whether a moment between `min` and `max` can lie inside.
    pub(crate) fn meets(&self, min: i64, max: i64) -> bool {
        self.from.is_none_or(|from| max >= from) && self.to.is_none_or(|to| min <= to)
    }
}

/// The answer to a [`Scan`].
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The rows, with the columns that were asked for.
    pub batches: Vec<RecordBatch>,
    /// Whether a damaged block had to be set aside.
    pub completeness: Completeness,
}

/// A version of a process and where it is stored.
#[derive(Clone, Debug)]
pub struct StoredProcess {
    /// One row.
    pub row: RecordBatch,
    /// Its place, for the evidence of an alert; none where the row comes from a snapshot in memory.
    pub source: Option<SourceRow>,
}
