//! Equal rows once: a row appears with its first copy and leaves with its last.

use hashbrown::HashMap;

use super::{Size, Step};
use crate::dataflow::delta::{Delta, Exprs, Run};
use crate::dataflow::graph::Node;
use crate::dataflow::keys::{Key, KeyMap};
use crate::error::Error;

pub(crate) struct Distinct {
    whole: Exprs,
    copies: KeyMap<i64>,
}

impl Distinct {
    /// `whole` is every column of the input.
    pub(crate) fn new(whole: Exprs) -> Self {
        Self { whole, copies: KeyMap::new() }
    }
}

impl Step for Distinct {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let Some(delta) = inputs[0].delta() else { return Ok(Delta::nothing()) };
        run.work(delta.len())?;
        let keys = self.whole.group_keys(delta, &inputs[0].layout, run);
        // Each row once that this step changes, with how often it was there before.
        let mut changed: HashMap<&Key, (u32, i64)> = HashMap::new();
        let mut order = Vec::new();
        for ((row, key), weight) in (0u32..).zip(&keys).zip(&delta.weights) {
            let held = self.copies.entry(key);
            changed.entry(key).or_insert_with(|| {
                order.push(key);
                (row, *held)
            });
            *held += weight;
        }
        let (mut rows, mut weights) = (Vec::new(), Vec::new());
        for key in order {
            let (row, before) = changed[key];
            let after = *self.copies.get(key).expect("it was just counted");
            if after == 0 {
                self.copies.remove(key);
            }
            let weight = i64::from(after > 0) - i64::from(before > 0);
            if weight != 0 {
                rows.push(row);
                weights.push(weight);
            }
        }
        Ok(delta.select(&rows, weights))
    }

    fn size(&self) -> Size {
        Size { rows: self.copies.len(), bytes: self.copies.bytes() }
    }
}
