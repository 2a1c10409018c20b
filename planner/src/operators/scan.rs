//! Where rows come from: a table's rows, or what changed in it.

use std::sync::Arc;

use arrow_array::RecordBatch;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::Type;
use daemoneye_storage::{Scan as Request, Window};

use super::{Context, Meaning, Operator};
use crate::batch::{Batch, batch, empty, stack};
use crate::error::Error;
use crate::plan::Lookback;

/// A table's columns.
pub(super) struct Scan {
    table: Arc<Table>,
    columns: Vec<usize>,
    types: Vec<Type>,
    lookback: Option<Lookback>,
}

impl Scan {
    pub(super) fn new(table: Arc<Table>, columns: Vec<usize>, lookback: Option<Lookback>) -> Self {
        let types = columns.iter().map(|at| table.columns[*at].ty).collect();
        Self { table, columns, types, lookback }
    }

    /// The lookback's column by its place in the output.
    pub(super) fn lookback_in_output(&self) -> Option<(usize, i64)> {
        let Lookback { column, micros } = self.lookback?;
        Some((self.columns.iter().position(|at| *at == column)?, micros))
    }

    fn read(&self, context: &Context<'_>) -> Result<RecordBatch, Error> {
        let from = |lookback: Lookback| Some(context.now.0.saturating_sub(lookback.micros));
        let window = self.lookback.map(|lookback| Window { column: lookback.column, from: from(lookback), to: None });
        let scanned = context.reader.scan(&Request { table: &self.table, columns: &self.columns, window })?;
        context.read(&scanned.completeness);
        Ok(stack(&scanned.batches, &empty(&self.types)))
    }
}

impl Meaning for Scan {
    fn meaning(&self, context: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        self.read(context)
    }
}

impl Operator for Scan {
    fn step(&mut self, context: &Context<'_>, _: &[Batch]) -> Result<Batch, Error> {
        let Some(changes) = context.changes else {
            return Ok(Batch::appearing(self.read(context)?));
        };
        let samples = self.columns.iter().any(|at| self.table.columns[*at].volatile);
        let Some(change) = changes.of(&self.table.name, samples) else {
            return Ok(Batch::empty(&self.types));
        };
        let columns = self.columns.iter().map(|at| change.rows.column(*at).clone()).collect();
        Ok(Batch { rows: batch(columns, change.rows.num_rows()), weights: change.weights.clone() })
    }
}

/// A scan and the filter that moved into it.
pub(super) struct Filtered {
    pub(super) scan: Scan,
    pub(super) filter: Box<dyn Operator>,
}

impl Meaning for Filtered {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        let rows = self.scan.meaning(context, inputs)?;
        self.filter.meaning(context, &[rows])
    }
}

impl Operator for Filtered {
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error> {
        let change = self.scan.step(context, changes)?;
        self.filter.step(context, &[change])
    }

    fn state_rows(&self) -> usize {
        self.filter.state_rows()
    }
}

/// One row without columns: what a SELECT without FROM works on.
pub(super) struct Unit;

impl Meaning for Unit {
    fn meaning(&self, _: &Context<'_>, _: &[RecordBatch]) -> Result<RecordBatch, Error> {
        Ok(batch(vec![], 1))
    }
}
