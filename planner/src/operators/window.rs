//! Window functions: for each row a value from the rows around it.
//!
//! Rows are put in partitions, ordered within each, and every function looks at a frame: a slice of the ordered
//! partition, found for each row. The result has the rows in the first window's order.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::{ArrayRef, RecordBatch};
use daemoneye_dsl::query::{Bound, Frame, FrameUnits, SortKey, Window, WindowFunction};
use daemoneye_dsl::types::{Type, Value};

use super::aggregate::Call;
use super::sort::compare;
use super::{Context, Meaning, ROWS_MAX, within};
use crate::batch::{RowCodec, batch, take};
use crate::error::Error;
use crate::eval::Evaluator;

/// Rows that the frames of one window may come to, counted for each row anew.
const LOOKS_MAX: usize = ROWS_MAX * 100;

pub(super) struct Windows(pub(super) Vec<Window>);

impl Meaning for Windows {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let mut columns = rows.columns().to_vec();
        let mut first_order = None;
        for window in &self.0 {
            let partitions = partitions(window, rows, context);
            columns.push(values(window, rows, &partitions, context)?);
            first_order.get_or_insert_with(|| partitions.iter().flat_map(|it| it.rows.iter().copied()).collect());
        }
        let order: Vec<u32> = first_order.unwrap_or_default();
        Ok(take(&batch(columns, rows.num_rows()), &order))
    }
}

/// Rows that are looked at together, in order.
struct Partition {
    rows: Vec<u32>,
    /// For each of them, the positions of its peers: rows that ORDER BY does not tell apart.
    peers: Vec<Range<usize>>,
    /// For each of them, the number of its group of peers, and the groups.
    group: Vec<usize>,
    groups: Vec<Range<usize>>,
}

fn partitions(window: &Window, rows: &RecordBatch, context: &Context<'_>) -> Vec<Partition> {
    let evaluator = context.evaluator(rows);
    let keys: Vec<_> = window.partition.iter().map(|key| evaluator.values(key)).collect();
    let types: Vec<_> = window.partition.iter().map(|key| key.ty).collect();
    let mut by_key: BTreeMap<Box<[u8]>, Vec<u32>> = BTreeMap::new();
    for (row, key) in (0u32..).zip(RowCodec::new(&types).encode(&keys, rows.num_rows())) {
        by_key.entry(key).or_default().push(row);
    }
    let order: Vec<(SortKey, Vec<Value>)> =
        window.order.iter().map(|term| (term.key, all(&evaluator.values(&term.expr)))).collect();
    let whole = context.installed.then(|| {
        let types: Vec<_> = rows.columns().iter().filter_map(|it| Type::from_arrow(it.data_type())).collect();
        RowCodec::new(&types).encode(rows.columns(), rows.num_rows())
    });
    let by_order = |a: u32, b: u32| {
        let terms = order.iter().map(|(key, values)| compare(key, &values[a as usize], &values[b as usize]));
        terms.fold(Ordering::Equal, Ordering::then)
    };
    let partition = |mut rows: Vec<u32>| {
        rows.sort_by(|a, b| {
            let tie = || whole.as_ref().map_or(Ordering::Equal, |whole| whole[*a as usize].cmp(&whole[*b as usize]));
            by_order(*a, *b).then_with(tie)
        });
        let mut groups: Vec<Range<usize>> = Vec::new();
        for at in 0..rows.len() {
            match groups.last_mut() {
                Some(group) if by_order(rows[group.start], rows[at]).is_eq() => group.end = at + 1,
                _ => groups.push(at..at + 1),
            }
        }
        let group: Vec<usize> = groups.iter().enumerate().flat_map(|(at, it)| it.clone().map(move |_| at)).collect();
        let peers = group.iter().map(|at| groups[*at].clone()).collect();
        Partition { rows, peers, group, groups }
    };
    by_key.into_values().map(partition).collect()
}

fn all(column: &ArrayRef) -> Vec<Value> {
    (0..column.len()).map(|row| Value::at(column, row)).collect()
}

