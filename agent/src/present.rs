//! The processes of the latest snapshot, and what a new snapshot changes.
//!
//! A collector reports everything there is; here it is compared with what was there before, by `proc_id`. A batch that
//! was lost heals itself: the next one is compared with what was last taken.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayAccessor, ArrayRef, RecordBatch, StringArray, UInt32Array};
use arrow_select::take::take_record_batch;
use daemoneye_dsl::tables::{Process, schema_of};
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_planner::Batch;
use daemoneye_storage::Live;
use hashbrown::DefaultHashBuilder;

/// Rows by the id of their process. Thousands of ids are looked up in each snapshot.
type Places<'a, T> = HashMap<&'a str, T, DefaultHashBuilder>;

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
    places: OnceCell<Places<'a, usize>>,
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
        let Matched { known, started, exited } = self.matched(snapshot)?;
        let rows = self.with_first_parents(snapshot, &known);
        let changed = differing(&self.rows, &rows, &known);
        let (before, after): (Vec<u32>, Vec<u32>) = changed.into_iter().unzip();
        let leaving = take(&self.rows, &[exited.as_slice(), &before].concat());
        let appearing = take(&rows, &[started.as_slice(), &after].concat());
        Ok(Difference {
            started: versions(&take(&rows, &started)),
            changed: versions(&take(&rows, &after)),
            exited: versions(&take(&self.rows, &exited)),
            versions: Batch::replacing(&leaving, &appearing),
            rows,
        })
    }

    /// Which row of before is which of the snapshot. Collectors keep their order: most often it is the next.
    fn matched(&self, snapshot: &RecordBatch) -> Result<Matched, Dishonest> {
        let (before, after) = (ids(&self.rows), ids(snapshot));
        let places: OnceCell<Places<'_, u32>> = OnceCell::new();
        let place = |id: &str| {
            let places = places.get_or_init(|| (0u32..).zip(before).filter_map(|(at, id)| Some((id?, at))).collect());
            places.get(id).copied()
        };
        let mut is_met = vec![false; before.len()];
        let mut new_ids: HashSet<&str, DefaultHashBuilder> = HashSet::default();
        let mut matched = Matched::default();
        let mut next = 0;
        for (new, id) in (0u32..).zip(after.iter().flatten()) {
            let is_next = before.len() > next as usize && before.value(next as usize) == id;
            let Some(old) = is_next.then_some(next).or_else(|| place(id)) else {
                if id.len() != 16 || !id.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase()) {
                    return Err(Dishonest::BadId(id.to_owned()));
                }
                if !new_ids.insert(id) {
                    return Err(Dishonest::Twice(id.to_owned()));
                }
                matched.started.push(new);
                continue;
            };
            if std::mem::replace(&mut is_met[old as usize], true) {
                return Err(Dishonest::Twice(id.to_owned()));
            }
            matched.known.push((old, new));
            next = old + 1;
        }
        matched.exited = (0u32..).zip(is_met).filter(|(_, is_met)| !is_met).map(|(old, _)| old).collect();
        Ok(matched)
    }

    /// `parent_id` names the parent at creation: the one that was seen first, whoever adopted the process since.
    fn with_first_parents(&self, snapshot: &RecordBatch, known: &[Pair]) -> RecordBatch {
        let (before, now) = (parents(&self.rows), parents(snapshot));
        let mut first: Vec<_> = now.iter().collect();
        for (old, new) in known {
            first[*new as usize] = before.is_valid(*old as usize).then(|| before.value(*old as usize));
        }
        let mut columns: Vec<ArrayRef> = snapshot.columns().to_vec();
        columns[PARENT_ID] = Arc::new(StringArray::from(first));
        RecordBatch::try_new(snapshot.schema(), columns).expect("one column of the same type was exchanged")
    }
}

/// The number of a row before, and that of the same process in a snapshot.
type Pair = (u32, u32);

/// The rows of before and those of a snapshot, by process.
#[derive(Default)]
struct Matched {
    /// In both, in the order of the snapshot.
    known: Vec<Pair>,
    /// In the snapshot only.
    started: Vec<u32>,
    /// Before only.
    exited: Vec<u32>,
}

fn ids(rows: &RecordBatch) -> &StringArray {
    rows.column(PROC_ID).as_string::<i32>()
}

fn parents(rows: &RecordBatch) -> &StringArray {
    rows.column(PARENT_ID).as_string::<i32>()
}

fn take(rows: &RecordBatch, numbers: &[u32]) -> RecordBatch {
    // Of a first snapshot that is all of them.
    if numbers.len() == rows.num_rows() && numbers.iter().zip(0..).all(|(number, at)| *number == at) {
        return rows.clone();
    }
    take_record_batch(rows, &UInt32Array::from(numbers.to_vec())).expect("rows of this batch")
}

