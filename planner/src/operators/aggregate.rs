//! One row per group: keys, then aggregates.

use std::collections::{BTreeSet, HashMap};

use arrow_array::{Array, ArrayRef, RecordBatch};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::query::{Aggregate, AggregateKind};
use daemoneye_dsl::types::{Type, Value};

use super::{Context, Meaning};
use crate::batch::{RowCodec, batch, take};
use crate::error::Error;
use crate::eval::Evaluator;

pub(super) struct Group {
    pub(super) keys: Vec<Expr>,
    pub(super) aggregates: Vec<Aggregate>,
}

impl Meaning for Group {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        let evaluator = Evaluator::new(rows, context.now);
        let keys: Vec<_> = self.keys.iter().map(|key| evaluator.values(key)).collect();
        let groups = groups(&keys, &self.keys, rows.num_rows());
        let firsts: Vec<_> = groups.iter().filter_map(|group| group.first().copied()).collect();
        let mut columns = take(&batch(keys, rows.num_rows()), &firsts).columns().to_vec();
        for aggregate in &self.aggregates {
            let arg = aggregate.arg.as_ref().map(|arg| evaluator.values(arg));
            let admitted = aggregate.filter.as_ref().map(|filter| evaluator.matching(filter));
            let values = groups.iter().map(|group| {
                let admitted = admitted.as_ref();
                let rows = group.iter().filter(|row| admitted.is_none_or(|all| all.binary_search(row).is_ok()));
                value(aggregate, arg.as_ref(), rows.map(|row| *row as usize))
            });
            columns.push(aggregate.ty.array(values));
        }
        Ok(batch(columns, groups.len()))
    }
}

/// The rows of each group, groups in the order of their first row. Without keys there is one group, even of no rows.
fn groups(keys: &[ArrayRef], exprs: &[Expr], rows: usize) -> Vec<Vec<u32>> {
    let numbers = (0u32..).take(rows);
    if exprs.is_empty() {
        return vec![numbers.collect()];
    }
    let types: Vec<Type> = exprs.iter().map(|expr| expr.ty).collect();
    let mut places: HashMap<Box<[u8]>, usize> = HashMap::new();
    let mut groups: Vec<Vec<u32>> = Vec::new();
    for (row, key) in numbers.zip(RowCodec::new(&types).encode(keys, rows)) {
        let place = *places.entry(key).or_insert(groups.len());
        if place == groups.len() {
            groups.push(vec![]);
        }
        groups[place].push(row);
    }
    groups
}

fn value(aggregate: &Aggregate, arg: Option<&ArrayRef>, rows: impl Iterator<Item = usize>) -> Value {
    let Some(arg) = arg else {
        return Value::Integer(i64::try_from(rows.count()).unwrap_or(i64::MAX));
    };
    let mut values: Vec<Value> = rows.filter(|row| arg.is_valid(*row)).map(|row| Value::at(arg, row)).collect();
    if aggregate.distinct {
        let mut seen = BTreeSet::new();
        values.retain(|value| {
            let mut key = Vec::new();
            value.encode_key(&mut key);
            seen.insert(key)
        });
    }
    match aggregate.kind {
        AggregateKind::Count => Value::Integer(i64::try_from(values.len()).unwrap_or(i64::MAX)),
        AggregateKind::Min => values.into_iter().min_by(Value::compare).unwrap_or_default(),
        AggregateKind::Max => values.into_iter().max_by(Value::compare).unwrap_or_default(),
        AggregateKind::Sum | AggregateKind::Avg if values.is_empty() => Value::Null,
        AggregateKind::Sum if aggregate.ty == Type::Integer => {
            i64::try_from(integer_sum(&values)).map_or(Value::Null, Value::Integer)
        }
        AggregateKind::Sum => real(sum(&values)),
        #[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
        AggregateKind::Avg => {
            let count = values.len() as f64;
            let integers = values.iter().all(|value| value.as_integer().is_some());
            // As REAL the greatest and the least INTEGER would cancel out.
            real(if integers { integer_sum(&values) as f64 / count } else { sum(&values) / count })
        }
    }
}

/// 128 bits hold more INTEGERs than there is memory for.
fn integer_sum(values: &[Value]) -> i128 {
    values.iter().filter_map(Value::as_integer).map(i128::from).sum()
}

fn real(value: f64) -> Value {
    if value.is_nan() { Value::Null } else { Value::Real(value) }
}

/// A sum that depends on the values alone, not on their order: smallest first, with Neumaier's compensation
/// ("Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen", 1974).
fn sum(values: &[Value]) -> f64 {
    let mut numbers: Vec<f64> = values.iter().filter_map(Value::as_real).collect();
    numbers.sort_by(|a, b| a.abs().total_cmp(&b.abs()).then(a.total_cmp(b)));
    let (mut total, mut lost) = (0.0f64, 0.0f64);
    for number in numbers {
        let next = total + number;
        lost += if total.abs() >= number.abs() { (total - next) + number } else { (number - next) + total };
        total = next;
    }
    if lost.is_finite() { total + lost } else { total }
}
