//! The rows for which a predicate is true.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::{Context, Each, Leeway, Meaning, Node};
use crate::batch::take;
use crate::error::Error;

pub(super) struct Filter(pub(super) Expr);

impl Meaning for Filter {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = &inputs[0];
        Ok(take(rows, &context.evaluator(rows).matching(&self.0)))
    }

    fn stream(
        &self,
        context: &Context<'_>,
        inputs: &[Node],
        _: Leeway<'_>,
        each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        Some(inputs[0].stream(context, Leeway::default(), &mut |rows| {
            let kept = context.evaluator(&rows).matching(&self.0);
            each(take(&rows, &kept))
        }))
    }
}
