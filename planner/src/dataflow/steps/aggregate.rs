//! GROUP BY: each group's aggregates, kept up with its rows.
//!
//! A group whose last row leaves is gone, and can come back. What counting and sorted values cannot say (texts in order,
//! the columns of one row) is taken from the group's own rows, which are kept for that.

use std::collections::BTreeMap;

use arrow_array::ArrayRef;
use daemoneye_dsl::expr::{Collation, Expr};
use daemoneye_dsl::query::{Aggregate as Call, AggregateKind, Bare};
use daemoneye_dsl::types::{Type, Value};

use super::{Size, Step};
use crate::batch::{Batch, RowCodec, batch};
use crate::dataflow::delta::{Delta, Exprs, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keys::{Key, KeyMap, append};
use crate::error::Error;
use crate::eval::compare_values;
use crate::exact_sum::ExactSum;
use crate::operators::{Meaning, aggregate::Group as Meant, aggregate::real, aggregate::to_real};

/// What a GROUP BY says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grouping {
    pub(crate) keys: Vec<Expr>,
    pub(crate) aggregates: Vec<Call>,
    pub(crate) bare: Bare,
}

pub(crate) struct Aggregate {
    keys: Exprs,
    key_types: Vec<Type>,
    /// The types of what stands beside the keys.
    value_types: Vec<Type>,
    way: Way,
    groups: KeyMap<Group>,
    /// Without keys there is one group, even of no rows; nothing was given yet.
    unborn: bool,
}

enum Way {
    /// Each aggregate counts what comes and goes.
    Counted(Vec<Counted>),
    /// The rows are kept, as far as they are read, and looked at anew.
    Kept { needed: Exprs, types: Vec<Type>, codec: RowCodec, meant: Box<Meant> },
}

/// One aggregate's arguments.
struct Counted {
    call: Call,
    /// The argument, then FILTER.
    exprs: Exprs,
    has_arg: bool,
}

#[derive(Default)]
struct Group {
    /// Rows in it.
    weight: i64,
    keys: Box<[Value]>,
    states: Box<[State]>,
    kept: Option<BTreeMap<Box<[u8]>, i64>>,
    /// What was given for it last.
    last: Option<Box<[Value]>>,
}

/// One aggregate in one group.
enum State {
    Count(i64),
    Integers {
        sum: i128,
        count: i64,
    },
    Reals {
        sum: ExactSum,
        count: i64,
    },
    Extreme(BTreeMap<Ordered, i64>),
    /// Each different argument once.
    Distinct {
        seen: Box<KeyMap<i64>>,
        of: Box<State>,
    },
}

/// A value by its place in the order of its type.
struct Ordered(Value);

impl Aggregate {
    /// `input` are the types of the input's columns, `output` those of the result.
    pub(crate) fn new(grouping: &Grouping, input: &[Type], output: &[Type]) -> Self {
        let Grouping { keys, aggregates, bare } = grouping;
        let counts = |call: &Call| {
            !matches!(call.kind, AggregateKind::GroupConcat | AggregateKind::MinBy | AggregateKind::MaxBy)
        };
        let way = if bare.columns.is_empty() && aggregates.iter().all(counts) {
            Way::Counted(aggregates.iter().map(Counted::new).collect())
        } else {
            Self::kept(grouping, input)
        };
        Self {
            keys: Exprs::new(keys),
            key_types: output[..keys.len()].to_vec(),
            value_types: output[keys.len()..].to_vec(),
            way,
            groups: KeyMap::new(),
            unborn: keys.is_empty(),
        }
    }

    fn kept(grouping: &Grouping, input: &[Type]) -> Way {
        let exprs = grouping.aggregates.iter().flat_map(Call::exprs).chain(&grouping.bare.columns);
        let mut columns: Vec<usize> = exprs.flat_map(Expr::columns).collect();
        columns.sort_unstable();
        columns.dedup();
        let place = |column| columns.binary_search(&column).expect("it is read");
        let mut meant = Meant { keys: vec![], aggregates: grouping.aggregates.clone(), bare: grouping.bare.clone() };
        let exprs = meant.aggregates.iter_mut().flat_map(Call::exprs_mut).chain(&mut meant.bare.columns);
        exprs.for_each(|expr| *expr = expr.clone().with_columns(&place));
        let types: Vec<Type> = columns.iter().map(|at| input[*at]).collect();
        let needed = columns.iter().zip(&types).map(|(at, ty)| Expr::column(*at, *ty, "")).collect::<Vec<_>>();
        Way::Kept { needed: Exprs::new(&needed), codec: RowCodec::new(&types), types, meant: Box::new(meant) }
    }

