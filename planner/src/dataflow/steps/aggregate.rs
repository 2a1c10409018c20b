//! GROUP BY: each group's aggregates, kept up with its rows.
//!
//! A group whose last row leaves is gone, and can come back. What counting and sorted values cannot say (texts in order,
//! the columns of one row) is taken from the group's own rows, which are kept for that.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::{Entry as BTreeEntry, OccupiedEntry};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef};
use daemoneye_dsl::expr::{Collation, Expr};
use daemoneye_dsl::query::{Aggregate as Call, AggregateKind, Bare};
use daemoneye_dsl::types::{Type, Value};

use hashbrown::HashTable;
use smallvec::SmallVec;

use super::{Size, Step};
use crate::batch::{Batch, RowCodec, batch};
use crate::cell::Cells;
use crate::dataflow::bag::Bag;
use crate::dataflow::delta::{Delta, Exprs, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keyed::{KeyId, KeyStore, Keyed};
use crate::dataflow::keys::{Key, append, spilled};
use crate::dataflow::store::Store;
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
    keyed: Keyed,
    /// The same as values.
    keys: Exprs,
    key_types: Vec<Type>,
    /// The types of what stands beside the keys.
    value_types: Vec<Type>,
    way: Way,
    groups: HashTable<Group>,
    /// What groups take beyond their place in the table, about.
    bytes: usize,
    /// Steps so far.
    steps: u64,
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

struct Group {
    key: KeyId,
    /// Rows in it.
    weight: i64,
    /// The last step that touched it.
    step: u64,
    states: States,
    kept: Option<Box<Kept>>,
    /// What was given for it last.
    last: Option<Beside>,
}

/// One for each aggregate.
type States = SmallVec<[State; 1]>;

/// The rows of a group by their bytes, with how often each is there.
type Kept = BTreeMap<Box<[u8]>, i64>;

/// What stands beside the keys.
type Beside = SmallVec<[Value; 1]>;

/// A group that a step touches, with the row of the change that named it first; none for the group of no rows.
struct Touched {
    key: KeyId,
    row: Option<u32>,
}

/// One aggregate in one group.
enum State {
    Count(i64),
    Integers(Box<Sum<i128>>),
    Reals(Box<Sum<ExactSum>>),
    Extreme(BTreeMap<Ordered, i64>),
    Distinct(Box<Different>),
}

struct Sum<T> {
    sum: T,
    count: i64,
}

/// Each different argument once.
struct Different {
    seen: Bag<Key>,
    of: State,
}

/// A value by its place in the order of its type.
struct Ordered(Value);

impl Aggregate {
    /// `input` are the types of the input's columns, `output` those of the result.
    pub(crate) fn new(grouping: &Grouping, keyed: Keyed, input: &[Type], output: &[Type]) -> Self {
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
            keyed,
            keys: Exprs::new(keys),
            key_types: output[..keys.len()].to_vec(),
            value_types: output[keys.len()..].to_vec(),
            way,
            groups: HashTable::new(),
            bytes: 0,
            steps: 0,
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

    /// Takes the change up; gives the groups that it touches, in the order of their first row.
    fn touch(&mut self, delta: &Delta, node: &Node, run: &Run<'_>) -> Vec<Touched> {
        let mut touched: Vec<Touched> = Vec::with_capacity(delta.len());
        let keys = self.keyed.ids(delta, &node.layout, run);
        let arguments = self.way.arguments(delta, node, run);
        for ((row, key), weight) in (0u32..).zip(keys).zip(&delta.weights) {
            let key = key.expect("NULL is a value in the keys of groups");
            let group = Self::group(&mut self.groups, &self.way, key, &mut self.bytes, run);
            if std::mem::replace(&mut group.step, self.steps) != self.steps {
                touched.push(Touched { key, row: Some(row) });
            }
            group.weight += weight;
            self.bytes = self.bytes.saturating_add_signed(arguments.add(group, row as usize, *weight));
        }
        touched
    }

    /// The group of that key, begun if there is none.
    fn group<'g>(
        groups: &'g mut HashTable<Group>,
        way: &Way,
        key: KeyId,
        bytes: &mut usize,
        run: &Run<'_>,
    ) -> &'g mut Group {
        let begin = || {
            *bytes += run.keys.borrow_mut().hold(key);
            let (states, kept) = way.begin();
            Group { key, weight: 0, step: 0, states, kept, last: None }
        };
        let found = groups.entry(key.hash(), |group| group.key == key, |group| group.key.hash());
        found.or_insert_with(begin).into_mut()
    }
}

