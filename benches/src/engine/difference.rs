//! What a snapshot changed, by `(pid, start_time)`: what whoever takes snapshots has to find before rules can step.
//!
//! Both sides are put in the order of their keys, which a snapshot nearly has already, and walked once, side by side:
//! no table of hashes. Processes that follow each other on both sides are compared column by column, as one piece of
//! memory each; only where that differs, row by row. Samples (`cpu_usage`, `memory_usage`) are no change.

use std::cmp::Ordering;

use anyhow::{Context, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow_select::take::take_record_batch;
use daemoneye_dsl::types::{Type, Value};
use daemoneye_planner::Batch;

const SAMPLES: [&str; 2] = ["cpu_usage", "memory_usage"];

/// The rows that leave and those that appear between two snapshots of one layout.
pub fn difference(before: &RecordBatch, after: &RecordBatch) -> anyhow::Result<Batch> {
    let (old, new) = (keys(before)?, keys(after)?);
    let pairs = pairs(before, after);
    let (mut leaving, mut appearing) = (Vec::new(), Vec::new());
    let (mut olds, mut news) = (&old[..], &new[..]);
    loop {
        let len = shared(olds, news);
        changed(&pairs, &olds[..len], &news[..len], &mut |old, new| {
            leaving.push(old);
            appearing.push(new);
        });
        (olds, news) = (&olds[len..], &news[len..]);
        let order = match (olds.first(), news.first()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((old, _)), Some((new, _))) => old.cmp(new),
        };
        match order {
            Ordering::Less => leaving.extend(olds.split_off_first().map(|(_, row)| *row)),
            Ordering::Greater => appearing.extend(news.split_off_first().map(|(_, row)| *row)),
            // The rows do not follow those before.
            Ordering::Equal => {}
        }
    }
    let take = |rows, numbers: Vec<u32>| take_record_batch(rows, &UInt32Array::from(numbers));
    Ok(Batch::replacing(&take(before, leaving)?, &take(after, appearing)?))
}

/// A process and the number of its row.
type Keyed = ((i64, i64), u32);

/// How many processes the two begin with that are the same, and stand in rows that follow each other.
fn shared(olds: &[Keyed], news: &[Keyed]) -> usize {
    let follows = |all: &[Keyed], at: usize| at == 0 || all[at].1 == all[at - 1].1 + 1;
    let both = olds.iter().zip(news).enumerate();
    both.take_while(|(at, (old, new))| old.0 == new.0 && follows(olds, *at) && follows(news, *at)).count()
}

/// Tells of each process of a run that is not as it was.
fn changed(pairs: &[Pair<'_>], old: &[Keyed], new: &[Keyed], tell: &mut impl FnMut(u32, u32)) {
    let (Some((_, old)), Some((_, new)), len) = (old.first(), new.first(), old.len()) else { return };
    let differing: Vec<&Pair<'_>> =
        pairs.iter().filter(|pair| !pair.all_same(*old as usize, *new as usize, len)).collect();
    if differing.is_empty() {
        return;
    }
    for (old, new) in (*old..).zip(*new..).take(len) {
        if !differing.iter().all(|pair| pair.same(old as usize, new as usize)) {
            tell(old, new);
        }
    }
}

/// The rows' keys with their numbers, in order.
fn keys(rows: &RecordBatch) -> anyhow::Result<Vec<Keyed>> {
    let column = |name| rows.column_by_name(name).with_context(|| format!("there is no column {name}"));
    let pids = column("pid")?.as_primitive::<Int64Type>().values();
    let starts = column("start_time")?.as_primitive::<Int64Type>().values();
    let mut keys: Vec<_> = pids.iter().copied().zip(starts.iter().copied()).zip(0u32..).collect();
    keys.sort_unstable();
    let twice = keys.windows(2).find(|pair| pair[0].0 == pair[1].0);
    ensure!(twice.is_none(), "a process is there twice: {:?}", twice.map(|pair| pair[0].0));
    Ok(keys)
}

/// One column of both, known by its type: what is asked for every process is not asked for every cell.
enum Pair<'a> {
    Text(&'a StringArray, &'a StringArray),
    Integer(&'a Int64Array, &'a Int64Array),
    Real(&'a Float64Array, &'a Float64Array),
    Other(&'a ArrayRef, &'a ArrayRef),
}

fn pairs<'a>(before: &'a RecordBatch, after: &'a RecordBatch) -> Vec<Pair<'a>> {
    let schema = before.schema_ref();
    let compared = (0..schema.fields().len()).filter(|at| !SAMPLES.contains(&schema.field(*at).name().as_str()));
    compared.map(|at| Pair::new(before.column(at), after.column(at))).collect()
}

