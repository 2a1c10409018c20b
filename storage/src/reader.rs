//! What the planner reads through. It has no way to write, so detection cannot alter what it looks at.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use daemoneye_dsl::alert::SourceRow;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::pattern::Literal;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::{Timestamp, Value};
use serde::{Deserialize, Serialize};

use crate::Error;

/// Receives batches until it breaks.
pub type Each<'e> = &'e mut dyn FnMut(RecordBatch) -> ControlFlow<()>;

/// A consistent state of the stored tables.
///
/// `process_starts`, `process_exits`, `processes_history`, `process_samples` and `alerts` are answered; `processes`, the
/// present, never is: the agent and a live snapshot know it, a store only remembers it.
pub trait Reader {
    /// The rows of a table batch by batch, in the order they were stored, until `each` breaks. What is held at a time is
    /// a block, or a page of a segment.
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error>;

    /// All that [`Reader::visit`] hands over.
    fn scan(&self, scan: &Scan<'_>) -> Result<Scanned, Error> {
        let mut batches = Vec::new();
        let completeness = self.visit(scan, &mut |batch| {
            batches.push(batch);
            ControlFlow::Continue(())
        })?;
        Ok(Scanned { batches, completeness })
    }

    /// The last known version of a process, alive or gone, in the layout of `dsl::tables::version_columns()`. An id
    /// that is none names no process; a damaged version is an error that names its block.
    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error>;
}

/// What to read. Everything that `required` and `tests` say is a permission, not a duty: rows that do not meet them may
/// be left out, and the caller filters again, unless the reader says that it left out every row that fails a test.
#[derive(Clone, Copy)]
pub struct Scan<'a> {
    /// The table, as the catalog declares it.
    pub table: &'a Table,
    /// Positions in the table, in the order of the result's columns.
    pub columns: &'a [usize],
    /// Of each group, a row that is wanted meets at least one probe: what indexes are asked.
    pub required: &'a [Vec<Probe>],
    /// A row that is wanted passes all of them.
    pub tests: &'a [Test<'a>],
    /// Set by a reader that leaves out every row that fails a test, before it hands rows over.
    pub exact: Option<&'a Cell<bool>>,
    /// Places in `columns` of TEXT that may come as `Dictionary(UInt32, Utf8)`, batch by batch, where it is exact.
    pub dictionaries: &'a [usize],
    /// Of `dsl::tables::processes_at()`, the moment whose samples are wanted. What else a scan says of these columns is
    /// left to the caller.
    pub as_of: Option<Timestamp>,
    /// Places in `columns` that nobody looks at but the tests: any may come as `Null`, where it is exact.
    pub unread: &'a [usize],
    /// Asked from part to part and page to page: whether to go on. Where it says no, the scan ends as if `each` broke.
    pub goes_on: Option<&'a dyn Fn() -> bool>,
    /// Where what is done is counted.
    pub tally: Option<&'a RefCell<Tally>>,
}

/// What scans of history did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Segments that there are.
    pub segments: u64,
    /// Those of which an index or the header told that they have nothing that is wanted.
    pub segments_pruned: u64,
    /// Blocks of versions that are not sealed yet.
    pub blocks: u64,
    /// Versions in all of these.
    pub rows: u64,
    /// Those that nothing had to be read of but indexes.
    pub rows_pruned: u64,
    /// Bytes that were read, as they are stored.
    pub bytes: u64,
    /// The columns whose indexes were asked.
    pub indexes: BTreeSet<String>,
}

impl<'a> Scan<'a> {
    pub(crate) fn is_over(&self) -> bool {
        self.goes_on.is_some_and(|goes_on| !goes_on())
    }

    pub(crate) fn count(&self, count: impl FnOnce(&mut Tally)) {
        if let Some(tally) = self.tally {
            count(&mut tally.borrow_mut());
        }
    }

    /// Every row.
    pub fn all(table: &'a Table, columns: &'a [usize]) -> Self {
        Self {
            table,
            columns,
            required: &[],
            tests: &[],
            exact: None,
            dictionaries: &[],
            unread: &[],
            as_of: None,
            goes_on: None,
            tally: None,
        }
    }
}

/// Something about one column that an index can tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// The column's position in the table.
    pub column: usize,
    /// What is asked.
    pub question: Question,
}

/// What is asked about a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The text, ASCII letters folded, contains it.
    Contains(Literal),
    /// It equals this, ASCII letters folded.
    Equal(Value),
    /// The number or moment, rounded to a double, is not less.
    AtLeast(f64),
    /// The number or moment, rounded to a double, is not greater.
    AtMost(f64),
    /// It is NULL.
    Null,
}

/// A condition on one column.
#[derive(Clone, Copy)]
pub struct Test<'a> {
    /// The column's position in the table.
    pub column: usize,
    /// Which of some values fulfil it, as BOOLEAN; the same for equal values, whatever the row.
    pub passes: &'a dyn Fn(&ArrayRef) -> BooleanArray,
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
    /// Rows of which one is the version: who asks for thousands gets the same rows again and again.
    pub rows: Arc<RecordBatch>,
    /// Which of the rows.
    pub at: usize,
    /// Its place, for the evidence of an alert; none where the row comes from a snapshot in memory.
    pub source: Option<SourceRow>,
}

impl StoredProcess {
    /// The only row of a batch.
    pub fn alone(row: RecordBatch, source: Option<SourceRow>) -> Self {
        Self { rows: Arc::new(row), at: 0, source }
    }

    /// The version by itself: one row.
    pub fn version(&self) -> RecordBatch {
        self.rows.slice(self.at, 1)
    }
}
