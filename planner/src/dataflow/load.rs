//! How rules begin: their nodes are filled with the tables as they are, as if every row had just appeared.
//!
//! Nodes that run already for other rules give what they stand for once more, without being touched: an arrangement is
//! there to be read, anything else is run again from nothing beside itself.

use std::collections::BTreeSet;

use arrow_array::{RecordBatch, new_null_array};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Table;
use daemoneye_storage::{Reader, Scan};
use smallvec::SmallVec;

use super::delta::{Delta, Rows};
use super::graph::{Dirty, Graph, Node, NodeId, Ran};
use super::make;
use super::recipe::Recipe;
use crate::batch::{Batch, batch, empty, stack};
use crate::error::Error;
use crate::operators::{Context, STATE_ROWS_MAX, within};
use crate::pushdown;

impl Graph {
    /// Fills nodes that hold nothing yet with the tables as they are now, as if all had just appeared.
    /// `roots` are those whose whole output is asked for.
    pub(crate) fn load(
        &mut self,
        pending: &BTreeSet<NodeId>,
        roots: &BTreeSet<NodeId>,
        context: &Context<'_>,
        reader: &dyn Reader,
    ) -> Result<Ran, Error> {
        let mut ran = Ran::default();
        self.begin_time(context.now);
        let all = self.with_feeds(pending.union(roots).copied().collect());
        self.read_sources(&all, context, reader, &mut ran.completeness)?;
        let mut dirty = Dirty::of(0);
        let mut aside = Vec::new();
        for id in all.iter().copied() {
            let node = self.node(id);
            let output = if node.is_leg() {
                Ok(self.leg_output(id))
            } else if pending.contains(&id) || node.is_stateless() {
                self.run_node(id, context, None)
            } else {
                // It runs already and does not keep what it gave: somebody new gives it again.
                let (recipe, inputs, layout) = (node.recipe.clone(), node.inputs.clone(), node.layout.clone());
                let again = make::step(&recipe, &inputs, &layout, self);
                aside.push((id, std::mem::replace(&mut self.node_mut(id).step, again)));
                self.run_node(id, context, None)
            };
            match output {
                Ok(output) => self.reach(id, output, &mut dirty),
                Err(error) => ran.failed.push((id, error)),
            }
        }
        self.forget(&all, context, &mut ran);
        for (id, own) in aside {
            let again = std::mem::replace(&mut self.node_mut(id).step, own);
            if let Some(mut again) = again {
                again.release(&self.stores, self.keys.get_mut());
            }
            self.count(id);
        }
        for id in pending {
            self.node_mut(*id).loaded = true;
        }
        Ok(ran)
    }

    /// What was only there to be given goes, before anything is bounded.
    fn forget(&mut self, nodes: &BTreeSet<NodeId>, context: &Context<'_>, ran: &mut Ran) {
        for id in nodes {
            let Some(mut step) = self.node_mut(*id).step.take() else { continue };
            let inputs: SmallVec<[&Node; 2]> = self.node(*id).inputs.iter().map(|input| self.node(*input)).collect();
            step.forget(&self.run(context, None), &inputs);
            drop(inputs);
            self.node_mut(*id).step = Some(step);
            self.count(*id);
            if let Err(error) = within(self.size(*id).rows, STATE_ROWS_MAX, "the state of an operation") {
                ran.failed.push((*id, error));
            }
        }
    }

    /// The nodes, with those whose whole output they need to begin.
    fn with_feeds(&self, mut all: BTreeSet<NodeId>) -> BTreeSet<NodeId> {
        let mut open: Vec<NodeId> = all.iter().copied().collect();
        while let Some(id) = open.pop() {
            for input in &self.node(id).inputs {
                let node = self.node(*input);
                // What an arrangement holds is there to be read.
                let is_there = node.loaded && matches!(&node.recipe, Recipe::Arrange { .. }) && !node.forgets();
                if !is_there && all.insert(*input) {
                    open.push(*input);
                }
            }
        }
        all
    }

    /// Reads the tables below these nodes whole, as far as they look back.
    fn read_sources(
        &mut self,
        nodes: &BTreeSet<NodeId>,
        context: &Context<'_>,
        reader: &dyn Reader,
        completeness: &mut Completeness,
    ) -> Result<(), Error> {
        for at in 0..self.sources.len() {
            let legs: Vec<NodeId> = nodes
                .iter()
                .copied()
                .filter(|id| matches!(self.node(*id).recipe, Recipe::Leg { source, .. } if source == at))
                .collect();
            if legs.is_empty() {
                continue;
            }
            let source = &self.sources[at];
            let columns = source.columns_read(&legs, self);
            let since = source.lookback(&legs).map(|lookback| pushdown::since(lookback, context.now.0));
            let required: Vec<_> = since.into_iter().collect();
            let scan = Scan { required: &required, ..Scan::all(&source.table, &columns) };
            let scanned = reader.scan(&scan)?;
            *completeness = std::mem::take(completeness).and(&scanned.completeness);
            let rows = whole_table(&source.table, &columns, &scanned.batches);
            self.sources[at].begin(Batch::appearing(rows));
        }
        Ok(())
    }

    fn leg_output(&self, id: NodeId) -> Delta {
        let Recipe::Leg { source, condition, .. } = &self.node(id).recipe else { return Delta::nothing() };
        let source = &self.sources[*source];
        let rows = source.matching_one(*condition);
        Delta {
            weights: rows.iter().map(|row| source.change().weights[*row as usize]).collect(),
            rows: Rows::Picked(rows),
        }
    }
}

/// Rows in the layout of their table, of which only some columns were read.
fn whole_table(table: &Table, columns: &[usize], batches: &[RecordBatch]) -> RecordBatch {
    let types: Vec<_> = columns.iter().map(|at| table.columns[*at].ty).collect();
    let rows = stack(batches, &empty(&types));
    let len = rows.num_rows();
    let column = |at: usize| match columns.iter().position(|other| *other == at) {
        Some(place) => rows.column(place).clone(),
        None => new_null_array(&table.columns[at].ty.arrow(), len),
    };
    batch((0..table.columns.len()).map(column).collect(), len)
}
