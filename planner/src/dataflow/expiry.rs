//! How long a row of events can still be met, and the rows that cannot any more.
//!
//! A join that bounds the time between its sides meets a row only with rows not much later or earlier. What may still come
//! has a moment of at least the *horizon*: the time of the step, or of the one before if that was earlier, less the grace
//! for rows that come late. So behind the horizon by more than the bound, a row is forgotten; and a row that comes from
//! behind the horizon may have had partners that are forgotten: it is discarded and counted.
//!
//! What must hold: among rows that come in time, no pair is missed. Events never leave, so nothing is taken back of a row
//! that is forgotten.

use std::collections::BTreeMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use daemoneye_dsl::expr::{Comparison, Expr, ExprKind};
use daemoneye_dsl::moments::{Base, Bound, bounds, compared};
use daemoneye_dsl::query::JoinKind;
use daemoneye_dsl::tables::Kind;
use daemoneye_dsl::types::Type;

use super::delta::{Delta, Exprs, Layout, Run};
use super::graph::{Graph, NodeId};
use super::keyed::KeyId;
use super::recipe::{Recipe, nameless};
use super::steps::pair::PairKind;
use super::steps::temporal::Turning;
use super::tuple::Tuple;
use crate::rewrites::lookback::back;

/// How long rows with a moment are kept.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Until {
    /// A TIMESTAMP over the row.
    pub(crate) moment: Expr,
    /// So far behind the horizon nobody can meet it, in microseconds; none if it is kept for ever.
    pub(crate) keep: Option<i64>,
    /// So far behind the horizon it came too late; none if none does.
    pub(crate) late: Option<i64>,
}

/// What an arrangement forgets, in the order of time.
pub(crate) struct Expiry {
    until: Until,
    moments: Exprs,
    order: BTreeMap<(i64, Tuple), Option<KeyId>>,
    /// What this step forgot.
    forgotten: Vec<Tuple>,
}

impl Expiry {
    pub(crate) fn new(until: &Until) -> Self {
        let moments = Exprs::new([&until.moment]);
        Self { until: until.clone(), moments, order: BTreeMap::new(), forgotten: vec![] }
    }

    /// The moment of each row; the earliest there is where it has none, since then it meets nothing.
    pub(crate) fn moments(&self, delta: &Delta, layout: &Layout, run: &Run<'_>) -> Vec<i64> {
        let values = self.moments.values(delta, layout, run);
        let values = values[0].as_primitive::<TimestampMicrosecondType>();
        (0..delta.len()).map(|row| if values.is_null(row) { i64::MIN } else { values.value(row) }).collect()
    }

    /// Whether a row came too late to be met by all that it should meet.
    pub(crate) fn is_late(&self, moment: i64, run: &Run<'_>) -> bool {
        let late = self.until.late.filter(|_| run.changes.is_some() && moment != i64::MIN);
        late.is_some_and(|late| moment < run.horizon.saturating_sub(late))
    }

    /// A row is held from now on.
    pub(crate) fn hold(&mut self, moment: i64, tuple: &Tuple, key: Option<KeyId>) {
        if self.forgets() {
            self.order.insert((moment, tuple.clone()), key);
        }
    }

    /// It left by itself.
    pub(crate) fn release(&mut self, moment: i64, tuple: &Tuple) {
        self.order.remove(&(moment, tuple.clone()));
    }

    /// The next row that nobody can meet any more.
    pub(crate) fn next(&mut self, horizon: i64) -> Option<(Tuple, Option<KeyId>)> {
        let keep = self.until.keep?;
        let first = self.order.first_entry()?;
        if first.key().0 >= horizon.saturating_sub(keep) {
            return None;
        }
        let ((_, tuple), key) = first.remove_entry();
        self.forgotten.push(tuple.clone());
        Some((tuple, key))
    }

    /// It holds rows for some time only.
    pub(crate) fn forgets(&self) -> bool {
        self.until.keep.is_some()
    }

    pub(crate) fn forgotten(&self) -> &[Tuple] {
        &self.forgotten
    }

    /// The step is over.
    pub(crate) fn end(&mut self) {
        self.forgotten.clear();
    }

    pub(crate) fn bytes(&self) -> usize {
        self.order.len() * size_of::<((i64, Tuple), Option<KeyId>)>()
    }

    pub(crate) fn clear(&mut self) {
        self.order.clear();
    }
}

