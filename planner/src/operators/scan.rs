//! Where rows come from: a table's rows.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::Scan as Request;

use super::{Context, Each, Meaning, Node};
use crate::batch::{batch, empty, stack, take};
use crate::error::Error;
use crate::plan::Lookback;
use crate::pushdown;

/// A table's columns, and the filter that moved into the scan.
pub(super) struct Scan {
    pub(super) table: Arc<Table>,
    pub(super) columns: Vec<usize>,
    pub(super) types: Vec<Type>,
    pub(super) filter: Option<Expr>,
    pub(super) lookback: Option<Lookback>,
    pub(super) as_of: Option<Expr>,
}

impl Scan {
    /// Calls `read` with what is asked of the store.
    fn asked<T>(&self, context: &Context<'_>, read: impl FnOnce(&Request<'_>) -> T) -> T {
        let over = |rows: &RecordBatch, expr: &Expr| context.evaluator(rows).values(expr);
        let since = self.lookback.map(|lookback| pushdown::since(lookback, context.now.0));
        let goes_on = || context.in_time().is_ok();
        let as_of = self.as_of.as_ref().and_then(|moment| match Value::at(&over(&batch(vec![], 1), moment), 0) {
            Value::Timestamp(moment) => Some(Timestamp(moment)),
            _ => None,
        });
        let tally = context.tallied().then(RefCell::default);
        let read =
            |scan: &Request<'_>| read(&Request { as_of, goes_on: Some(&goes_on), tally: tally.as_ref(), ..*scan });
        let answer = pushdown::scan(&self.table, &self.columns, self.filter.as_ref(), since, &over, read);
        if let Some(tally) = tally {
            context.note_tally(tally.into_inner());
        }
        answer
    }

    /// The rows that the filter lets through.
    fn kept(&self, context: &Context<'_>, rows: RecordBatch) -> RecordBatch {
        context.note_rows_in(rows.num_rows());
        match &self.filter {
            None => rows,
            Some(filter) => take(&rows, &context.evaluator(&rows).matching(filter)),
        }
    }
}

impl Meaning for Scan {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let scanned = self.asked(context, |scan| context.reader.scan(scan))?;
        context.in_time()?;
        context.read(&scanned.completeness);
        Ok(self.kept(context, stack(&scanned.batches, &empty(&self.types))))
    }

    fn stream(
        &self,
        context: &Context<'_>,
        _: &[Node],
        dictionaries: &[usize],
        each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        let read_again = self.filter.iter().flat_map(Expr::columns).collect::<Vec<_>>();
        let dictionaries: Vec<usize> =
            dictionaries.iter().copied().filter(|column| !read_again.contains(column)).collect();
        let mut failed = None;
        let mut taken = |rows: RecordBatch| {
            each(self.kept(context, rows)).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        };
        let scan =
            |scan: &Request<'_>| context.reader.visit(&Request { dictionaries: &dictionaries, ..*scan }, &mut taken);
        let read = self.asked(context, scan);
        Some(match (failed, read) {
            (Some(error), _) => Err(error),
            (None, Err(error)) => Err(error.into()),
            (None, Ok(completeness)) => {
                context.read(&completeness);
                context.in_time()
            }
        })
    }
}

/// One row without columns: what a SELECT without FROM works on.
pub(super) struct Unit;

impl Meaning for Unit {
    fn meaning(&self, _: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Ok(batch(vec![], 1))
    }
}
