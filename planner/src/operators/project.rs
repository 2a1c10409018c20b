//! Expressions over each row.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Meaning, Operator};
use crate::batch::{Batch, batch};
use crate::error::Error;

pub(super) struct Project(pub(super) Vec<Expr>);

impl Project {
    fn rows(&self, context: &Context<'_>, rows: &RecordBatch) -> RecordBatch {
        let evaluator = context.evaluator(rows);
        batch(self.0.iter().map(|expr| evaluator.values(expr)).collect(), rows.num_rows())
    }
}

impl Meaning for Project {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Ok(self.rows(context, &inputs[0]))
    }
}

impl Operator for Project {
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error> {
        let Batch { rows, weights } = &changes[0];
        Ok(Batch { rows: self.rows(context, rows), weights: weights.clone() })
    }
}
