//! Groups whose input comes part by part: what is held is one row of numbers a group, however many rows there are.
//!
//! One text as the key is looked up as it is; where texts come as dictionaries, once for each dictionary.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, PrimitiveArray, RecordBatch, StringArray};
use arrow_schema::DataType;
use daemoneye_dsl::expr::{Collation, Expr, ExprKind};
use daemoneye_dsl::query::{Aggregate, AggregateKind};
use daemoneye_dsl::types::{Type, Value};
use hashbrown::HashMap;

use super::aggregate::{Group, real, to_real};
use super::{Context, Leeway, Node, ROWS_MAX, within};
use crate::batch::{RowCodec, batch, empty, stack, take};
use crate::cell::{Cell, Cells};
use crate::error::Error;
use crate::exact_sum::ExactSum;

/// Groups that can be made part by part.
pub(super) struct Folding<'g> {
    group: &'g Group,
    /// The one key, if it is a column of texts that is read for nothing else.
    coded: Option<usize>,
    /// All columns that are read.
    read: Vec<usize>,
}

/// The groups so far.
struct Groups {
    keys: Keys,
    totals: Vec<Totals>,
}

/// The number of the group of each key.
enum Keys {
    /// Of one TEXT.
    Text {
        known: Texts,
        /// The dictionary at hand, and the group of each of its codes.
        codes: Option<(StringArray, Vec<u32>)>,
    },
    /// Of anything else.
    Rows {
        codec: RowCodec,
        by_key: HashMap<Box<[u8]>, u32>,
        /// Keys of the groups, as the first row of each has them, in the order in which they came.
        firsts: Vec<RecordBatch>,
    },
}

/// The number of the group of each text, and of NULL.
#[derive(Default)]
struct Texts {
    /// Of those that are told by their [`beginning`] alone: no memory of its own for each, and none to compare it with.
    short: HashMap<u128, u32>,
    long: HashMap<String, u32>,
    null: Option<u32>,
}

/// Of a code whose group was not looked up yet; there are never so many groups.
const UNKNOWN: u32 = u32::MAX;

/// One aggregate of every group.
enum Totals {
    Count(Vec<i64>),
    /// Of INTEGERs, with how many.
    Integers(Vec<(i128, i64)>),
    /// Of REALs, with how many.
    Reals(Vec<(ExactSum, i64)>),
    /// The least or, if told so, the greatest.
    Extreme(Vec<Value>, bool),
}

impl<'g> Folding<'g> {
    /// Nothing if an aggregate needs all rows at once.
    pub(super) fn of(group: &'g Group) -> Option<Self> {
        let simple =
            |aggregate: &Aggregate| !aggregate.distinct && aggregate.order.is_empty() && kind(aggregate).is_some();
        if !group.bare.columns.is_empty() || !group.aggregates.iter().all(simple) {
            return None;
        }
        let of = |expr: &Expr| match expr.kind {
            ExprKind::Column { index, .. } if expr.ty == Type::Text => Some(index),
            _ => None,
        };
        let coded = if let [key] = group.keys.as_slice() { of(key) } else { None };
        let of_aggregates = group.aggregates.iter().flat_map(|it| it.args.iter().chain(&it.filter));
        let mut read: Vec<usize> = of_aggregates.flat_map(Expr::columns).collect();
        let coded = coded.filter(|column| !read.contains(column));
        read.extend(group.keys.iter().flat_map(Expr::columns));
        Some(Self { group, coded, read })
    }

