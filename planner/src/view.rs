//! What a query sees: the present from a snapshot in memory, everything else from a store.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Process;
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

/// The tables as one reader. "Now" is never answered from a store, whose last snapshot may be old.
pub struct View<'a> {
    snapshot: Option<&'a RecordBatch>,
    rest: Option<&'a dyn Reader>,
    /// The row of each `proc_id` in the snapshot, made when the first process is asked for.
    index: OnceCell<HashMap<&'a str, usize>>,
}

impl<'a> View<'a> {
    /// `snapshot` has the layout of `processes`; what is absent gives an error when it is asked for.
    pub fn new(snapshot: Option<&'a RecordBatch>, rest: Option<&'a dyn Reader>) -> Self {
        Self { snapshot, rest, index: OnceCell::new() }
    }

    fn row_of(&self, snapshot: &'a RecordBatch, proc_id: &str) -> Option<usize> {
        let index = self.index.get_or_init(|| {
            let ids = snapshot.column(0).as_string::<i32>();
            (0..ids.len()).map(|row| (ids.value(row), row)).collect()
        });
        index.get(proc_id).copied()
    }
}

impl Reader for View<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        match (&*scan.table.name, self.snapshot, self.rest) {
            ("processes", Some(snapshot), _) => {
                let rows = snapshot.project(scan.columns).map_err(|error| Error::Refused(error.to_string()))?;
                let _only_one = each(rows);
                Ok(Completeness::default())
            }
            ("processes", None, _) => Err(Error::Refused("there is no snapshot of `processes` here".to_owned())),
            (_, _, Some(rest)) => rest.visit(scan, each),
            (table, _, None) => {
                Err(Error::Refused(format!("`{table}` is in the event store, and there is none here: start the agent")))
            }
        }
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        let found = self.snapshot.and_then(|snapshot| Some((snapshot, self.row_of(snapshot, proc_id)?)));
        match (found, self.rest) {
            (Some((snapshot, row)), _) => Ok(Some(StoredProcess { row: version_of(snapshot, row), source: None })),
            (None, Some(rest)) => rest.process(proc_id),
            (None, None) => Ok(None),
        }
    }
}

/// One row of `processes` without its volatile columns.
fn version_of(snapshot: &RecordBatch, row: usize) -> RecordBatch {
    static KEPT: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let columns = Process::columns();
        (0..columns.len()).filter(|at| !columns[*at].volatile).collect()
    });
    snapshot.slice(row, 1).project(&KEPT).expect("the snapshot has the table's columns")
}
