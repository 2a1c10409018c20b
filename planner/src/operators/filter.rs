//! The rows for which a predicate is true.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Meaning, Operator};
use crate::batch::{Batch, take};
use crate::error::Error;

pub(super) struct Filter(pub(super) Expr);

impl Meaning for Filter {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        Ok(take(rows, &context.evaluator(rows).matching(&self.0)))
    }
}

impl Operator for Filter {
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error> {
        let change = &changes[0];
        Ok(change.take(&context.evaluator(&change.rows).matching(&self.0)))
    }
}
