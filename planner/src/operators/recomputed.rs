//! An operation that steps by taking its meaning anew: it keeps its inputs and its last output.

use arrow_array::RecordBatch;
use daemoneye_dsl::types::{Timestamp, Type, Value};

use super::{Context, Meaning, Operator};
use crate::batch::{Batch, ZSet};
use crate::error::Error;

pub(super) struct Recomputed<M> {
    operation: M,
    inputs: Vec<ZSet>,
    output: ZSet,
    output_types: Vec<Type>,
    /// The meaning may change although no input did: it depends on the time.
    timed: bool,
    /// A column of the first input and how far back its rows can matter; older ones are dropped.
    forget: Option<(usize, i64)>,
    /// Nothing was given yet, not even the one group of an aggregate without keys.
    fresh: bool,
}

impl<M: Meaning> Recomputed<M> {
    pub(super) fn new(operation: M, inputs: &[Vec<Type>], output: Vec<Type>) -> Self {
        Self {
            operation,
            inputs: inputs.iter().map(|types| ZSet::new(types)).collect(),
            output: ZSet::new(&output),
            output_types: output,
            timed: false,
            forget: None,
            fresh: true,
        }
    }

    pub(super) fn timed(mut self, timed: bool) -> Self {
        self.timed = timed;
        self
    }

    pub(super) fn forgetting(mut self, lookback: Option<(usize, i64)>) -> Self {
        self.forget = lookback;
        self
    }

    /// Drops rows that are too old to matter ever again, time only going forward.
    fn forget(&mut self, now: Timestamp) {
        let Some((column, micros)) = self.forget else { return };
        let oldest = now.0.saturating_sub(micros);
        self.inputs[0].drop_rows(|rows| {
            let moments = rows.column(column);
            let is_old = |row| Value::at(moments, row).as_timestamp().is_none_or(|moment| moment < oldest);
            (0..rows.num_rows()).map(is_old).collect()
        });
    }
}

impl<M: Meaning> Meaning for Recomputed<M> {
    fn meaning(&self, context: &Context<'_>, inputs: &[RecordBatch]) -> Result<RecordBatch, Error> {
        self.operation.meaning(context, inputs)
    }
}

impl<M: Meaning + Send> Operator for Recomputed<M> {
    fn step(&mut self, context: &Context<'_>, changes: &[Batch]) -> Result<Batch, Error> {
        if !self.timed && !self.fresh && changes.iter().all(Batch::is_empty) {
            return Ok(Batch::empty(&self.output_types));
        }
        for (input, change) in self.inputs.iter_mut().zip(changes) {
            input.add(change);
        }
        self.forget(context.now);
        let inputs: Vec<_> = self.inputs.iter().map(ZSet::relation).collect();
        let meaning = self.operation.meaning(context, &inputs)?;
        self.fresh = false;
        Ok(self.output.become_relation(&meaning))
    }

    fn state_rows(&self) -> usize {
        self.output.len() + self.inputs.iter().map(ZSet::len).sum::<usize>()
    }
}
