//! Conditions that the time alone can turn: `column >= now() - INTERVAL '5 minutes'`.
//!
//! Each compares a moment of the row with one that depends on the time only. Rows are kept in the order of their moment;
//! when the time goes on, or back, exactly those between the bound of before and that of now can turn, so rows expire
//! without any input, and the cost is that of what expires.

use std::cell::RefCell;

use std::collections::BTreeSet;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use daemoneye_dsl::expr::{Collation, Comparison, Expr, ExprKind};
use hashbrown::HashMap;

use super::{Size, Step};
use crate::batch::batch;
use crate::dataflow::arrangement::Taken;
use crate::dataflow::delta::{Delta, Exprs, Rows, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keyed::KeyStore;
use crate::dataflow::store::Store;
use crate::dataflow::tuple::Tuple;
use crate::error::Error;
use crate::eval::Evaluator;

/// A moment of the row, compared with one of the time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turning {
    pub(crate) op: Comparison,
    /// A TIMESTAMP over the input row, without `now()`.
    pub(crate) moment: Expr,
    /// A TIMESTAMP over nothing but `now()`.
    pub(crate) bound: Expr,
}

impl Turning {
    /// The condition that it is.
    pub(crate) fn condition(&self) -> Expr {
        let (left, right) = (self.moment.clone().into(), self.bound.clone().into());
        Expr::boolean(ExprKind::Compare { op: self.op, left, right, collation: Collation::Binary })
    }
}

pub(crate) struct Temporal {
    turning: Vec<Turning>,
    moments: Exprs,
    taken: Taken,
    rows: HashMap<Tuple, Row>,
    /// By condition: rows in the order of their moment.
    orders: Vec<BTreeSet<(i64, Tuple)>>,
    bounds: Vec<Option<i64>>,
    /// The lowest bound of this step and the one before.
    lowest: Vec<i64>,
    /// Rows never leave their table, so that one whose moment has passed for good can be forgotten.
    forgets: bool,
    /// By condition: the moment says when the row happened, so that it can come too late for its window.
    dated: Vec<bool>,
}

struct Row {
    weight: i64,
    moments: Box<[i64]>,
    inside: bool,
}

impl Temporal {
    pub(crate) fn new(turning: Vec<Turning>, taken: Taken, forgets: bool, dated: Vec<bool>) -> Self {
        Self {
            moments: Exprs::new(turning.iter().map(|it| &it.moment)),
            rows: HashMap::new(),
            orders: vec![BTreeSet::new(); turning.len()],
            bounds: vec![None; turning.len()],
            lowest: vec![i64::MIN; turning.len()],
            turning,
            taken,
            forgets,
            dated,
        }
    }

    fn is_inside(&self, moments: &[i64]) -> bool {
        let mut conditions = self.turning.iter().zip(moments).zip(&self.bounds);
        conditions.all(|((turning, moment), bound)| bound.is_some_and(|bound| turning.op.holds(moment.cmp(&bound))))
    }

    /// Moves the bounds to now; gives the rows that that may turn.
    fn advance(&mut self, run: &Run<'_>) -> BTreeSet<Tuple> {
        let one = batch(vec![], 1);
        let evaluator = Evaluator::new(&one, run.now, &[]);
        let mut candidates = BTreeSet::new();
        for (at, turning) in self.turning.iter().enumerate() {
            let bound = evaluator.values(&turning.bound);
            let bound = bound.is_valid(0).then(|| bound.as_primitive::<TimestampMicrosecondType>().value(0));
            let before = std::mem::replace(&mut self.bounds[at], bound);
            self.lowest[at] = before.unwrap_or(i64::MAX).min(bound.unwrap_or(i64::MIN));
            let (from, to) = match (before, bound) {
                (before, after) if before == after => continue,
                (Some(before), Some(after)) => (before.min(after), before.max(after)),
                // There was or is no bound at all: everything may turn.
                _ => (i64::MIN, i64::MAX),
            };
            let order = &self.orders[at];
            let between = order.range((from, Tuple::None)..).take_while(|(moment, _)| *moment <= to);
            candidates.extend(between.map(|(_, tuple)| tuple.clone()));
        }
        candidates
    }

