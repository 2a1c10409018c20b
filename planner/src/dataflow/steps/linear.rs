//! Filters, projections and unions: the step is the meaning on the rows that changed.

use daemoneye_dsl::expr::Expr;

use super::Step;
use crate::batch::{Batch, batch, stack};
use crate::dataflow::delta::{Delta, Exprs, Run};
use crate::dataflow::graph::Node;
use crate::error::Error;

/// The rows for which a condition is true.
pub(crate) struct Filter(Exprs);

impl Filter {
    pub(crate) fn new(condition: &Expr) -> Self {
        Self(Exprs::new([condition]))
    }
}

impl Step for Filter {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let Some(delta) = inputs[0].delta() else { return Ok(Delta::nothing()) };
        Ok(delta.take(&self.0.matching(delta, &inputs[0].layout, run)?))
    }
}

/// Expressions over each row.
pub(crate) struct Project(Exprs);

impl Project {
    pub(crate) fn new(exprs: &[Expr]) -> Self {
        Self(Exprs::new(exprs))
    }
}

impl Step for Project {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let Some(delta) = inputs[0].delta() else { return Ok(Delta::nothing()) };
        run.work(delta.len())?;
        let columns = self.0.values(delta, &inputs[0].layout, run);
        Ok(Delta::of_values(Batch { rows: batch(columns, delta.len()), weights: delta.weights.clone() }))
    }
}

/// Some columns of each row, which stays where it is.
pub(crate) struct Columns;

impl Step for Columns {
    fn step(&mut self, _: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        Ok(inputs[0].delta().cloned().unwrap_or_else(Delta::nothing))
    }
}

/// The rows of all inputs.
pub(crate) struct Union;

impl Step for Union {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        let changes = inputs.iter().filter_map(|input| Some(input.delta()?.batch(&input.layout, run)));
        let (rows, weights): (Vec<_>, Vec<_>) = changes.map(|change| (change.rows, change.weights)).unzip();
        match rows.first() {
            None => Ok(Delta::nothing()),
            Some(like) => Ok(Delta::of_values(Batch { rows: stack(&rows, like), weights: weights.concat() })),
        }
    }
}
