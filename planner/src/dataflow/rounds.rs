//! Recursion: what changes goes through the step's nodes round after round.
//!
//! With `T = B + T ⋈ E`, a change is `ΔT = ΔB + T ⋈ ΔE + ΔT ⋈ E`, both as they are after it: the first round takes what
//! changed in the base and in the tables, every further one what the last one made. It ends where the rows of the
//! recursion end.

use super::Changes;
use super::delta::Delta;
use super::graph::{Graph, NodeId};
use crate::batch::{Batch, stack};
use crate::error::Error;
use crate::operators::recursive::ROUNDS_MAX;
use crate::operators::{Context, ROWS_MAX, within};

impl Graph {
    /// The first round has run already: its rows and what the step made of them, and of what changed beside them, are the
    /// inputs. Every further one takes what the last one made, until one makes nothing.
    pub(super) fn run_rounds(
        &mut self,
        id: NodeId,
        working: NodeId,
        rounds: &[NodeId],
        context: &Context<'_>,
        changes: Option<&Changes>,
    ) -> Result<Delta, Error> {
        let [base, step] = self.node(id).inputs[..] else { unreachable!("a recursion has two inputs") };
        let values = |graph: &Self, id: NodeId| graph.output(id, context);
        let mut parts: Vec<Batch> = values(self, base).into_iter().collect();
        let mut made = values(self, step);
        // What changed beside the rounds counted in the first.
        let beside: Vec<NodeId> = rounds
            .iter()
            .flat_map(|node| &self.node(*node).inputs)
            .copied()
            .filter(|input| *input != working && !rounds.contains(input))
            .collect();
        self.hide(&beside, true);
        let mut rows = 0;
        let mut ended = Ok(());
        for round in 0.. {
            let Some(change) = made.take().filter(|change| !change.is_empty()) else { break };
            rows += change.rows.num_rows();
            parts.push(change.clone());
            self.node_mut(working).output = Some(Delta::of_values(change));
            ended = within(rows, ROWS_MAX, "a recursion")
                .and_then(|()| within(round, ROUNDS_MAX, "the rounds of a recursion"))
                .and_then(|()| self.run_round(rounds, context, changes));
            if ended.is_err() {
                break;
            }
            made = values(self, step);
        }
        self.hide(&beside, false);
        // The end of the step clears them whether something reached them or not.
        self.reached.extend(rounds.iter().chain([&working]));
        ended?;
        let Some(like) = parts.first().map(|part| part.rows.clone()) else { return Ok(Delta::nothing()) };
        let (rows, weights): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.rows, part.weights)).unzip();
        Ok(Delta::of_values(Batch { rows: stack(&rows, &like), weights: weights.concat() }))
    }

    fn run_round(&mut self, rounds: &[NodeId], context: &Context<'_>, changes: Option<&Changes>) -> Result<(), Error> {
        for node in rounds {
            let own = self.node_mut(*node);
            own.output = None;
            if let Some(step) = &mut own.step {
                step.end_step();
            }
            let output = self.run_node(*node, context, changes)?;
            self.node_mut(*node).output = (!output.is_empty()).then_some(output);
        }
        Ok(())
    }

    /// Nodes as if nothing had changed there.
    fn hide(&mut self, nodes: &[NodeId], hidden: bool) {
        for id in nodes {
            let node = self.node_mut(*id);
            node.hidden = hidden;
            if let Some(step) = &mut node.step {
                step.hide(hidden);
            }
        }
    }
}