/// The window's value for every row, in the order of the input.
fn values(
    window: &Window,
    rows: &RecordBatch,
    partitions: &[Partition],
    context: &Context<'_>,
) -> Result<ArrayRef, Error> {
    let evaluator = context.evaluator(rows);
    let mut answers = vec![Value::Null; rows.num_rows()];
    let function = Function::new(window, &evaluator);
    let distances = match window.order.as_slice() {
        [one] => Some((one.key, all(&evaluator.values(&one.expr)))),
        _ => None,
    };
    let mut looks = 0usize;
    for partition in partitions {
        let mut last: Option<(Range<usize>, Value)> = None;
        for at in 0..partition.rows.len() {
            context.work(1)?;
            let row = partition.rows[at];
            let frame = || partition.frame(&window.frame, at, distances.as_ref());
            answers[row as usize] = match &function {
                Function::Aggregate(call) => {
                    let frame = frame();
                    if last.as_ref().is_none_or(|(known, _)| *known != frame) {
                        looks = looks.saturating_add(frame.len());
                        within(looks, LOOKS_MAX, "a window")?;
                        context.spend(frame.len())?;
                        let value = call.value(&partition.rows[frame.clone()]);
                        last = Some((frame, value));
                    }
                    last.as_ref().map_or(Value::Null, |(_, value)| value.clone())
                }
                Function::OfRow(values) => partition.of_frame(values, &frame(), values.nth(row)),
                Function::Position => partition.position(&window.function, at),
                Function::Ntile(parts) => ntile(at, partition.rows.len(), &parts[partition.rows[0] as usize]),
                Function::Shift { value, by, otherwise, ahead } => {
                    let by = by[row as usize].as_integer();
                    let by = by.map(|by| if *ahead { by } else { by.saturating_neg() });
                    let there = by.and_then(|by| {
                        let at = i64::try_from(at).ok()?.checked_add(by)?;
                        partition.rows.get(usize::try_from(at).ok()?)
                    });
                    match (by, there) {
                        (None, _) => Value::Null,
                        (_, Some(there)) => value[*there as usize].clone(),
                        (_, None) => otherwise[row as usize].clone(),
                    }
                }
            };
        }
    }
    Ok(window.ty.array(answers))
}

/// A function with its arguments for every row.
enum Function<'a> {
    Aggregate(Call<'a>),
    OfRow(OfRow),
    Position,
    Ntile(Vec<Value>),
    Shift { value: Vec<Value>, by: Vec<Value>, otherwise: Vec<Value>, ahead: bool },
}

/// A value of one row of the frame.
struct OfRow {
    values: Vec<Value>,
    which: Which,
}

enum Which {
    First,
    Last,
    /// The n-th, seen from each row.
    Nth(Vec<Value>),
}

impl OfRow {
    /// Which row of the frame, from 0; `usize::MAX` is the last, and none is none.
    fn nth(&self, row: u32) -> Option<usize> {
        match &self.which {
            Which::First => Some(0),
            Which::Last => Some(usize::MAX),
            Which::Nth(numbers) => usize::try_from(numbers[row as usize].as_integer()?).ok()?.checked_sub(1),
        }
    }
}

impl<'a> Function<'a> {
    fn new(window: &'a Window, evaluator: &Evaluator<'_>) -> Self {
        let values = |expr| all(&evaluator.values(expr));
        let of_row = |expr, which| Self::OfRow(OfRow { values: values(expr), which });
        match &window.function {
            WindowFunction::Aggregate(aggregate) => Self::Aggregate(Call::new(aggregate, evaluator, false)),
            WindowFunction::RowNumber
            | WindowFunction::Rank
            | WindowFunction::DenseRank
            | WindowFunction::PercentRank
            | WindowFunction::CumeDist => Self::Position,
            WindowFunction::Ntile(parts) => Self::Ntile(values(parts)),
            WindowFunction::Shift { value, by, otherwise, ahead } => {
                Self::Shift { value: values(value), by: values(by), otherwise: values(otherwise), ahead: *ahead }
            }
            WindowFunction::FirstValue(of) => of_row(of, Which::First),
            WindowFunction::LastValue(of) => of_row(of, Which::Last),
            WindowFunction::NthValue(of, number) => of_row(of, Which::Nth(values(number))),
        }
    }
}

impl Partition {
    fn of_frame(&self, of: &OfRow, frame: &Range<usize>, nth: Option<usize>) -> Value {
        let at = match nth {
            Some(usize::MAX) => frame.end.checked_sub(1).filter(|at| frame.contains(at)),
            Some(nth) => frame.start.checked_add(nth).filter(|at| frame.contains(at)),
            None => None,
        };
        at.map_or(Value::Null, |at| of.values[self.rows[at] as usize].clone())
    }

    #[expect(clippy::cast_precision_loss, reason = "shares of fewer than 2^32 rows")]
    fn position(&self, function: &WindowFunction, at: usize) -> Value {
        let integer = |number: usize| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let (peers, rows) = (&self.peers[at], self.rows.len());
        match function {
            WindowFunction::RowNumber => integer(at + 1),
            WindowFunction::Rank => integer(peers.start + 1),
            WindowFunction::DenseRank => integer(self.group[at] + 1),
            WindowFunction::PercentRank if rows < 2 => Value::Real(0.0),
            WindowFunction::PercentRank => Value::Real(peers.start as f64 / (rows - 1) as f64),
            WindowFunction::CumeDist => Value::Real(peers.end as f64 / rows as f64),
            _ => unreachable!("the others look at values"),
        }
    }

