//! The processes of the latest snapshot, and what a new snapshot changes.
//!
//! A collector reports everything there is; here it is compared with what was there before, by `proc_id`. A batch that
//! was lost heals itself: the next one is compared with what was last taken.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_select::take::take_record_batch;
use daemoneye_dsl::tables::{Process, schema_of};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_planner::Batch;
use daemoneye_storage::Live;

/// The processes alive when last looked at, in the layout of `processes`.
pub(crate) struct Present {
    rows: RecordBatch,
    /// When that was; none before the first snapshot ever.
    time: Option<Timestamp>,
}

/// The processes of a snapshot, found by their ids.
pub(crate) struct Living<'a> {
    rows: &'a RecordBatch,
    /// Made when the first is asked for.
    places: OnceCell<HashMap<&'a str, usize>>,
}

impl<'a> Living<'a> {
    /// Those of rows in the layout of `processes`.
    pub(crate) fn new(rows: &'a RecordBatch) -> Self {
        Self { rows, places: OnceCell::new() }
    }

    /// The row of a process, if it lives.
    pub(crate) fn row(&self, proc_id: &str) -> Option<RecordBatch> {
        let places =
            self.places.get_or_init(|| (0..).zip(ids(self.rows)).filter_map(|(at, id)| Some((id?, at))).collect());
        places.get(proc_id).map(|at| self.rows.slice(*at, 1))
    }
}

/// What a snapshot changed.
pub(crate) struct Difference {
    /// The new present.
    pub(crate) rows: RecordBatch,
    /// Processes that were not there before.
    pub(crate) started: RecordBatch,
    /// New versions of those that were.
    pub(crate) changed: RecordBatch,
    /// Last versions of those that have gone.
    pub(crate) exited: RecordBatch,
    /// What the change does to `processes`, volatile columns aside.
    pub(crate) versions: Batch,
}

/// Rows that no honest collector sends.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Dishonest {
    #[error("`{0}` is not a proc_id: it is 16 hexadecimal digits")]
    BadId(String),
    #[error("the snapshot has process {0} twice")]
    Twice(String),
}

const PROC_ID: usize = 0;
const PARENT_ID: usize = 1;

impl Present {
    /// Nothing was ever seen.
    pub(crate) fn never() -> Self {
        Self { rows: Process::batch(&[]), time: None }
    }

    /// What the store remembers. Samples are not stored, so volatile columns are NULL until the next snapshot.
    pub(crate) fn restored(live: &Live) -> Self {
        let mut stored = live.versions.columns().iter();
        let len = live.versions.num_rows();
        let columns = Process::columns().into_iter().map(|column| {
            if !column.volatile {
                return stored.next().expect("the store has every version column").clone();
            }
            let value = if column.nullable { Value::Null } else { Value::Timestamp(live.time.0) };
            column.ty.array(std::iter::repeat_n(value, len))
        });
        let columns = columns.collect();
        let rows = RecordBatch::try_new(schema_of(&Process::columns()), columns).expect("the table's columns");
        Self { rows, time: Some(live.time) }
    }

    pub(crate) fn rows(&self) -> &RecordBatch {
        &self.rows
    }

    pub(crate) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// Takes the new present.
    pub(crate) fn advance(&mut self, rows: RecordBatch, time: Timestamp) {
        self.rows = rows;
        self.time = Some(time);
    }

    /// Compares a snapshot with what was there before.
    pub(crate) fn difference(&self, snapshot: &RecordBatch) -> Result<Difference, Dishonest> {
        let before = ids(&self.rows);
        let places: HashMap<&str, u32> = (0u32..).zip(before.iter().flatten()).map(|(at, id)| (id, at)).collect();
        let after = ids(snapshot);
        let mut seen = HashSet::with_capacity(after.len());
        for id in after.iter().flatten() {
            if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
                return Err(Dishonest::BadId(id.to_owned()));
            }
            if !seen.insert(id) {
                return Err(Dishonest::Twice(id.to_owned()));
            }
        }
        let rows = self.with_first_parents(snapshot, &places);
        let mut started = Vec::new();
        let mut changed = (Vec::new(), Vec::new());
        for (new, id) in (0u32..).zip(after.iter().flatten()) {
            match places.get(id) {
                None => started.push(new),
                Some(old) if !same_version(&self.rows, *old, &rows, new) => {
                    changed.0.push(*old);
                    changed.1.push(new);
                }
                Some(_) => {}
            }
        }
        let exited: Vec<u32> =
            (0u32..).zip(before.iter().flatten()).filter(|(_, id)| !seen.contains(id)).map(|(at, _)| at).collect();
        let leaving = take(&self.rows, &[exited.as_slice(), &changed.0].concat());
        let appearing = take(&rows, &[started.as_slice(), &changed.1].concat());
        Ok(Difference {
            started: versions(&take(&rows, &started)),
            changed: versions(&take(&rows, &changed.1)),
            exited: versions(&take(&self.rows, &exited)),
            versions: Batch::replacing(&leaving, &appearing),
            rows,
        })
    }

    /// `parent_id` names the parent at creation: the one that was seen first, whoever adopted the process since.
    fn with_first_parents(&self, snapshot: &RecordBatch, places: &HashMap<&str, u32>) -> RecordBatch {
        let before = self.rows.column(PARENT_ID).as_string::<i32>();
        let now = snapshot.column(PARENT_ID).as_string::<i32>();
        let parents = ids(snapshot).iter().zip(now).map(|(id, parent)| match id.and_then(|id| places.get(id)) {
            Some(old) => before.is_valid(*old as usize).then(|| before.value(*old as usize)),
            None => parent,
        });
        let mut columns: Vec<ArrayRef> = snapshot.columns().to_vec();
        columns[PARENT_ID] = Arc::new(parents.collect::<StringArray>());
        RecordBatch::try_new(snapshot.schema(), columns).expect("one column of the same type was exchanged")
    }
}

