//! The rows for which a predicate is true.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Meaning, Operator};
use crate::batch::{Batch, take};
use crate::error::Error;
use crate::eval::Evaluator;

pub(super) struct Filter(pub(super) Expr);

impl Meaning for Filter {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        Ok(take(rows, &Evaluator::new(rows, context.now).matching(&self.0)))
    }
}

impl Operator for Filter {
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error> {
        let change = &changes[0];
        Ok(change.take(&Evaluator::new(&change.rows, context.now).matching(&self.0)))
    }
}
