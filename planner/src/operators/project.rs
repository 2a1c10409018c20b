//! Expressions over each row.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Meaning};
use crate::batch::batch;
use crate::error::Error;

pub(super) struct Project(pub(super) Vec<Expr>);

impl Meaning for Project {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let evaluator = context.evaluator(&inputs[0]);
        Ok(batch(self.0.iter().map(|expr| evaluator.values(expr)).collect(), inputs[0].num_rows()))
    }
}
