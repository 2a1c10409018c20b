//! Where rows come from: a table's rows.

use std::cell::{Cell, RefCell};
use std::ops::ControlFlow;
use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_storage::Scan as Request;

use super::{Context, Each, Leeway, Meaning, Node};
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

    /// The rows for which all of these are true.
    fn passing(context: &Context<'_>, mut rows: RecordBatch, conditions: &[Expr]) -> RecordBatch {
        context.note_rows_in(rows.num_rows());
        for condition in conditions {
            rows = take(&rows, &context.evaluator(&rows).matching(condition));
        }
        rows
    }

    /// The columns that nobody looks at where tests are not asked again.
    fn unread(&self, leeway: Leeway<'_>, again: &[usize]) -> Vec<usize> {
        let Some(read) = leeway.read else { return vec![] };
        (0..self.columns.len()).filter(|place| !read.contains(place) && !again.contains(place)).collect()
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
        leeway: Leeway<'_>,
        each: Each<'_>,
    ) -> Option<Result<(), Error>> {
        let untested = self.filter.as_ref().map(pushdown::untested).unwrap_or_default();
        let again: Vec<usize> = untested.iter().flat_map(Expr::columns).collect();
        let dictionaries: Vec<usize> = leeway.coded.iter().copied().filter(|place| !again.contains(place)).collect();
        let unread = self.unread(leeway, &again);
        let exact = Cell::new(false);
        let mut failed = None;
        let mut taken = |rows: RecordBatch| {
            let kept = if exact.get() { Self::passing(context, rows, &untested) } else { self.kept(context, rows) };
            each(kept).unwrap_or_else(|error| {
                failed = Some(error);
                ControlFlow::Break(())
            })
        };
        let scan = |scan: &Request<'_>| {
            let scan = Request { dictionaries: &dictionaries, unread: &unread, exact: Some(&exact), ..*scan };
            context.reader.visit(&scan, &mut taken)
        };
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