    fn is_lower(&self, at: usize) -> bool {
        matches!(self.turning[at].op, Comparison::Greater | Comparison::GreaterEqual)
    }

    /// Whether a row that comes now should have been in the window long ago.
    fn is_late(&self, moments: &[i64], run: &Run<'_>) -> bool {
        let behind = |at: usize| moments[at] < self.lowest[at].saturating_sub(run.grace);
        run.changes.is_some() && (0..moments.len()).any(|at| self.dated[at] && self.is_lower(at) && behind(at))
    }

    fn forget(&mut self, run: &Run<'_>) {
        if !self.forgets {
            return;
        }
        for at in 0..self.turning.len() {
            let Some(bound) = self.bounds[at].filter(|_| self.is_lower(at)) else { continue };
            while let Some((moment, tuple)) = self.orders[at].first().cloned() {
                // The clock may be set back by as much as rows may come late.
                if moment >= bound.saturating_sub(run.grace) {
                    break;
                }
                self.drop_row(&tuple, run);
            }
        }
    }

    fn drop_row(&mut self, tuple: &Tuple, run: &Run<'_>) {
        if let Some(row) = self.rows.remove(tuple) {
            for (order, moment) in self.orders.iter_mut().zip(&row.moments) {
                order.remove(&(*moment, tuple.clone()));
            }
            self.taken.release(tuple, run.stores);
        }
    }

    fn change(&mut self, tuple: Tuple, weight: i64, moments: Box<[i64]>, run: &Run<'_>) -> i64 {
        let inside = self.is_inside(&moments);
        match self.rows.get_mut(&tuple) {
            Some(row) => {
                row.weight += weight;
                if row.weight == 0 {
                    self.drop_row(&tuple, run);
                }
            }
            None => {
                for (order, moment) in self.orders.iter_mut().zip(&moments) {
                    order.insert((*moment, tuple.clone()));
                }
                self.taken.hold(&tuple, run);
                self.rows.insert(tuple, Row { weight, moments, inside });
            }
        }
        if inside { weight } else { 0 }
    }
}

impl Step for Temporal {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let (mut slots, mut weights) = (Vec::new(), Vec::new());
        let mut give = |tuple: &Tuple, weight: i64| {
            if weight != 0 {
                slots.extend_from_slice(tuple);
                weights.push(weight);
            }
        };
        for tuple in self.advance(run) {
            let Some(row) = self.rows.get(&tuple) else { continue };
            let inside = self.is_inside(&row.moments);
            if inside != row.inside {
                give(&tuple, if inside { row.weight } else { -row.weight });
            }
            if let Some(row) = self.rows.get_mut(&tuple) {
                row.inside = inside;
            }
        }
        if let Some(delta) = inputs[0].delta() {
            let moments = self.moments.values(delta, &inputs[0].layout, run);
            for (row, tuple) in self.taken.tuples(delta, &inputs[0].layout, run).into_iter().enumerate() {
                // What is compared with NULL is never true.
                if moments.iter().any(|column| column.is_null(row)) {
                    continue;
                }
                let own: Box<[i64]> =
                    moments.iter().map(|it| it.as_primitive::<TimestampMicrosecondType>().value(row)).collect();
                if self.is_late(&own, run) {
                    run.note_late(delta.weights[row]);
                }
                let weight = self.change(tuple.clone(), delta.weights[row], own, run);
                give(&tuple, weight);
            }
        }
        self.forget(run);
        Ok(Delta { rows: Rows::Slots(slots), weights })
    }

    fn is_timed(&self) -> bool {
        true
    }

    fn size(&self) -> Size {
        let row = size_of::<(Tuple, Row)>() + self.turning.len() * (16 + size_of::<(i64, Tuple)>());
        Size { rows: self.rows.len(), bytes: self.rows.len() * row }
    }

    fn release(&mut self, stores: &[RefCell<Store>], _: &mut KeyStore) {
        self.rows.keys().for_each(|tuple| self.taken.release(tuple, stores));
        self.rows.clear();
    }
}
