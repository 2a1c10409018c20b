//! How a change runs through the operators.

use std::collections::BTreeSet;
use std::time::Duration;

use daemoneye_dsl::types::Timestamp;
use smallvec::SmallVec;

use super::{Graph, Node, NodeId, Ran};
use crate::dataflow::Changes;
use crate::dataflow::delta::{Delta, Rows, Run};
use crate::dataflow::recipe::Recipe;
use crate::error::Error;
use crate::operators::{Context, ROWS_MAX, STATE_ROWS_MAX, within};

impl Graph {
    pub(in crate::dataflow) fn run<'a>(&'a self, context: &'a Context<'a>, changes: Option<&'a Changes>) -> Run<'a> {
        let horizon = self.last.map_or_else(|| context.now.0.saturating_sub(self.grace), |(_, horizon)| horizon);
        let Self { sources, stores, keys, grace, late, .. } = self;
        Run { now: context.now, context, changes, sources, stores, keys, horizon, grace: *grace, late }
    }

    /// Whatever comes is measured from a first moment on.
    pub(in crate::dataflow) fn begin_time(&mut self, now: Timestamp) {
        self.last.get_or_insert((now, now.0.saturating_sub(self.grace)));
    }

    /// Takes what changed through every node that it reaches; of `unread` sources it reaches none.
    pub(crate) fn step(&mut self, context: &Context<'_>, changes: &Changes, unread: &BTreeSet<usize>) -> Ran {
        self.steps += 1;
        self.last_took = Duration::ZERO;
        // What came since the step before is as late as that was long ago, and not late for it.
        let from = self.last.map_or(context.now, |(last, _)| last.min(context.now));
        self.last = Some((context.now, from.0.saturating_sub(self.grace)));
        let mut dirty = Dirty::of(self.nodes.len());
        for at in (0..self.sources.len()).filter(|at| !unread.contains(at)) {
            let source = &mut self.sources[at];
            let Some(change) = changes.of(&source.table.name, source.samples).filter(|it| !it.is_empty()) else {
                continue;
            };
            source.begin(change.clone());
            for (leg, rows) in source.matching() {
                let weights = rows.iter().map(|row| self.sources[at].change().weights[*row as usize]).collect();
                self.reach(leg, Delta { rows: Rows::Picked(rows), weights }, &mut dirty);
            }
        }
        for id in &self.timed {
            if self.node(*id).loaded {
                dirty.add(*id);
            }
        }
        let mut ran = Ran::default();
        while let Some(id) = dirty.next() {
            match self.run_node(id, context, Some(changes)) {
                Ok(output) => self.reach(id, output, &mut dirty),
                Err(error) => ran.failed.push((id, error)),
            }
            let late = self.late.take();
            if late > 0 {
                ran.late.push((id, late));
            }
            self.end_read(id);
        }
        ran
    }

    /// A node ran: what changed in arrangements that nobody else reads after it goes at once. A first change is all that
    /// there is, and thousands of them at the same time would be most of what the rules take.
    fn end_read(&mut self, id: NodeId) {
        for at in 0..self.node(id).inputs.len() {
            let input = self.node(id).inputs[at];
            let input = self.node_mut(input);
            if let Some(step) = &mut input.step
                && step.arranged().is_some()
                && input.consumers.last() == Some(&id)
            {
                step.end_step();
            }
        }
    }

    /// A node has this output; those behind it that hold what came before will run.
    pub(in crate::dataflow) fn reach(&mut self, id: NodeId, output: Delta, dirty: &mut Dirty) {
        if output.is_empty() {
            return;
        }
        let node = self.node_mut(id);
        node.output = Some(output);
        let consumers = std::mem::take(&mut node.consumers);
        consumers.iter().filter(|id| self.node(**id).loaded).for_each(|id| dirty.add(*id));
        self.node_mut(id).consumers = consumers;
        self.reached.push(id);
    }

    pub(in crate::dataflow) fn run_node(
        &mut self,
        id: NodeId,
        context: &Context<'_>,
        changes: Option<&Changes>,
    ) -> Result<Delta, Error> {
        if let Recipe::Recursion { working, rounds } = &self.node(id).recipe {
            let (working, rounds) = (*working, rounds.clone());
            return self.run_rounds(id, working, &rounds, context, changes);
        }
        let Some(mut step) = self.node_mut(id).step.take() else { return Ok(Delta::nothing()) };
        let limit = if changes.is_some() { self.limits.step } else { self.limits.load };
        let began = self.clock.map(|clock| clock());
        context.begin(began, limit, self.spent(id, limit));
        let inputs: SmallVec<[&Node; 2]> = self.node(id).inputs.iter().map(|input| self.node(*input)).collect();
        let output = step.step(&self.run(context, changes), &inputs);
        drop(inputs);
        let size = step.size();
        let took = self.clock.zip(began).map_or(Duration::ZERO, |(clock, began)| clock().saturating_sub(began));
        self.last_took += took;
        let steps = self.steps;
        let node = self.node_mut(id);
        node.step = Some(step);
        let before = if node.last.0 == steps { node.last.1 } else { Duration::ZERO };
        node.last = (steps, before + took);
        let operation = node.recipe.name();
        self.count(id);
        let output = output.map_err(|error| match error {
            Error::TooSlow { limit, .. } => Error::TooSlow { operation, limit },
            other => other,
        })?;
        within(output.len(), ROWS_MAX, "the change of an operation")?;
        // What is forgotten at the end of a load is bounded there.
        let forgets = changes.is_none() && self.node(id).forgets();
        within(size.rows, if forgets { ROWS_MAX } else { STATE_ROWS_MAX }, "the state of an operation")?;
        Ok(output)
    }

    /// What those below a node, and it itself, took in this step of what one rule may take. While all together took
    /// little nobody is asked.
    fn spent(&self, id: NodeId, limit: Option<Duration>) -> Duration {
        if limit.is_none_or(|limit| self.last_took < limit / 4) {
            return Duration::ZERO;
        }
        self.below(id).into_iter().map(|node| self.took(node)).sum()
    }
}

/// Nodes that are to run.
pub(in crate::dataflow) struct Dirty {
    bits: Vec<u64>,
    at: usize,
}

impl Dirty {
    pub(in crate::dataflow) fn of(nodes: usize) -> Self {
        Self { bits: vec![0; nodes.div_ceil(64)], at: 0 }
    }

    fn add(&mut self, id: NodeId) {
        if let Some(word) = self.bits.get_mut(id / 64) {
            *word |= 1 << (id % 64);
        }
    }

    /// The first of them. Those behind it come later, so it never goes back.
    fn next(&mut self) -> Option<NodeId> {
        while let Some(word) = self.bits.get_mut(self.at) {
            if *word != 0 {
                let bit = word.trailing_zeros() as usize;
                *word &= *word - 1;
                return Some(64 * self.at + bit);
            }
            self.at += 1;
        }
        None
    }
}