/// What aggregates read of each row of a change.
enum Arguments {
    /// For each aggregate its argument and whether FILTER admits the row.
    Counted(Vec<(Option<ArrayRef>, Option<ArrayRef>)>),
    Kept(Vec<Box<[u8]>>),
}

impl Arguments {
    /// A row comes to a group or leaves it; gives by how many bytes the group grew, about.
    fn add(&self, group: &mut Group, row: usize, weight: i64) -> isize {
        match self {
            Self::Counted(arguments) => {
                let mut grown = 0;
                for (state, (arg, filter)) in group.states.iter_mut().zip(arguments) {
                    let admitted =
                        filter.as_ref().is_none_or(|it| it.as_boolean().is_valid(row) && it.as_boolean().value(row));
                    if admitted && arg.as_ref().is_none_or(|arg| arg.is_valid(row)) {
                        grown += state.add(arg.as_ref(), row, weight);
                    }
                }
                grown
            }
            Self::Kept(rows) => {
                let kept = group.kept.get_or_insert_default();
                let len = isize::try_from(rows[row].len() + 32).unwrap_or(isize::MAX);
                match kept.entry(rows[row].clone()) {
                    BTreeEntry::Vacant(vacant) => {
                        vacant.insert(weight);
                        len
                    }
                    BTreeEntry::Occupied(mut held) => {
                        *held.get_mut() += weight;
                        if *held.get() != 0 {
                            return 0;
                        }
                        held.remove();
                        -len
                    }
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

    fn begin(&self) -> (States, Option<Box<Kept>>) {
        match self {
            Self::Counted(calls) => (calls.iter().map(|call| State::new(&call.call)).collect(), None),
            Self::Kept { .. } => (SmallVec::new(), Some(Box::default())),
        }
    }

    fn values(&self, group: &Group, run: &Run<'_>) -> Result<Beside, Error> {
        match self {
            Self::Counted(calls) => {
                Ok(calls.iter().zip(&group.states).map(|(call, state)| state.value(&call.call)).collect())
            }
            Self::Kept { codec, types, meant, .. } => {
                let kept = group.kept.iter().flat_map(|kept| kept.iter());
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
        self.steps += 1;
        let delta = inputs[0].delta();
        let mut touched = match delta {
            Some(delta) => {
                run.work(delta.len())?;
                self.touch(delta, inputs[0], run)
            }
            None => vec![],
        };
        if std::mem::take(&mut self.unborn) && touched.is_empty() {
            let key = run.keys.borrow_mut().of_nothing();
            Self::group(&mut self.groups, &self.way, key, &mut self.bytes, run);
            touched.push(Touched { key, row: None });
        }
        // The row that names the group, and what stands beside its keys.
        let mut leaving: Vec<(u32, Beside)> = Vec::with_capacity(2 * touched.len());
        let mut appearing: Vec<(u32, Beside)> = Vec::with_capacity(touched.len());
        for Touched { key, row } in touched {
            let Ok(mut found) = self.groups.find_entry(key.hash(), |group| group.key == key) else { continue };
            let group = found.get_mut();
            run.work(1 + group.kept.as_ref().map_or(0, |kept| kept.len()))?;
            let lives = group.weight > 0 || self.key_types.is_empty();
            let now = if lives { Some(self.way.values(group, run)?) } else { None };
            if !same(now.as_deref(), group.last.as_deref()) {
                let row = row.unwrap_or(0);
                let before = std::mem::replace(&mut group.last, now.clone());
                leaving.extend(before.map(|values| (row, values)));
                appearing.extend(now.map(|values| (row, values)));
            }
            if !lives && group.weight == 0 {
                found.remove();
                self.bytes -= run.keys.borrow_mut().release(key);
            }
        }
        let weights = [vec![-1; leaving.len()], vec![1; appearing.len()]].concat();
        leaving.append(&mut appearing);
        let keys = delta.filter(|_| !self.key_types.is_empty()).map(|delta| {
            let rows: Vec<u32> = leaving.iter().map(|(row, _)| *row).collect();
            self.keys.values(&delta.take(&rows), &inputs[0].layout, run)
        });
        let beside = self.value_types.iter().enumerate();
        let beside = beside.map(|(at, ty)| ty.array(leaving.iter().map(|(_, values)| values[at].clone())));
        let rows = batch(keys.into_iter().flatten().chain(beside).collect(), leaving.len());
        Ok(Delta::of_values(Batch { rows, weights }))
    }

    fn size(&self) -> Size {
        Size { rows: self.groups.len(), bytes: self.bytes + self.groups.capacity() * (size_of::<Group>() + 1) }
    }

    fn release(&mut self, _: &[RefCell<Store>], keys: &mut KeyStore) {
        self.groups.drain().for_each(|group| {
            keys.release(group.key);
        });
    }
}

/// Whether two groups' values are the same, NULL as NULL, and the two zeros as one.
fn same(one: Option<&[Value]>, other: Option<&[Value]>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => one.iter().zip(other).all(|(one, other)| match (one.is_null(), other.is_null()) {
            (false, false) => one.compare(other).is_eq(),
            (one, other) => one == other,
        }),
        _ => false,
    }
}

impl Counted {
    fn new(call: &Call) -> Self {
        let arg = call.args.first();
        Self { exprs: Exprs::new(arg.into_iter().chain(&call.filter)), has_arg: arg.is_some(), call: call.clone() }
    }
}

/// What one value of a group takes, about.
const ENTRY: isize = 48;

/// The value is there so often more, or no more; gives by how many bytes that grows.
fn take_up(mut held: OccupiedEntry<'_, Ordered, i64>, weight: i64) -> isize {
    *held.get_mut() += weight;
    if *held.get() != 0 {
        return 0;
    }
    held.remove();
    -ENTRY
}

impl State {
    fn new(call: &Call) -> Self {
        let of = match call.kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::Sum | AggregateKind::Total | AggregateKind::Avg => match call.args[0].ty {
                Type::Real => Self::Reals(Box::new(Sum { sum: ExactSum::new(), count: 0 })),
                _ => Self::Integers(Box::new(Sum { sum: 0, count: 0 })),
            },
            _ => Self::Extreme(BTreeMap::new()),
        };
        let counts_copies = !matches!(of, Self::Extreme(_));
        if call.distinct && counts_copies && !call.args.is_empty() {
            return Self::Distinct(Box::new(Different { seen: Bag::new(), of }));
        }
        of
    }

    /// An argument that is not NULL, or a row where there is none; gives by how many bytes it grew, about.
    fn add(&mut self, arg: Option<&ArrayRef>, row: usize, weight: i64) -> isize {
        match (self, arg) {
            (Self::Count(count), _) => *count += weight,
            (Self::Integers(of), Some(arg)) => {
                of.sum += i128::from(Value::at(arg, row).as_integer().unwrap_or(0)) * i128::from(weight);
                of.count += weight;
            }
            (Self::Reals(of), Some(arg)) => {
                of.sum.add(Value::at(arg, row).as_real().unwrap_or(0.0), weight);
                of.count += weight;
            }
            (Self::Extreme(values), Some(arg)) => {
                let held = match values.entry(Ordered(Value::at(arg, row))) {
                    BTreeEntry::Vacant(vacant) => {
                        vacant.insert(weight);
                        return ENTRY;
                    }
                    BTreeEntry::Occupied(held) => held,
                };
                return take_up(held, weight);
            }
            (Self::Distinct(different), Some(arg)) => {
                let Different { seen, of } = &mut **different;
                let mut bytes = Vec::new();
                append(Cells::of(arg.as_ref()).at(row), &mut bytes);
                let key = Key::from_slice(&bytes);
                let (before, after) = seen.add(&key, weight);
                let turned = i64::from(after > 0) - i64::from(before > 0);
                if turned != 0 {
                    of.add(Some(arg), row, turned);
                }
                let entries = isize::from(after != 0) - isize::from(before != 0);
                return entries * (ENTRY + isize::try_from(spilled(&key)).unwrap_or(0));
            }
            (_, None) => unreachable!("only count(*) has no argument"),
        }
        0
    }

    /// As `operators::aggregate` has it.
    fn value(&self, call: &Call) -> Value {
        match self {
            Self::Count(count) => Value::Integer(*count),
            Self::Distinct(different) => different.of.value(call),
            Self::Extreme(values) => {
                let end =
                    if call.kind == AggregateKind::Max { values.last_key_value() } else { values.first_key_value() };
                end.map_or(Value::Null, |(Ordered(value), _)| value.clone())
            }
            Self::Integers(of) => summed(call.kind, of.count, to_real(of.sum), || {
                i64::try_from(of.sum).map_or(Value::Null, Value::Integer)
            }),
            Self::Reals(of) => summed(call.kind, of.count, of.sum.value(), || real(of.sum.value())),
        }
    }
}

/// What an aggregate makes of a sum of so many values.
#[expect(clippy::cast_precision_loss, reason = "a mean is a double, whatever the count")]
fn summed(kind: AggregateKind, count: i64, sum: f64, exact: impl FnOnce() -> Value) -> Value {
    match (kind, count) {
        (AggregateKind::Total, 0) => Value::Real(0.0),
        (_, 0) => Value::Null,
        (AggregateKind::Avg, _) => real(sum / count as f64),
        (AggregateKind::Total, _) => real(sum),
        _ => exact(),
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
