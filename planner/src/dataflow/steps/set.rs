//! INTERSECT and EXCEPT over sets: equal rows are one.

use daemoneye_dsl::query::SetOp;
use hashbrown::HashMap;

use super::{Size, Step};
use crate::batch::{Batch, stack, take};
use crate::dataflow::delta::{Delta, Exprs, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keys::{Key, KeyMap};
use crate::error::Error;

pub(crate) struct Set {
    op: SetOp,
    whole: Exprs,
    /// How often each row is on the left and on the right.
    copies: KeyMap<[i64; 2]>,
}

impl Set {
    /// `whole` is every column of an input.
    pub(crate) fn new(op: SetOp, whole: Exprs) -> Self {
        Self { op, whole, copies: KeyMap::new() }
    }

    fn holds(&self, [left, right]: [i64; 2]) -> bool {
        match self.op {
            SetOp::Intersect => left > 0 && right > 0,
            SetOp::Except => left > 0 && right <= 0,
            SetOp::Union | SetOp::UnionAll => left > 0 || right > 0,
        }
    }
}

impl Step for Set {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let mut changed: HashMap<Key, (u32, [i64; 2])> = HashMap::new();
        let mut order: Vec<Key> = Vec::new();
        let mut changes = Vec::new();
        let mut first = 0;
        for (side, input) in inputs.iter().enumerate() {
            let Some(delta) = input.delta() else { continue };
            run.work(delta.len())?;
            let keys = self.whole.group_keys(delta, &input.layout, run);
            for ((row, key), weight) in (0u32..).zip(&keys).zip(&delta.weights) {
                let held = self.copies.entry(key);
                changed.entry_ref(key).or_insert_with(|| {
                    order.push(key.clone());
                    (first + row, *held)
                });
                held[side] += weight;
            }
            first += u32::try_from(delta.len()).expect("fewer rows than 2^32");
            changes.push(delta.batch(&input.layout, run).rows);
        }
        let Some(like) = changes.first() else { return Ok(Delta::nothing()) };
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for key in order {
            let (row, before) = changed[&key];
            let after = *self.copies.get(&key).expect("it was just counted");
            if after == [0, 0] {
                self.copies.remove(&key);
            }
            let weight = i64::from(self.holds(after)) - i64::from(self.holds(before));
            if weight != 0 {
                rows.push(row);
                weights.push(weight);
            }
        }
        Ok(Delta::of_values(Batch { rows: take(&stack(&changes, like), &rows), weights }))
    }

    fn size(&self) -> Size {
        Size { rows: self.copies.len(), bytes: self.copies.bytes() }
    }
}