/// The columns that make a version, of rows of `processes`.
pub(crate) fn versions(rows: &RecordBatch) -> RecordBatch {
    let columns = Process::columns();
    let kept: Vec<_> = (0..columns.len()).filter(|at| !columns[*at].volatile).collect();
    rows.project(&kept).expect("columns of this batch")
}

/// Of the pairs, those that differ in a column that makes a version.
fn differing(before: &RecordBatch, after: &RecordBatch, known: &[Pair]) -> Vec<Pair> {
    let mut differs = vec![false; known.len()];
    for (at, column) in Process::columns().iter().enumerate().filter(|(_, column)| !column.volatile) {
        mark_differing(column.ty, (before.column(at), after.column(at)), known, &mut differs);
    }
    known.iter().zip(differs).filter(|(_, differs)| *differs).map(|(pair, _)| *pair).collect()
}

/// Marks the pairs that differ in one column: its type is looked at once, not per row.
fn mark_differing(ty: Type, (before, after): (&ArrayRef, &ArrayRef), known: &[Pair], differs: &mut [bool]) {
    macro_rules! mark {
        ($as:ident $(::<$of:ty>)?) => {
            mark(before.$as$(::<$of>)?(), after.$as$(::<$of>)?(), known, differs, |one, other| one == other)
        };
    }
    match ty {
        Type::Text => mark!(as_string::<i32>),
        Type::Blob => mark!(as_binary::<i32>),
        Type::Integer => mark!(as_primitive::<Int64Type>),
        Type::Timestamp => mark!(as_primitive::<TimestampMicrosecondType>),
        Type::Interval => mark!(as_primitive::<DurationMicrosecondType>),
        Type::Boolean => mark!(as_boolean),
        // No number is another that looks the same, and what is none is itself.
        Type::Real => {
            let (before, after) = (before.as_primitive::<Float64Type>(), after.as_primitive::<Float64Type>());
            mark(before, after, known, differs, |one, other| one.to_bits() == other.to_bits());
        }
    }
}

fn mark<A: ArrayAccessor + Copy>(
    before: A,
    after: A,
    known: &[Pair],
    differs: &mut [bool],
    same: impl Fn(A::Item, A::Item) -> bool,
) {
    for ((old, new), differs) in known.iter().zip(differs) {
        let (old, new) = (*old as usize, *new as usize);
        *differs |= match (before.is_null(old), after.is_null(new)) {
            (false, false) => !same(before.value(old), after.value(new)),
            (one, other) => one != other,
        };
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

    /// Whatever the order, and however many come and go between those that stay.
    #[test]
    fn the_order_of_a_snapshot_does_not_matter() {
        let of = |ids: &[u64], renamed: u64| {
            let name = |id: u64| if id == renamed { format!("new-{id}") } else { format!("p{id}") };
            Process::batch(&ids.iter().map(|id| process(*id, &name(*id), None)).collect::<Vec<_>>())
        };
        let mut present = Present::never();
        present.advance(of(&[1, 2, 3, 4, 5, 6], 0), Timestamp(1));
        for ids in [[1, 3, 4, 6, 7, 8], [8, 6, 4, 7, 3, 1], [7, 1, 8, 3, 6, 4], [6, 1, 3, 4, 8, 7]] {
            let difference = present.difference(&of(&ids, 4)).unwrap();
            let sorted = |rows| {
                let mut names = names(rows);
                names.sort();
                names
            };
            assert_eq!(sorted(&difference.started), ["p7", "p8"]);
            assert_eq!(sorted(&difference.changed), ["new-4"]);
            assert_eq!(sorted(&difference.exited), ["p2", "p5"]);
            assert_eq!(difference.rows.num_rows(), 6);
        }
        let known_twice = present.difference(&of(&[1, 2, 3, 2], 0));
        assert!(known_twice.err().unwrap().to_string().contains("twice"));
    }

    #[test]
    fn every_column_of_a_version_counts_and_so_does_that_it_is_unknown() {
        let mut present = Present::never();
        let first = process(1, "init", None);
        present.advance(Process::batch(std::slice::from_ref(&first)), Timestamp(1));
        let others = [
            Process { pid: 9, ..first.clone() },
            Process { command_line: Some(String::new()), ..first.clone() },
            Process { start_time: Some(Timestamp(0)), ..first.clone() },
            Process { accessible: !first.accessible, ..first.clone() },
        ];
        for other in others {
            let difference = present.difference(&Process::batch(std::slice::from_ref(&other))).unwrap();
            assert_eq!(difference.changed.num_rows(), 1, "{other:?}");
        }
        assert_eq!(present.difference(&Process::batch(&[first])).unwrap().changed.num_rows(), 0);
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