    /// The groups that the change touches, in the order of their first row, taken up to now.
    fn touch(&mut self, delta: &Delta, node: &Node, run: &Run<'_>) -> Vec<Key> {
        let keys = self.keys.values(delta, &node.layout, run);
        let mut touched: Vec<Key> = Vec::new();
        let mut seen: KeyMap<()> = KeyMap::new();
        let arguments = self.way.arguments(delta, node, run);
        let mut key = Key::new();
        for (row, weight) in delta.weights.iter().enumerate() {
            key.clear();
            for column in &keys {
                append(column, row, &mut key);
            }
            if seen.get(&key).is_none() {
                seen.entry(&key);
                touched.push(key.clone());
            }
            let way = &self.way;
            let group = self.groups.entry(&key);
            if group.weight == 0 && group.last.is_none() && group.states.is_empty() && group.kept.is_none() {
                group.keys = keys.iter().map(|column| Value::at(column, row)).collect();
                way.begin(group);
            }
            group.weight += weight;
            arguments.add(group, row, *weight);
        }
        touched
    }
}

/// What aggregates read of each row of a change.
enum Arguments {
    /// For each aggregate its argument and whether FILTER admits the row.
    Counted(Vec<(Option<ArrayRef>, Option<ArrayRef>)>),
    Kept(Vec<Box<[u8]>>),
}

impl Arguments {
    /// A row comes to a group or leaves it.
    fn add(&self, group: &mut Group, row: usize, weight: i64) {
        match self {
            Self::Counted(arguments) => {
                for (state, (arg, filter)) in group.states.iter_mut().zip(arguments) {
                    let admitted = filter.as_ref().is_none_or(|it| Value::at(it, row).as_boolean() == Some(true));
                    if admitted && arg.as_ref().is_none_or(|arg| arg.is_valid(row)) {
                        state.add(arg.as_ref(), row, weight);
                    }
                }
            }
            Self::Kept(rows) => {
                let kept = group.kept.get_or_insert_default();
                let held = kept.entry(rows[row].clone()).or_insert(0);
                *held += weight;
                if *held == 0 {
                    kept.remove(&rows[row]);
                }
            }
        }
    }
}

impl Way {
    fn arguments(&self, delta: &Delta, node: &Node, run: &Run<'_>) -> Arguments {
        match self {
            Self::Counted(calls) => {
                let of = |call: &Counted| {
                    let mut values = call.exprs.values(delta, &node.layout, run).into_iter();
                    let arg = if call.has_arg { values.next() } else { None };
                    (arg, values.next())
                };
                Arguments::Counted(calls.iter().map(of).collect())
            }
            Self::Kept { needed, codec, .. } => {
                Arguments::Kept(codec.encode(&needed.values(delta, &node.layout, run), delta.len()))
            }
        }
    }

    fn begin(&self, group: &mut Group) {
        match self {
            Self::Counted(calls) => group.states = calls.iter().map(|call| State::new(&call.call)).collect(),
            Self::Kept { .. } => group.kept = Some(BTreeMap::new()),
        }
    }

    fn values(&self, group: &Group, run: &Run<'_>) -> Result<Box<[Value]>, Error> {
        match self {
            Self::Counted(calls) => {
                Ok(calls.iter().zip(&group.states).map(|(call, state)| state.value(&call.call)).collect())
            }
            Self::Kept { codec, types, meant, .. } => {
                let kept = group.kept.iter().flatten();
                let rows: Vec<&[u8]> = kept
                    .flat_map(|(row, weight)| std::iter::repeat_n(&**row, usize::try_from(*weight).unwrap_or(0)))
                    .collect();
                let rows = if types.is_empty() { batch(vec![], rows.len()) } else { codec.decode(rows.into_iter()) };
                let meant = meant.meaning(run.context, &[rows])?;
                Ok(meant.columns().iter().map(|column| Value::at(column, 0)).collect())
            }
        }
    }
}