impl<'a> Pair<'a> {
    fn new(old: &'a ArrayRef, new: &'a ArrayRef) -> Self {
        match Type::from_arrow(old.data_type()) {
            Some(Type::Text) => Self::Text(old.as_string(), new.as_string()),
            Some(Type::Integer) => Self::Integer(old.as_primitive(), new.as_primitive()),
            Some(Type::Real) => Self::Real(old.as_primitive(), new.as_primitive()),
            _ => Self::Other(old, new),
        }
    }

    /// Whether so many rows from these on are surely the same.
    fn all_same(&self, old: usize, new: usize, len: usize) -> bool {
        match self {
            Self::Text(a, b) if a.null_count() == 0 && b.null_count() == 0 => {
                let (ends, others) = (&a.value_offsets()[old..=old + len], &b.value_offsets()[new..=new + len]);
                let bytes = |ends: &[i32]| {
                    let place = |at: i32| usize::try_from(at).expect("offsets grow from zero");
                    place(ends[0])..place(ends[len])
                };
                let shift = others[0] - ends[0];
                ends.iter().zip(others).all(|(end, other)| end + shift == *other)
                    && a.value_data()[bytes(ends)] == b.value_data()[bytes(others)]
            }
            Self::Integer(a, b) if a.null_count() == 0 && b.null_count() == 0 => {
                a.values()[old..old + len] == b.values()[new..new + len]
            }
            _ => (0..len).all(|at| self.same(old + at, new + at)),
        }
    }

    fn same(&self, old: usize, new: usize) -> bool {
        match self {
            Self::Text(a, b) => same_null(a, old, b, new).unwrap_or_else(|| a.value(old) == b.value(new)),
            Self::Integer(a, b) => same_null(a, old, b, new).unwrap_or_else(|| a.value(old) == b.value(new)),
            Self::Real(a, b) => {
                same_null(a, old, b, new).unwrap_or_else(|| a.value(old).to_bits() == b.value(new).to_bits())
            }
            Self::Other(a, b) => Value::at(a, old).compare(&Value::at(b, new)).is_eq(),
        }
    }
}

/// None where both have a value.
fn same_null(a: &dyn Array, old: usize, b: &dyn Array, new: usize) -> Option<bool> {
    match (a.is_null(old), b.is_null(new)) {
        (false, false) => None,
        (old, new) => Some(old == new),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn snapshot(rows: &[(i64, i64, &str, i64)]) -> RecordBatch {
        let number = |get: fn(&(i64, i64, &'static str, i64)) -> i64, rows: &[(i64, i64, &str, i64)]| {
            Arc::new(
                rows.iter().map(|(pid, start, _, memory)| get(&(*pid, *start, "", *memory))).collect::<Int64Array>(),
            ) as ArrayRef
        };
        let names: StringArray = rows.iter().map(|row| Some(row.2)).collect();
        RecordBatch::try_from_iter([
            ("pid", number(|row| row.0, rows)),
            ("start_time", number(|row| row.1, rows)),
            ("name", Arc::new(names) as ArrayRef),
            ("memory_usage", number(|row| row.3, rows)),
        ])
        .unwrap()
    }

    fn said(batch: &Batch) -> Vec<(i64, &str)> {
        batch.weights.iter().copied().zip(batch.rows.column(2).as_string::<i32>().iter().flatten()).collect()
    }

    #[test]
    fn exits_starts_changes_and_reused_pids_are_told_apart_and_samples_are_no_change() {
        let before = snapshot(&[(1, 0, "init", 5), (2, 3, "sh", 5), (4, 9, "ps", 5), (7, 9, "cat", 5)]);
        let after = snapshot(&[(9, 20, "ls", 5), (1, 0, "init", 6), (2, 3, "dash", 5), (7, 12, "tac", 5)]);
        let change = difference(&before, &after).unwrap();
        assert_eq!(said(&change), [(-1, "sh"), (-1, "ps"), (-1, "cat"), (1, "dash"), (1, "tac"), (1, "ls")]);
        assert!(difference(&after, &after).unwrap().is_empty());
    }

    #[test]
    fn a_process_that_is_there_twice_is_an_error() {
        let twice = snapshot(&[(1, 0, "a", 5), (1, 0, "b", 5)]);
        assert!(difference(&twice, &twice).unwrap_err().to_string().contains("twice"));
    }
}