    pub(super) fn fold(&self, context: &Context<'_>, input: &Node) -> Result<RecordBatch, Error> {
        let types: Vec<Type> = self.group.keys.iter().map(|key| key.ty).collect();
        let totals = self.group.aggregates.iter().filter_map(kind).collect();
        let mut groups = Groups { keys: Keys::of(&types), totals };
        if types.is_empty() {
            // Without keys there is one group, even of no rows.
            groups.keys.find(&[], 1);
        }
        let leeway = Leeway { coded: self.coded.as_slice(), read: Some(&self.read) };
        input.stream(context, leeway, &mut |rows| {
            self.take(context, &rows, &mut groups);
            within(groups.keys.len(), ROWS_MAX, "the result of an operation")?;
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(groups.finish(&types, &self.group.aggregates))
    }

    fn take(&self, context: &Context<'_>, rows: &RecordBatch, groups: &mut Groups) {
        if rows.num_rows() == 0 {
            return;
        }
        let coded = self.coded.map(|column| rows.column(column)).and_then(|column| column.as_dictionary_opt());
        let numbers = match coded {
            Some(coded) => groups.keys.of_codes(coded.keys(), coded.values().as_string()),
            None => {
                let evaluator = context.evaluator(rows);
                let keys: Vec<ArrayRef> = self.group.keys.iter().map(|key| evaluator.values(key)).collect();
                groups.keys.find(&keys, rows.num_rows())
            }
        };
        let evaluator = context.evaluator(rows);
        for (aggregate, totals) in self.group.aggregates.iter().zip(&mut groups.totals) {
            let admitted = aggregate.filter.as_ref().map(|filter| evaluator.matching(filter));
            let arg = aggregate.args.first().map(|arg| evaluator.values(arg));
            totals.grow(groups.keys.len());
            match admitted {
                Some(rows) => {
                    totals.add(rows.into_iter().map(|row| (row as usize, numbers[row as usize])), arg.as_ref());
                }
                None => totals.add(numbers.iter().copied().enumerate(), arg.as_ref()),
            }
        }
    }
}

impl Keys {
    fn of(types: &[Type]) -> Self {
        match types {
            [Type::Text] => Self::Text { known: Texts::default(), codes: None },
            _ => Self::Rows { codec: RowCodec::new(types), by_key: HashMap::new(), firsts: vec![] },
        }
    }

    /// How many groups there are.
    fn len(&self) -> usize {
        match self {
            Self::Text { known, .. } => known.len(),
            Self::Rows { by_key, .. } => by_key.len(),
        }
    }

    /// The groups of the rows of key columns; new ones begin.
    fn find(&mut self, keys: &[ArrayRef], len: usize) -> Vec<u32> {
        let (codec, by_key, firsts) = match self {
            Self::Text { known, .. } => {
                return keys[0].as_string::<i32>().iter().map(|text| known.number(text)).collect();
            }
            Self::Rows { codec, by_key, firsts } => (codec, by_key, firsts),
        };
        if keys.is_empty() && !by_key.is_empty() {
            return vec![0; len];
        }
        let mut new = Vec::new();
        let mut found = Vec::with_capacity(len);
        for (row, key) in (0u32..).zip(codec.encode(keys, len)) {
            let next = u32::try_from(by_key.len()).expect("groups are bounded");
            let number = *by_key.entry(key).or_insert(next);
            if number == next {
                new.push(row);
            }
            found.push(number);
        }
        if !new.is_empty() {
            firsts.push(take(&batch(keys.to_vec(), len), &new));
        }
        found
    }

    /// The groups of texts that are told by their codes.
    fn of_codes(&mut self, codes: &PrimitiveArray<UInt32Type>, texts: &StringArray) -> Vec<u32> {
        let Self::Text { known, codes: at_hand } = self else { unreachable!("only one text comes by its code") };
        if !at_hand.as_ref().is_some_and(|(at_hand, _)| at_hand.to_data().ptr_eq(&texts.to_data())) {
            *at_hand = Some((texts.clone(), vec![UNKNOWN; texts.len()]));
        }
        let (_, groups) = at_hand.as_mut().expect("it was just set");
        let mut of_code = |code: u32, known: &mut Texts| {
            let group = &mut groups[code as usize];
            if *group == UNKNOWN {
                *group = known.number(Some(texts.value(code as usize)));
            }
            *group
        };
        if codes.null_count() == 0 {
            return codes.values().iter().map(|code| of_code(*code, known)).collect();
        }
        let number = |code: Option<u32>| match code {
            Some(code) => of_code(code, known),
            None => known.number(None),
        };
        codes.iter().map(number).collect()
    }

    /// The keys in order, NULL first, and the number of the group of each.
    fn sorted(self, types: &[Type]) -> (Vec<ArrayRef>, Vec<u32>) {
        match self {
            Self::Text { known, .. } => {
                let (texts, order) = known.sorted();
                (vec![Arc::new(texts)], order)
            }
            Self::Rows { by_key, firsts, .. } => {
                let mut order: Vec<_> =
                    by_key.into_iter().map(|(key, number)| (beginning(&key), key, number)).collect();
                order.sort_unstable();
                let order: Vec<u32> = order.into_iter().map(|(_, _, number)| number).collect();
                let columns = match types {
                    [] => vec![],
                    _ => take(&stack(&firsts, &empty(types)), &order).columns().to_vec(),
                };
                (columns, order)
            }
        }
    }
}

impl Texts {
    fn len(&self) -> usize {
        self.short.len() + self.long.len() + usize::from(self.null.is_some())
    }

    /// The number of the group of a text; a new one begins.
    fn number(&mut self, text: Option<&str>) -> u32 {
        let next = u32::try_from(self.len()).expect("groups are bounded");
        match text {
            None => *self.null.get_or_insert(next),
            Some(text) if text.len() <= SHORT_LEN_MAX => *self.short.entry(beginning(text.as_bytes())).or_insert(next),
            Some(text) => *self.long.entry_ref(text).or_insert(next),
        }
    }

    /// The texts in order, NULL first, and the number of the group of each.
    fn sorted(self) -> (StringArray, Vec<u32>) {
        let long = self.long.into_iter().map(|(text, number)| (beginning(text.as_bytes()), Some(text), number));
        let mut order: Vec<_> = self.short.into_iter().map(|(text, number)| (text, None, number)).chain(long).collect();
        order.sort_unstable();
        let mut texts = StringBuilder::with_capacity(order.len() + 1, 16 * order.len());
        if self.null.is_some() {
            texts.append_null();
        }
        for (beginning, long, _) in &order {
            match long {
                Some(text) => texts.append_value(text),
                None => {
                    let bytes = beginning.to_be_bytes();
                    let text = &bytes[..usize::from(bytes[SHORT_LEN_MAX])];
                    texts.append_value(str::from_utf8(text).expect("it is the whole of a text"));
                }
            }
        }
        (texts.finish(), self.null.into_iter().chain(order.iter().map(|it| it.2)).collect())
    }
}

/// Bytes of a key that is told by its [`beginning`] alone.
const SHORT_LEN_MAX: usize = 15;

/// The first bytes of a key and, in the last place, how many there are, up to one more than fit: in the order of the
/// keys, as far as it tells them apart.
fn beginning(key: &[u8]) -> u128 {
    let mut bytes = [0; SHORT_LEN_MAX + 1];
    let len = key.len().min(SHORT_LEN_MAX);
    bytes[..len].copy_from_slice(&key[..len]);
    bytes[SHORT_LEN_MAX] = u8::try_from(key.len().min(SHORT_LEN_MAX + 1)).expect("it is small");
    u128::from_be_bytes(bytes)
}

impl Groups {
    /// Groups in the order of their keys.
    fn finish(self, types: &[Type], aggregates: &[Aggregate]) -> RecordBatch {
        let (mut columns, order) = self.keys.sorted(types);
        for (aggregate, mut totals) in aggregates.iter().zip(self.totals) {
            totals.grow(order.len());
            columns.push(aggregate.ty.array(order.iter().map(|number| totals.value(*number as usize, aggregate))));
        }
        batch(columns, order.len())
    }
}

/// How an aggregate is made part by part, if it can be.
fn kind(aggregate: &Aggregate) -> Option<Totals> {
    let of = |ty: Type| aggregate.args.first().is_some_and(|arg| arg.ty == ty);
    Some(match aggregate.kind {
        AggregateKind::Count => Totals::Count(vec![]),
        AggregateKind::Sum | AggregateKind::Total | AggregateKind::Avg if of(Type::Integer) => Totals::Integers(vec![]),
        AggregateKind::Sum | AggregateKind::Total | AggregateKind::Avg if of(Type::Real) => Totals::Reals(vec![]),
        AggregateKind::Min | AggregateKind::AnyValue => Totals::Extreme(vec![], false),
        AggregateKind::Max => Totals::Extreme(vec![], true),
        _ => return None,
    })
}

impl Totals {
    fn grow(&mut self, groups: usize) {
        match self {
            Self::Count(counts) => counts.resize(groups, 0),
            Self::Integers(sums) => sums.resize(groups, (0, 0)),
            Self::Reals(sums) => sums.resize_with(groups, || (ExactSum::new(), 0)),
            Self::Extreme(values, _) => values.resize(groups, Value::Null),
        }
    }

    /// Adds rows, each with the number of its group.
    fn add(&mut self, rows: impl Iterator<Item = (usize, u32)>, arg: Option<&ArrayRef>) {
        let Some(arg) = arg else {
            if let Self::Count(counts) = self {
                rows.for_each(|(_, group)| counts[group as usize] += 1);
            }
            return;
        };
        if let (Self::Count(counts), DataType::Dictionary(..)) = (&mut *self, arg.data_type()) {
            return rows.for_each(|(row, group)| counts[group as usize] += i64::from(arg.is_valid(row)));
        }
        let cells = Cells::of(arg.as_ref());
        for (row, group) in rows {
            let (cell, group) = (cells.at(row), group as usize);
            match (&mut *self, cell) {
                (_, Cell::Null) => {}
                (Self::Count(counts), _) => counts[group] += 1,
                (Self::Integers(sums), Cell::Integer(value)) => {
                    sums[group].0 += i128::from(value);
                    sums[group].1 += 1;
                }
                (Self::Reals(sums), Cell::Real(value)) => {
                    sums[group].0.add(value, 1);
                    sums[group].1 += 1;
                }
                (Self::Integers(_) | Self::Reals(_), _) => {}
                (Self::Extreme(values, greatest), cell) => {
                    let known = &mut values[group];
                    let order = || cell.order(Cell::of(known), Collation::Binary);
                    // The last of the greatest and the first of the least, which is told only of zeros.
                    if known.is_null() || if *greatest { order().is_ge() } else { order().is_lt() } {
                        *known = cell.to_value();
                    }
                }
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
    fn value(&self, group: usize, aggregate: &Aggregate) -> Value {
        match (self, aggregate.kind) {
            (Self::Count(counts), _) => Value::Integer(counts[group]),
            (Self::Extreme(values, _), _) => values[group].clone(),
            (Self::Integers(sums), kind) => match (kind, sums[group]) {
                (AggregateKind::Total, (sum, _)) => real(to_real(sum)),
                (_, (_, 0)) => Value::Null,
                (AggregateKind::Avg, (sum, count)) => real(to_real(sum) / count as f64),
                (_, (sum, _)) => i64::try_from(sum).map_or(Value::Null, Value::Integer),
            },
            (Self::Reals(sums), kind) => match (kind, &sums[group]) {
                (AggregateKind::Total, (sum, _)) => real(sum.value()),
                (_, (_, 0)) => Value::Null,
                (AggregateKind::Avg, (sum, count)) => real(sum.value() / *count as f64),
                (_, (sum, _)) => real(sum.value()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn texts_keep_their_groups_and_come_in_order(
            texts in prop::collection::vec(prop::option::of("[\0aé]{0,2}(|aaaaaaaaaaaa)[\0aé]{0,5}"), 0..60),
        ) {
            let mut known = Texts::default();
            let mut expected = BTreeMap::new();
            for text in &texts {
                let number = known.number(text.as_deref());
                prop_assert_eq!(*expected.entry(text.clone()).or_insert(number), number);
            }
            prop_assert_eq!(known.len(), expected.len());
            let (found, numbers) = known.sorted();
            let found: Vec<_> = found.iter().map(|text| text.map(str::to_owned)).zip(numbers).collect();
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}