impl Step for Aggregate {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let mut touched = match inputs[0].delta() {
            Some(delta) => self.touch(delta, inputs[0], run),
            None => vec![],
        };
        if std::mem::take(&mut self.unborn) && touched.is_empty() {
            let key = Key::new();
            self.way.begin(self.groups.entry(&key));
            touched.push(key);
        }
        let (mut leaving, mut appearing) = (Vec::new(), Vec::new());
        for key in touched {
            let group = self.groups.get(&key).expect("it was touched");
            let lives = group.weight > 0 || self.key_types.is_empty();
            let now = if lives { Some(self.way.values(group, run)?) } else { None };
            let group = self.groups.get_mut(&key).expect("it was touched");
            if now.as_deref().map(same) != group.last.as_deref().map(same) {
                let row = |values: &[Value]| group.keys.iter().chain(values).cloned().collect::<Vec<_>>();
                leaving.extend(group.last.as_deref().map(row));
                appearing.extend(now.as_deref().map(row));
                group.last = now;
            }
            if !lives && group.weight == 0 {
                self.groups.remove(&key);
            }
        }
        let weights = [vec![-1; leaving.len()], vec![1; appearing.len()]].concat();
        leaving.append(&mut appearing);
        let types = self.key_types.iter().chain(&self.value_types).enumerate();
        let columns = types.map(|(at, ty)| ty.array(leaving.iter().map(|row| row[at].clone()))).collect();
        Ok(Delta::of_values(Batch { rows: batch(columns, leaving.len()), weights }))
    }

    fn size(&self) -> Size {
        Size { rows: self.groups.len(), bytes: self.groups.bytes() }
    }
}

/// Values so that they can be compared: NULL with NULL, and the two zeros as one.
fn same(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        value.encode_key(&mut bytes);
    }
    bytes
}

impl Counted {
    fn new(call: &Call) -> Self {
        let arg = call.args.first();
        Self { exprs: Exprs::new(arg.into_iter().chain(&call.filter)), has_arg: arg.is_some(), call: call.clone() }
    }
}

impl State {
    fn new(call: &Call) -> Self {
        let of = match call.kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::Sum | AggregateKind::Total | AggregateKind::Avg => match call.args[0].ty {
                Type::Real => Self::Reals { sum: ExactSum::new(), count: 0 },
                _ => Self::Integers { sum: 0, count: 0 },
            },
            _ => Self::Extreme(BTreeMap::new()),
        };
        let counts_copies = !matches!(of, Self::Extreme(_));
        if call.distinct && counts_copies && !call.args.is_empty() {
            return Self::Distinct { seen: Box::new(KeyMap::new()), of: Box::new(of) };
        }
        of
    }

    /// An argument that is not NULL, or a row where there is none.
    fn add(&mut self, arg: Option<&ArrayRef>, row: usize, weight: i64) {
        match (self, arg) {
            (Self::Count(count), _) => *count += weight,
            (Self::Integers { sum, count }, Some(arg)) => {
                *sum += i128::from(Value::at(arg, row).as_integer().unwrap_or(0)) * i128::from(weight);
                *count += weight;
            }
            (Self::Reals { sum, count }, Some(arg)) => {
                sum.add(Value::at(arg, row).as_real().unwrap_or(0.0), weight);
                *count += weight;
            }
            (Self::Extreme(values), Some(arg)) => {
                let value = Ordered(Value::at(arg, row));
                let held = values.entry(value).or_insert(0);
                *held += weight;
                if *held == 0 {
                    values.remove(&Ordered(Value::at(arg, row)));
                }
            }
            (Self::Distinct { seen, of }, Some(arg)) => {
                let mut key = Key::new();
                append(arg, row, &mut key);
                let held = seen.entry(&key);
                let before = *held;
                *held += weight;
                let after = *held;
                if after == 0 {
                    seen.remove(&key);
                }
                let turned = i64::from(after > 0) - i64::from(before > 0);
                if turned != 0 {
                    of.add(Some(arg), row, turned);
                }
            }
            (_, None) => unreachable!("only count(*) has no argument"),
        }
    }

    /// As `operators::aggregate` has it.
    fn value(&self, call: &Call) -> Value {
        match self {
            Self::Count(count) => Value::Integer(*count),
            Self::Distinct { of, .. } => of.value(call),
            Self::Extreme(values) => {
                let end =
                    if call.kind == AggregateKind::Max { values.last_key_value() } else { values.first_key_value() };
                end.map_or(Value::Null, |(Ordered(value), _)| value.clone())
            }
            Self::Integers { count: 0, .. } | Self::Reals { count: 0, .. } if call.kind == AggregateKind::Total => {
                Value::Real(0.0)
            }
            Self::Integers { count: 0, .. } | Self::Reals { count: 0, .. } => Value::Null,
            #[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
            Self::Integers { sum, count } => match call.kind {
                AggregateKind::Avg => real(to_real(*sum) / *count as f64),
                AggregateKind::Total => real(to_real(*sum)),
                _ => i64::try_from(*sum).map_or(Value::Null, Value::Integer),
            },
            #[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
            Self::Reals { sum, count } => match call.kind {
                AggregateKind::Avg => real(sum.value() / *count as f64),
                _ => real(sum.value()),
            },
        }
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        compare_values(&self.0, &other.0, Collation::Binary)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}
