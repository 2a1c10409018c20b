//! How much of each table a statement looked at.

use std::cell::RefCell;
use std::collections::BTreeMap;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Kind, Table};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

/// A reader that counts the rows that each table gave.
pub struct Counted<'a> {
    inner: &'a dyn Reader,
    rows: RefCell<BTreeMap<String, (usize, Kind)>>,
}

impl<'a> Counted<'a> {
    /// A reader that passes on what `inner` gives.
    pub fn new(inner: &'a dyn Reader) -> Self {
        Self { inner, rows: RefCell::default() }
    }

    /// The rows of all tables, each counted once.
    pub fn total(&self) -> usize {
        self.rows.borrow().values().map(|(rows, _)| rows).sum()
    }

    /// The rows of each table that was read, by its name; one that was read twice counts once.
    pub fn by_table(&self) -> Vec<(String, usize, Kind)> {
        let rows = self.rows.borrow();
        rows.iter().map(|(table, (rows, kind))| (table.clone(), *rows, *kind)).collect()
    }

    fn note(&self, table: &Table, rows: usize) {
        let mut known = self.rows.borrow_mut();
        let (most, _) = known.entry(table.name.to_string()).or_insert((0, table.kind));
        *most = (*most).max(rows);
    }
}

impl Reader for Counted<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let mut rows = 0;
        let completeness = self.inner.visit(scan, &mut |batch| {
            rows += batch.num_rows();
            each(batch)
        })?;
        self.note(scan.table, rows);
        Ok(completeness)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        self.inner.process(proc_id)
    }
}
