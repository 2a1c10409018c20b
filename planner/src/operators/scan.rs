//! Where rows come from: a table's rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::Type;

use super::{Context, Meaning};
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
}

impl Meaning for Scan {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let over = |rows: &RecordBatch, expr: &Expr| context.evaluator(rows).values(expr);
        let since = self.lookback.map(|lookback| pushdown::since(lookback, context.now.0));
        let scanned = pushdown::scan(context.reader, &self.table, &self.columns, self.filter.as_ref(), since, &over)?;
        context.read(&scanned.completeness);
        let rows = stack(&scanned.batches, &empty(&self.types));
        context.note_rows_in(rows.num_rows());
        Ok(match &self.filter {
            None => rows,
            Some(filter) => take(&rows, &context.evaluator(&rows).matching(filter)),
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
