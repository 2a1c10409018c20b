//! The rows for which a predicate is true.

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;

use super::moments::Moments;
use super::{Context, Each, Leeway, Meaning, Node};
use crate::batch::{batch, take};
use crate::error::Error;

pub(super) struct Filter {
    pub(super) predicate: Expr,
    /// What it asks for by the parameters.
    pub(super) moments: Moments,
}

impl Meaning for Filter {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        self.moments.ask(context, &batch(vec![], 1))?;
        let rows = &inputs[0];
        Ok(take(rows, &context.evaluator(rows).matching(&self.predicate)))
    }

    fn stream(
        &self,
        context: &Context<'_>,
        inputs: &[Node],
        _: Leeway<'_>,
        each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        if let Err(error) = self.moments.ask(context, &batch(vec![], 1)) {
            return Some(Err(error));
        }
        Some(inputs[0].stream(context, Leeway::default(), &mut |rows| {
            let kept = context.evaluator(&rows).matching(&self.predicate);
            each(take(&rows, &kept))
        }))
    }
}
