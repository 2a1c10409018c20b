//! What a statement reads: the present from a live snapshot, everything else from the store.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow_array::RecordBatch;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::ancestors;
use daemoneye_storage::{Error, Reader, Scan, Scanned, StoredProcess};

/// Whether the query reads `processes`, the present.
pub(crate) fn reads_present(query: &Query) -> bool {
    query.tables().iter().any(|table| table.table.name == "processes")
}

/// The tables of the query that only the store has.
pub(crate) fn stored_tables(query: &Query) -> Vec<&'static str> {
    let mut names: Vec<_> = query.tables().iter().map(|table| table.table.name).collect();
    names.retain(|name| !matches!(*name, "processes" | ancestors::NAME));
    names.dedup();
    names
}

/// How complete what is read from a snapshot can be at best.
pub(crate) fn completeness(query: &Query, snapshot: Option<&Snapshot>) -> Completeness {
    let reads_processes = reads_present(query);
    snapshot.filter(|_| reads_processes).map(|snapshot| snapshot.completeness.clone()).unwrap_or_default()
}

/// A reader that counts the rows that each table gave.
pub(crate) struct Counted<'a> {
    inner: &'a dyn Reader,
    rows: RefCell<BTreeMap<&'static str, usize>>,
}

impl<'a> Counted<'a> {
    pub(crate) fn new(inner: &'a dyn Reader) -> Self {
        Self { inner, rows: RefCell::default() }
    }

    /// `312 processes and 40 process_starts`; empty where no table was read. A table that is read twice counts once.
    pub(crate) fn describe(&self) -> String {
        let rows = self.rows.borrow();
        let tables: Vec<_> = rows.iter().map(|(table, rows)| of_table(*rows, table)).collect();
        match tables.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} and {last}", first.join(", ")),
        }
    }

    fn note(&self, table: &'static str, rows: usize) {
        let mut known = self.rows.borrow_mut();
        let most = known.entry(table).or_default();
        *most = (*most).max(rows);
    }
}

fn of_table(rows: usize, table: &str) -> String {
    let singular = rows == 1 && table.ends_with('s');
    let one = table.strip_suffix("es").filter(|it| it.ends_with("process")).or_else(|| table.strip_suffix('s'));
    match table {
        "processes_history" => format!("{rows} {} of processes", if rows == 1 { "version" } else { "versions" }),
        _ if singular => format!("{rows} {}", one.unwrap_or(table).replace('_', " ")),
        _ => format!("{rows} {}", table.replace('_', " ")),
    }
}

impl Reader for Counted<'_> {
    fn scan(&self, scan: &Scan<'_>) -> Result<Scanned, Error> {
        let scanned = self.inner.scan(scan)?;
        self.note(scan.table.name, scanned.batches.iter().map(RecordBatch::num_rows).sum());
        Ok(scanned)
    }

    fn visit(
        &self,
        scan: &Scan<'_>,
        each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> Result<Completeness, Error> {
        let mut rows = 0;
        let completeness = self.inner.visit(scan, &mut |batch| {
            rows += batch.num_rows();
            each(batch)
        })?;
        self.note(scan.table.name, rows);
        Ok(completeness)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        self.inner.process(proc_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_as_people_do() {
        assert_eq!(of_table(312, "processes"), "312 processes");
        assert_eq!(of_table(1, "processes"), "1 process");
        assert_eq!(of_table(1, "process_starts"), "1 process start");
        assert_eq!(of_table(2, "processes_history"), "2 versions of processes");
    }
}
