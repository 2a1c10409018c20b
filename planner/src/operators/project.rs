//! Expressions over each row.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Each, Leeway, Meaning, Node};
use crate::batch::batch;
use crate::error::Error;

pub(super) struct Project(pub(super) Vec<Expr>);

impl Project {
    fn of(&self, context: &Context<'_>, rows: &RecordBatch) -> RecordBatch {
        let evaluator = context.evaluator(rows);
        batch(self.0.iter().map(|expr| evaluator.values(expr)).collect(), rows.num_rows())
    }
}

impl Meaning for Project {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Ok(self.of(context, &inputs[0]))
    }

    fn stream(
        &self,
        context: &Context<'_>,
        inputs: &[Node],
        _: Leeway<'_>,
        each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        Some(inputs[0].stream(context, Leeway::default(), &mut |rows| each(self.of(context, &rows))))
    }
}