impl Graph {
    /// How long the rows of the two sides of a join are kept, where its conditions bound the time between them.
    pub(super) fn untils(
        &self,
        kind: PairKind,
        (left, right): (NodeId, NodeId),
        keys: &[(Expr, Expr)],
        on: Option<&Expr>,
    ) -> [Option<Until>; 2] {
        // NOT IN asks how many rows there are altogether.
        if kind == PairKind::NotIn {
            return [None, None];
        }
        let width = self.node(left).layout.types.len();
        let of_keys = keys.iter().flat_map(|(one, other)| {
            let other = other.clone().with_columns(&|column| column + width);
            compared(Comparison::Equal, one, &other)
        });
        let found: Vec<Bound> = on.into_iter().flat_map(bounds).chain(of_keys).collect();
        let pairs = found.iter().filter_map(|bound| match (bound.earlier, bound.later) {
            (Base::Column(one), Base::Column(other)) => {
                let (one, other) = (one.min(other), one.max(other));
                (one < width && other >= width).then(|| (one, other - width))
            }
            _ => None,
        });
        let sides = pairs.map(|(one, other)| {
            let (own, others) = (Base::Column(one), Base::Column(other + width));
            let at_most = |earlier, later| {
                let same = found.iter().filter(|bound| bound.earlier == earlier && bound.later == later);
                same.map(|bound| bound.micros).min()
            };
            let (left_comes, right_comes) = (self.comes_within(left, one), self.comes_within(right, other));
            // A row is kept for as long as a row of the other side that may still come can be in its bound.
            let keep = |own: NodeId, bound: Option<i64>, other: Option<i64>| {
                bound.zip(other).filter(|_| self.only_grows(own)).and_then(|(bound, other)| bound.checked_add(other))
            };
            let left_keep = keep(left, at_most(others, own), right_comes);
            let right_keep = keep(right, at_most(own, others), left_comes);
            let until = |at: usize, keep: Option<i64>, late: Option<i64>| {
                let moment = nameless(Expr::column(at, Type::Timestamp, ""));
                (keep.is_some() || late.is_some()).then_some(Until { moment, keep, late })
            };
            [
                until(one, left_keep, left_comes.filter(|_| right_keep.is_some())),
                until(other, right_keep, right_comes.filter(|_| left_keep.is_some())),
            ]
        });
        let forgetting =
            |sides: &[Option<Until>; 2]| sides.iter().flatten().filter(|until| until.keep.is_some()).count();
        sides.max_by_key(forgetting).unwrap_or_default()
    }

    /// Rows that come in time, or leave, are in this column at most so far behind the horizon, in microseconds.
    pub(super) fn comes_within(&self, id: NodeId, column: usize) -> Option<i64> {
        let node = self.node(id);
        let input = |column: usize| self.comes_within(node.inputs[0], column);
        match &node.recipe {
            Recipe::Leg { source, columns, .. } => {
                let table = &self.sources[*source].table;
                let declared = &table.columns[columns[column]];
                let says = table.kind == Kind::Events && declared.ty == Type::Timestamp && !declared.earlier;
                says.then_some(0)
            }
            Recipe::Filter(_) | Recipe::Distinct | Recipe::Arrange { .. } => input(column),
            Recipe::Columns(columns) => input(columns[column]),
            Recipe::Project(exprs) => match exprs[column].kind {
                ExprKind::Column { index, .. } => input(index),
                _ => None,
            },
            Recipe::Union => {
                let all = node.inputs.iter().map(|input| self.comes_within(*input, column));
                all.reduce(|one, other| Some(one?.max(other?)))?
            }
            Recipe::Temporal(turning) => {
                let is_own =
                    |it: &&Turning| matches!(it.moment.kind, ExprKind::Column { index, .. } if index == column);
                let own: Vec<&Turning> = turning.iter().filter(is_own).collect();
                let is_lower = |it: &&&Turning| matches!(it.op, Comparison::Greater | Comparison::GreaterEqual);
                let window = own.iter().filter(is_lower).filter_map(|it| back(&it.bound)).filter(|it| *it >= 0).min();
                // What leaves a window was in it until the step before; what waits for its time comes when that is over.
                window.or_else(|| {
                    let waits = turning.iter().map(|it| back(&it.bound).filter(|_| is_own(&it)));
                    waits.chain([input(column)]).try_fold(0, |most, one| Some(one?.max(most)))
                })
            }
            // One side of a new pair is new; the other may have been kept.
            Recipe::Pair { kind: PairKind::Join(JoinKind::Inner) | PairKind::Semi, .. } => {
                let width = self.node(node.inputs[0]).layout.types.len();
                let (side, column) = if column < width { (0, column) } else { (1, column - width) };
                let Recipe::Arrange { until, .. } = &self.node(*node.inputs.get(side)?).recipe else { return None };
                let Until { moment, keep, late } = until.as_ref()?;
                let is_moment = matches!(moment.kind, ExprKind::Column { index, .. } if index == column);
                if is_moment { Some((*keep)?.max((*late)?)) } else { None }
            }
            _ => None,
        }
    }

    /// Whether a node holds rows of events for ever: neither their time nor anything else makes it forget them.
    pub(super) fn holds_for_ever(&self, id: NodeId) -> bool {
        let node = self.node(id);
        let holds = match &node.recipe {
            Recipe::Arrange { .. } => !node.forgets(),
            Recipe::Temporal(turning) => {
                !turning.iter().any(|it| matches!(it.op, Comparison::Greater | Comparison::GreaterEqual))
            }
            Recipe::Aggregate(grouping) => !grouping.keys.is_empty(),
            Recipe::Distinct | Recipe::Set(_) | Recipe::Top { .. } | Recipe::Recomputed(_) => true,
            _ => false,
        };
        holds && node.inputs.iter().any(|input| self.only_grows(*input))
    }

    /// Whether its rows are things that happened: they come, and never leave.
    pub(super) fn only_grows(&self, id: NodeId) -> bool {
        let node = self.node(id);
        match node.recipe {
            Recipe::Leg { source, .. } => self.sources[source].table.kind == Kind::Events,
            Recipe::Filter(_)
            | Recipe::Project(_)
            | Recipe::Columns(_)
            | Recipe::Union
            | Recipe::Arrange { .. }
            | Recipe::Distinct
            | Recipe::Pair { kind: PairKind::Join(JoinKind::Inner) | PairKind::Semi, .. } => {
                node.inputs.iter().all(|input| self.only_grows(*input))
            }
            _ => false,
        }
    }
}
