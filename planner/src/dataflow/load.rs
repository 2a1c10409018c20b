//! How rules begin: their nodes are filled with the tables as they are, as if every row had just appeared.
//!
//! Nodes that run already for other rules give what they stand for once more, without being touched: an arrangement is
//! there to be read, anything else is run again from nothing beside itself.

use std::collections::BTreeSet;

use arrow_array::{RecordBatch, new_null_array};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Table;
use daemoneye_storage::{Reader, Scan};
use hashbrown::HashMap;
use smallvec::SmallVec;

use super::delta::{Delta, Rows};
use super::graph::{Dirty, Graph, Node, NodeId, Ran};
use super::make;
use super::recipe::Recipe;
use crate::batch::{Batch, batch, empty, stack};
use crate::error::Error;
use crate::operators::{Context, STATE_ROWS_MAX, within};
use crate::pushdown;

/// Of so many conditions as one leg begins, all are looked at together: that costs about as much as to look at so many
/// one by one.
const TOGETHER: usize = 16;

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
        let mut found = self.read_sources(&all, context, reader, &mut ran.completeness)?;
        let mut dirty = Dirty::of(0);
        let mut aside = Vec::new();
        for id in all.iter().copied() {
            let node = self.node(id);
            let output = if node.is_leg() {
                Ok(self.leg_output(id, found.remove(&id)))
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

    /// Reads the tables below these nodes whole, as far as they look back. Gives the rows of legs that were looked for
    /// together.
    fn read_sources(
        &mut self,
        nodes: &BTreeSet<NodeId>,
        context: &Context<'_>,
        reader: &dyn Reader,
        completeness: &mut Completeness,
    ) -> Result<HashMap<NodeId, Vec<u32>>, Error> {
        let mut found = HashMap::new();
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
            let source = &mut self.sources[at];
            source.begin(Batch::appearing(rows));
            if legs.len().saturating_mul(TOGETHER) >= source.conditions_len() {
                found.extend(legs.iter().map(|leg| (*leg, Vec::new())));
                found.extend(source.matching().into_iter().filter(|(leg, _)| nodes.contains(leg)));
            }
        }
        Ok(found)
    }

    fn leg_output(&self, id: NodeId, found: Option<Vec<u32>>) -> Delta {
        let Recipe::Leg { source, condition, .. } = &self.node(id).recipe else { return Delta::nothing() };
        let source = &self.sources[*source];
        let rows = found.unwrap_or_else(|| source.matching_one(*condition));
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

#[cfg(test)]
mod tests {
    use daemoneye_dsl::check::check_query;
    use daemoneye_dsl::diagnostic::Source;
    use daemoneye_dsl::tables::{Catalog, Process};
    use daemoneye_dsl::types::Timestamp;

    use super::*;
    use crate::dataflow::{Changes, Dataflow, Outcome, RuleId};
    use crate::view::View;

    /// Three times as many as one of them outweighs.
    const RULES: u32 = 48;

    fn install(dataflow: &mut Dataflow, number: u32) -> RuleId {
        let sql = format!("SELECT pid FROM processes WHERE command_line LIKE '%--instance={number}' OR pid = {number}");
        let checked = check_query(&Source::query(&sql), &Catalog::builtin());
        dataflow.install(&crate::plan(&checked.rule.unwrap_or_else(|| panic!("{:?}", checked.diagnostics)).query))
    }

    fn snapshot(processes: u32) -> RecordBatch {
        let process = |number: u32| Process {
            proc_id: format!("{number:016x}"),
            pid: number.into(),
            command_line: Some(format!("service --instance={}", processes - number)),
            ..Process::default()
        };
        Process::batch(&(0..processes).map(process).collect::<Vec<_>>())
    }

    fn found(outcomes: Vec<(RuleId, Outcome)>) -> Vec<(RuleId, usize)> {
        outcomes.into_iter().map(|(id, outcome)| (id, outcome.unwrap().rows.rows.num_rows())).collect()
    }

    /// Many at once are looked for together, one beside many by itself, and what changed before is in neither twice.
    #[test]
    fn rules_begin_with_the_same_rows_however_many_begin() {
        let rows = snapshot(RULES);
        let view = View::new(Some(&rows), None);
        let mut changes = Changes::default();
        changes.add("processes", Batch::appearing(rows.clone()));
        let mut dataflow = Dataflow::default();
        let expected = |id: RuleId, number: u32| (id, if number == 0 || number * 2 == RULES { 1 } else { 2 });
        let many: Vec<_> = (0..RULES).map(|number| expected(install(&mut dataflow, number), number)).collect();
        assert!(dataflow.step(&view, &changes, Timestamp(1)).is_empty(), "none of them is loaded");
        assert_eq!(found(dataflow.load(&view, Timestamp(1)).unwrap()), many);
        let one = install(&mut dataflow, RULES);
        assert_eq!(found(dataflow.load(&view, Timestamp(1)).unwrap()), [(one, 1)]);
    }
}