fn ids(rows: &RecordBatch) -> &StringArray {
    rows.column(PROC_ID).as_string::<i32>()
}

fn take(rows: &RecordBatch, numbers: &[u32]) -> RecordBatch {
    take_record_batch(rows, &UInt32Array::from(numbers.to_vec())).expect("rows of this batch")
}

/// The columns that make a version, of rows of `processes`.
pub(crate) fn versions(rows: &RecordBatch) -> RecordBatch {
    let columns = Process::columns();
    let kept: Vec<_> = (0..columns.len()).filter(|at| !columns[*at].volatile).collect();
    rows.project(&kept).expect("columns of this batch")
}

fn same_version(before: &RecordBatch, old: u32, after: &RecordBatch, new: u32) -> bool {
    // Every snapshot compares every process: the declaration is read once, not per row.
    static VERSION: std::sync::LazyLock<Vec<(usize, Type)>> = std::sync::LazyLock::new(|| {
        let columns = Process::columns().into_iter().enumerate();
        columns.filter(|(_, column)| !column.volatile).map(|(at, column)| (at, column.ty)).collect()
    });
    VERSION.iter().all(|(at, ty)| same_value(*ty, before.column(*at), old as usize, after.column(*at), new as usize))
}

fn same_value(ty: Type, before: &ArrayRef, old: usize, after: &ArrayRef, new: usize) -> bool {
    if before.is_null(old) || after.is_null(new) {
        return before.is_null(old) && after.is_null(new);
    }
    match ty {
        Type::Text => before.as_string::<i32>().value(old) == after.as_string::<i32>().value(new),
        Type::Integer => before.as_primitive::<Int64Type>().value(old) == after.as_primitive::<Int64Type>().value(new),
        Type::Boolean => before.as_boolean().value(old) == after.as_boolean().value(new),
        Type::Timestamp => {
            let (before, after) =
                (before.as_primitive::<TimestampMicrosecondType>(), after.as_primitive::<TimestampMicrosecondType>());
            before.value(old) == after.value(new)
        }
        Type::Real => {
            let (before, after) = (before.as_primitive::<Float64Type>(), after.as_primitive::<Float64Type>());
            before.value(old).to_bits() == after.value(new).to_bits()
        }
        _ => Value::at(before, old) == Value::at(after, new),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(id: u64, name: &str, parent: Option<u64>) -> Process {
        Process {
            proc_id: format!("{id:016x}"),
            parent_id: parent.map(|parent| format!("{parent:016x}")),
            name: name.to_owned(),
            cpu_usage: Some(1.0),
            ..Process::default()
        }
    }

    fn names(rows: &RecordBatch) -> Vec<String> {
        // The same place in all columns and in those of a version.
        let at = Process::columns().iter().position(|column| column.name == "name").unwrap();
        rows.column(at).as_string::<i32>().iter().flatten().map(str::to_owned).collect()
    }

    #[test]
    fn starts_changes_and_exits_are_told_apart_and_samples_are_no_change() {
        let mut present = Present::never();
        let first = Process::batch(&[process(1, "init", None), process(2, "sh", Some(1)), process(3, "ps", Some(2))]);
        let all = present.difference(&first).unwrap();
        assert_eq!(names(&all.started), ["init", "sh", "ps"]);
        present.advance(all.rows, Timestamp(1));

        let sampled = Process { cpu_usage: Some(99.0), ..process(1, "init", None) };
        let second = Process::batch(&[sampled, process(2, "dash", Some(1)), process(4, "ls", Some(2))]);
        let difference = present.difference(&second).unwrap();
        assert_eq!(names(&difference.started), ["ls"]);
        assert_eq!(names(&difference.changed), ["dash"]);
        assert_eq!(names(&difference.exited), ["ps"]);
        assert_eq!(names(&difference.versions.rows), ["ps", "sh", "ls", "dash"]);
        assert_eq!(difference.versions.weights, [-1, -1, 1, 1]);
    }

    #[test]
    fn the_first_parent_stays() {
        let mut present = Present::never();
        let first = Process::batch(&[process(1, "init", None), process(3, "x", Some(2)), process(4, "y", None)]);
        present.advance(first, Timestamp(1));
        let adopted = Process::batch(&[process(1, "init", None), process(3, "x", Some(1)), process(4, "y", Some(1))]);
        let difference = present.difference(&adopted).unwrap();
        assert!(difference.versions.is_empty());
        assert_eq!(difference.rows.column(PARENT_ID).as_string::<i32>().value(1), "0000000000000002");
    }

    #[test]
    fn lies_are_named() {
        let present = Present::never();
        let twice = Process::batch(&[process(1, "a", None), process(1, "b", None)]);
        assert!(present.difference(&twice).err().unwrap().to_string().contains("twice"));
        let bad = Process::batch(&[Process { proc_id: "1".to_owned(), ..Process::default() }]);
        assert!(present.difference(&bad).err().unwrap().to_string().contains("not a proc_id"));
    }
}
