//! What a query sees: the present from a snapshot in memory, everything else from a store.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow_array::cast::AsArray;
use arrow_array::{Array, RecordBatch};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Process;
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

/// The tables as one reader. "Now" is never answered from a store, whose last snapshot may be old.
pub struct View<'a> {
    snapshot: Option<&'a RecordBatch>,
    rest: Option<&'a dyn Reader>,
    /// Made when the first process of the snapshot is asked for.
    present: OnceCell<Present<'a>>,
}

/// A snapshot, to ask for single processes.
struct Present<'a> {
    /// Without the volatile columns.
    versions: Arc<RecordBatch>,
    /// The row of each `proc_id`.
    rows: HashMap<&'a str, usize>,
}

impl<'a> View<'a> {
    /// `snapshot` has the layout of `processes`; what is absent gives an error when it is asked for.
    pub fn new(snapshot: Option<&'a RecordBatch>, rest: Option<&'a dyn Reader>) -> Self {
        Self { snapshot, rest, present: OnceCell::new() }
    }

    fn present(&self) -> Option<&Present<'a>> {
        self.snapshot.map(|snapshot| self.present.get_or_init(|| Present::of(snapshot)))
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
        let found = self.present().and_then(|present| present.process(proc_id));
        match (found, self.rest) {
            (Some(found), _) => Ok(Some(found)),
            (None, Some(rest)) => rest.process(proc_id),
            (None, None) => Ok(None),
        }
    }
}

impl<'a> Present<'a> {
    fn of(snapshot: &'a RecordBatch) -> Self {
        static KEPT: LazyLock<Vec<usize>> = LazyLock::new(|| {
            let columns = Process::columns();
            (0..columns.len()).filter(|at| !columns[*at].volatile).collect()
        });
        let versions = snapshot.project(&KEPT).expect("the snapshot has the table's columns");
        let ids = snapshot.column(0).as_string::<i32>();
        let rows = (0..ids.len()).map(|row| (ids.value(row), row)).collect();
        Self { versions: Arc::new(versions), rows }
    }

    fn process(&self, proc_id: &str) -> Option<StoredProcess> {
        let at = *self.rows.get(proc_id)?;
        Some(StoredProcess { rows: self.versions.clone(), at, source: None })
    }
}
