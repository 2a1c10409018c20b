//! One row per group: keys, aggregates, then columns that are neither. Groups come in the order of their keys.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use daemoneye_dsl::expr::{Collation, Expr};
use daemoneye_dsl::query::{Aggregate, AggregateKind, Bare};
use daemoneye_dsl::types::{Type, Value};

use super::fold::Folding;
use super::sort::compare;
use super::{Context, Meaning, Node};
use crate::batch::{RowCodec, batch, take};
use crate::error::Error;
use crate::eval::{Evaluator, compare_values};
use crate::exact_sum::ExactSum;

pub(crate) struct Group {
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<Aggregate>,
    pub(crate) bare: Bare,
}

impl Meaning for Group {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let evaluator = context.evaluator(rows);
        let keys: Vec<_> = self.keys.iter().map(|key| evaluator.values(key)).collect();
        let groups = groups(&keys, &self.keys, rows.num_rows());
        let firsts: Vec<_> = groups.iter().filter_map(|group| group.first().copied()).collect();
        let mut columns = take(&batch(keys, rows.num_rows()), &firsts).columns().to_vec();
        let calls: Vec<_> =
            self.aggregates.iter().map(|aggregate| Call::new(aggregate, &evaluator, context.installed)).collect();
        for call in &calls {
            columns.push(call.aggregate.ty.array(groups.iter().map(|group| call.value(group))));
        }
        columns.extend(self.bare(&groups, &calls, &evaluator));
        Ok(batch(columns, groups.len()))
    }

    fn fold(&self, context: &Context<'_>, input: &Node) -> Option<Result<RecordBatch, Error>> {
        let folding = Folding::of(self)?;
        Some(folding.fold(context, input))
    }
}

impl Group {
    /// The columns that are neither keys nor aggregates: each group's from one row.
    fn bare(&self, groups: &[Vec<u32>], calls: &[Call<'_>], evaluator: &Evaluator<'_>) -> Vec<ArrayRef> {
        let columns: Vec<_> = self.bare.columns.iter().map(|column| evaluator.values(column)).collect();
        if columns.is_empty() {
            return columns;
        }
        let least = |rows: &[u32]| {
            rows.iter().copied().min_by(|a, b| {
                let values = columns.iter().map(|column| {
                    let at = |row: &u32| Value::at(column, *row as usize);
                    compare_nulls_first(&at(a), &at(b))
                });
                values.fold(Ordering::Equal, Ordering::then)
            })
        };
        let chosen: Vec<Option<u32>> = groups
            .iter()
            .map(|group| match self.bare.picked_by.map(|at| &calls[at]) {
                Some(call) => least(&call.rows_of_value(group)),
                None => least(group),
            })
            .collect();
        let of = |column: &ArrayRef, ty: Type| {
            ty.array(chosen.iter().map(|row| row.map_or(Value::Null, |row| Value::at(column, row as usize))))
        };
        columns.iter().zip(&self.bare.columns).map(|(column, expr)| of(column, expr.ty)).collect()
    }
}

fn compare_nulls_first(a: &Value, b: &Value) -> Ordering {
    match (a.is_null(), b.is_null()) {
        (false, false) => a.compare(b),
        (a, b) => b.cmp(&a),
    }
}

/// The rows of each group, groups in the order of their keys. Without keys there is one group, even of no rows.
fn groups(keys: &[ArrayRef], exprs: &[Expr], rows: usize) -> Vec<Vec<u32>> {
    let numbers = (0u32..).take(rows);
    if exprs.is_empty() {
        return vec![numbers.collect()];
    }
    let types: Vec<Type> = exprs.iter().map(|expr| expr.ty).collect();
    let mut groups: BTreeMap<Box<[u8]>, Vec<u32>> = BTreeMap::new();
    for (row, key) in numbers.zip(RowCodec::new(&types).encode(keys, rows)) {
        groups.entry(key).or_default().push(row);
    }
    groups.into_values().collect()
}

/// An aggregate with its arguments for every row.
pub(super) struct Call<'a> {
    aggregate: &'a Aggregate,
    args: Vec<ArrayRef>,
    order: Vec<ArrayRef>,
    /// The rows that FILTER admits.
    admitted: Option<Vec<u32>>,
    /// Its value must not depend on the order of the rows.
    canonical: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(aggregate: &'a Aggregate, evaluator: &Evaluator<'_>, canonical: bool) -> Self {
        Self {
            canonical,
            aggregate,
            args: aggregate.args.iter().map(|arg| evaluator.values(arg)).collect(),
            order: aggregate.order.iter().map(|term| evaluator.values(&term.expr)).collect(),
            admitted: aggregate.filter.as_ref().map(|filter| evaluator.matching(filter)),
        }
    }

    /// Its value for those rows.
    pub(super) fn value(&self, rows: &[u32]) -> Value {
        let admitted = rows
            .iter()
            .copied()
            .filter(|row| self.admitted.as_ref().is_none_or(|admitted| admitted.binary_search(row).is_ok()));
        let Some(arg) = self.args.first() else {
            return Value::Integer(i64::try_from(admitted.count()).unwrap_or(i64::MAX));
        };
        let mut rows: Vec<u32> = admitted.filter(|row| arg.is_valid(*row as usize)).collect();
        if self.aggregate.distinct {
            let mut seen = BTreeSet::new();
            rows.retain(|row| {
                let mut key = Vec::new();
                Value::at(arg, *row as usize).encode_key(&mut key);
                seen.insert(key)
            });
        }
        match self.aggregate.kind {
            AggregateKind::GroupConcat => self.concatenated(rows),
            AggregateKind::MinBy => self.picked(&rows, Ordering::Less),
            AggregateKind::MaxBy => self.picked(&rows, Ordering::Greater),
            _ => {
                let values: Vec<_> = rows.iter().map(|row| Value::at(arg, *row as usize)).collect();
                value(self.aggregate, values)
            }
        }
    }

