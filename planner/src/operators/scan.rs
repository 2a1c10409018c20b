//! Where rows come from: a table's rows.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::Type;
use daemoneye_storage::{Scan as Request, Window};

use super::{Context, Meaning};
use crate::batch::{batch, empty, stack, take};
use crate::error::Error;
use crate::plan::Lookback;

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
        let from = |lookback: Lookback| Some(context.now.0.saturating_sub(lookback.micros));
        let window = self.lookback.map(|lookback| Window { column: lookback.column, from: from(lookback), to: None });
        let scanned = context.reader.scan(&Request { table: &self.table, columns: &self.columns, window })?;
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
