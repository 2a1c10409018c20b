//! An operation without a step of its own: it keeps its inputs and its last output, is taken anew when something that it
//! depends on changed, and gives the difference.

use super::{Size, Step};
use crate::batch::ZSet;
use crate::dataflow::delta::{Delta, Run};
use crate::dataflow::graph::Node;
use crate::error::Error;
use crate::operators::Meaning;
use daemoneye_dsl::types::Type;

pub(crate) struct Recomputed {
    operation: Box<dyn Meaning + Send>,
    inputs: Vec<ZSet>,
    output: ZSet,
    /// Its answer depends on the time.
    timed: bool,
    /// The tables that it reads by itself, beside its inputs, and whether it reads their samples.
    reads: Vec<(String, bool)>,
    /// Nothing was given yet, not even the one group of an aggregate without keys.
    fresh: bool,
}

impl Recomputed {
    pub(crate) fn new(
        operation: Box<dyn Meaning + Send>,
        inputs: &[&[Type]],
        output: &[Type],
        timed: bool,
        reads: Vec<(String, bool)>,
    ) -> Self {
        let inputs = inputs.iter().map(|types| ZSet::new(types)).collect();
        Self { operation, inputs, output: ZSet::new(output), timed, reads, fresh: true }
    }

    fn is_touched(&self, run: &Run<'_>, inputs: &[&Node]) -> bool {
        let reads_changed = |changes: &crate::Changes| {
            self.reads.iter().any(|(table, samples)| changes.of(table, *samples).is_some_and(|it| !it.is_empty()))
        };
        self.fresh
            || self.timed
            || inputs.iter().any(|input| input.delta().is_some())
            || run.changes.is_none_or(reads_changed)
    }
}

impl Step for Recomputed {
    fn step(&mut self, run: &Run<'_>, inputs: &[&Node]) -> Result<Delta, Error> {
        if !self.is_touched(run, inputs) {
            return Ok(Delta::nothing());
        }
        for (held, input) in self.inputs.iter_mut().zip(inputs) {
            if let Some(delta) = input.delta() {
                run.work(delta.len())?;
                held.add(&delta.batch(&input.layout, run));
            }
        }
        run.work(self.inputs.iter().map(ZSet::len).sum())?;
        let relations: Vec<_> = self.inputs.iter().map(ZSet::relation).collect();
        let meaning = self.operation.meaning(run.context, &relations)?;
        self.fresh = false;
        Ok(Delta::of_values(self.output.become_relation(&meaning)))
    }

    fn is_timed(&self) -> bool {
        self.timed || !self.reads.is_empty()
    }

    fn size(&self) -> Size {
        let held = || self.inputs.iter().chain([&self.output]);
        Size { rows: held().map(ZSet::len).sum(), bytes: held().map(ZSet::bytes).sum() }
    }
}