    /// The rows whose argument is the aggregate's value: of `min` and `max`.
    fn rows_of_value(&self, rows: &[u32]) -> Vec<u32> {
        let value = self.value(rows);
        let Some(arg) = self.args.first().filter(|_| !value.is_null()) else { return rows.to_vec() };
        let is_admitted = |row: &u32| self.admitted.as_ref().is_none_or(|all| all.binary_search(row).is_ok());
        let equals = |row: &u32| Value::at(arg, *row as usize).compare(&value).is_eq() && arg.is_valid(*row as usize);
        rows.iter().copied().filter(|row| is_admitted(row) && equals(row)).collect()
    }

    /// The first argument where the second is least or greatest; the least of several.
    fn picked(&self, rows: &[u32], wanted: Ordering) -> Value {
        let by = &self.args[1];
        let mut best: Option<(Value, Value)> = None;
        for row in rows.iter().map(|row| *row as usize).filter(|row| by.is_valid(*row)) {
            let (key, value) = (Value::at(by, row), Value::at(&self.args[0], row));
            let better = best.as_ref().is_none_or(|(best_key, best_value)| match key.compare(best_key) {
                Ordering::Equal => value.compare(best_value).is_lt(),
                ordering => ordering == wanted,
            });
            if better {
                best = Some((key, value));
            }
        }
        best.map_or(Value::Null, |(_, value)| value)
    }

    /// The texts in order with their separators between them; a text's own separator stands before it. Where no order
    /// is given they come as the rows did, or in their own.
    fn concatenated(&self, mut rows: Vec<u32>) -> Value {
        let text = |row: u32| self.args[0].as_string::<i32>().value(row as usize);
        rows.sort_by(|a, b| {
            let terms = self.aggregate.order.iter().zip(&self.order).map(|(term, values)| {
                compare(&term.key, &Value::at(values, *a as usize), &Value::at(values, *b as usize))
            });
            let separator = |row: u32| Value::at(&self.args[1], row as usize);
            let whole = |row: u32| (text(row), separator(row));
            let tie = || {
                let ((a, before_a), (b, before_b)) = (whole(*a), whole(*b));
                if self.canonical { a.cmp(b).then(compare_nulls_first(&before_a, &before_b)) } else { Ordering::Equal }
            };
            terms.fold(Ordering::Equal, Ordering::then).then_with(tie)
        });
        let mut joined: Option<String> = None;
        for row in rows {
            match &mut joined {
                None => joined = Some(text(row).to_owned()),
                Some(joined) => {
                    if let Some(separator) = Value::at(&self.args[1], row as usize).as_text() {
                        joined.push_str(separator);
                    }
                    joined.push_str(text(row));
                }
            }
        }
        joined.map_or(Value::Null, Value::Text)
    }
}

fn value(aggregate: &Aggregate, values: Vec<Value>) -> Value {
    let order = |a: &Value, b: &Value| compare_values(a, b, Collation::Binary);
    match aggregate.kind {
        AggregateKind::Count => Value::Integer(i64::try_from(values.len()).unwrap_or(i64::MAX)),
        AggregateKind::Min | AggregateKind::AnyValue => values.into_iter().min_by(order).unwrap_or_default(),
        AggregateKind::Max => values.into_iter().max_by(order).unwrap_or_default(),
        AggregateKind::Total if values.is_empty() => Value::Real(0.0),
        AggregateKind::Total if aggregate.args[0].ty == Type::Integer => real(to_real(integer_sum(&values))),
        AggregateKind::Sum | AggregateKind::Avg if values.is_empty() => Value::Null,
        AggregateKind::Sum if aggregate.ty == Type::Integer => {
            i64::try_from(integer_sum(&values)).map_or(Value::Null, Value::Integer)
        }
        AggregateKind::Sum | AggregateKind::Total => real(sum(&values)),
        #[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
        AggregateKind::Avg => {
            let count = values.len() as f64;
            let integers = values.iter().all(|value| value.as_integer().is_some());
            // As REAL the greatest and the least INTEGER would cancel out.
            real(if integers { to_real(integer_sum(&values)) / count } else { sum(&values) / count })
        }
        AggregateKind::GroupConcat | AggregateKind::MinBy | AggregateKind::MaxBy => {
            unreachable!("they look at rows, not at values")
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the sum is asked for as a double")]
pub(crate) fn to_real(sum: i128) -> f64 {
    sum as f64
}

/// 128 bits hold more INTEGERs than there is memory for.
fn integer_sum(values: &[Value]) -> i128 {
    values.iter().filter_map(Value::as_integer).map(i128::from).sum()
}

pub(crate) fn real(value: f64) -> Value {
    if value.is_nan() { Value::Null } else { Value::Real(value) }
}

/// A sum that depends on the values alone, not on their order.
fn sum(values: &[Value]) -> f64 {
    let mut sum = ExactSum::new();
    values.iter().filter_map(Value::as_real).for_each(|number| sum.add(number, 1));
    sum.value()
}