    /// The positions that the frame covers, seen from the row at `at`.
    fn frame(&self, frame: &Frame, at: usize, distances: Option<&(SortKey, Vec<Value>)>) -> Range<usize> {
        let len = self.rows.len();
        let start = match frame.start {
            Bound::Unbounded => 0,
            Bound::Offset(by) => self.edge(frame.units, by, at, distances).start,
        };
        let end = match frame.end {
            Bound::Unbounded => len,
            Bound::Offset(by) => self.edge(frame.units, by, at, distances).end,
        };
        start.min(len)..end.clamp(start.min(len), len)
    }

    /// The rows that lie exactly `by` from the row at `at`: a frame begins or ends with them.
    #[expect(clippy::cast_possible_truncation, reason = "a frame that is too wide is the whole partition")]
    fn edge(&self, units: FrameUnits, by: f64, at: usize, distances: Option<&(SortKey, Vec<Value>)>) -> Range<usize> {
        let len = self.rows.len();
        let moved = |from: usize, limit: usize| {
            let to = i64::try_from(from).unwrap_or(i64::MAX).saturating_add(by as i64);
            usize::try_from(to).map_or(Err(0), |to| if to < limit { Ok(to) } else { Err(limit) })
        };
        match units {
            FrameUnits::Rows => match moved(at, len) {
                Ok(to) => to..to + 1,
                Err(beyond) => beyond..beyond,
            },
            FrameUnits::Groups => match moved(self.group[at], self.groups.len()) {
                Ok(to) => self.groups[to].clone(),
                Err(0) => 0..0,
                Err(_) => len..len,
            },
            FrameUnits::Range => match distances {
                Some((key, values)) if by != 0.0 => self.by_distance(by, at, *key, values),
                _ => self.peers[at].clone(),
            },
        }
    }

    /// Where the value at `at`, changed by a distance along the order, would stand.
    fn by_distance(&self, by: f64, at: usize, key: SortKey, values: &[Value]) -> Range<usize> {
        let value = |at: usize| &values[self.rows[at] as usize];
        let by = if key.descending { -by } else { by };
        // A row without a value has only its peers around it.
        let Some(target) = Target::new(value(at), by) else { return self.peers[at].clone() };
        let along = |at: usize| {
            let ordering = target.compare(value(at))?;
            Some(if key.descending { ordering.reverse() } else { ordering })
        };
        let before = |at: usize| along(at).map_or(key.nulls_first, Ordering::is_lt);
        let not_after = |at: usize| along(at).map_or(key.nulls_first, Ordering::is_le);
        first(self.rows.len(), before)..first(self.rows.len(), not_after)
    }
}

/// How many of so many positions come first, which `is_first` says.
fn first(len: usize, is_first: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut to) = (0, len);
    while from < to {
        let middle = usize::midpoint(from, to);
        if is_first(middle) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    from
}

/// Where a distance from a value leads. INTEGERs are measured exactly: doubles of their size lie far apart.
enum Target {
    Whole(i128),
    Double(f64),
}

impl Target {
    #[expect(clippy::cast_precision_loss, reason = "a distance that is not whole is measured in doubles")]
    #[expect(clippy::cast_possible_truncation, reason = "a distance beyond 128 bits leads beyond every value")]
    fn new(from: &Value, by: f64) -> Option<Self> {
        match from.as_integer() {
            Some(from) if by.fract() == 0.0 => Some(Self::Whole(i128::from(from).saturating_add(by as i128))),
            Some(from) => Some(Self::Double(from as f64 + by)),
            None => from.as_real().map(|from| Self::Double(from + by)),
        }
    }

    /// How a value compares with it; not at all where there is none.
    #[expect(clippy::cast_precision_loss, reason = "as in `new`")]
    fn compare(&self, value: &Value) -> Option<Ordering> {
        match (self, value.as_integer(), value.as_real()) {
            (Self::Whole(target), Some(value), _) => Some(i128::from(value).cmp(target)),
            (Self::Double(target), Some(value), _) => (value as f64).partial_cmp(target),
            (Self::Double(target), None, Some(value)) => value.partial_cmp(target),
            _ => None,
        }
    }
}

/// The part, of so many parts of which the first are one row larger, that the row at `at` falls in.
fn ntile(at: usize, rows: usize, parts: &Value) -> Value {
    let Some(parts) = parts.as_integer().and_then(|parts| usize::try_from(parts).ok()).filter(|parts| *parts > 0)
    else {
        return Value::Null;
    };
    let (small, large) = (rows / parts, rows % parts);
    let in_large = large * (small + 1);
    let part = if at < in_large { at / (small + 1) } else { large + (at - in_large) / small.max(1) };
    Value::Integer(i64::try_from(part + 1).unwrap_or(i64::MAX))
}
