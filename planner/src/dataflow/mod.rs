//! The rules that run, together: what changed goes in, what their results change by comes out.
//!
//! ```text
//! Plan ─ install ─► Graph: legs (matcher) ─► arrangements ─► pairs, groups, … ─► a rule's result
//! ```
//!
//! The graph has each operator once, whoever needs it. A step goes through those that the change reaches.

mod arrangement;
mod bag;
mod bucket;
mod costs;
mod delta;
mod describe;
mod expiry;
mod graph;
mod install;
mod keyed;
mod keys;
mod load;
mod make;
mod recipe;
mod rounds;
mod source;
mod steps;
mod store;
mod tuple;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::tables::Kind;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use daemoneye_storage::Reader;
use hashbrown::HashMap;
use smallvec::SmallVec;

pub use self::describe::Operator;
use self::graph::{Graph, Limits, NodeId, Ran};
use self::keys::{Key, keys};
pub use self::steps::Size;
use crate::batch::{Batch, take};
use crate::error::Error;
use crate::operators::{Context, Node};
use crate::plan::Plan;

/// What one snapshot changed, by table. Rows have the table's declared columns.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    tables: Vec<(Cow<'static, str>, Change)>,
}

#[derive(Clone, Debug)]
struct Change {
    versions: Batch,
    samples: Option<Batch>,
}

impl Changes {
    /// What changed in a table, volatile columns aside.
    pub fn add(&mut self, table: impl Into<Cow<'static, str>>, versions: Batch) {
        self.tables.push((table.into(), Change { versions, samples: None }));
    }

    /// The same, with the change that samples of volatile columns make on top: every row whose sample moved.
    pub fn add_with_samples(&mut self, table: impl Into<Cow<'static, str>>, versions: Batch, samples: Batch) {
        self.tables.push((table.into(), Change { versions, samples: Some(samples) }));
    }

    pub(crate) fn of(&self, table: &str, samples: bool) -> Option<&Batch> {
        let (_, change) = self.tables.iter().find(|(name, _)| *name == table)?;
        Some(change.samples.as_ref().filter(|_| samples).unwrap_or(&change.versions))
    }
}

/// A rule's result and how complete it is.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    /// The rows, or what they change by.
    pub rows: T,
    /// What was missing from what was read.
    pub completeness: Completeness,
}

/// Which of the rules in a [`Dataflow`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(usize);

/// The rules that run, together: what they have in common is done once.
pub struct Dataflow {
    graph: Graph,
    rules: BTreeMap<RuleId, Rule>,
    /// The rules whose result a node gives.
    roots: HashMap<NodeId, SmallVec<[RuleId; 1]>>,
    next: usize,
    /// Rows that came too late in the last step.
    late: BTreeMap<RuleId, u64>,
}

/// One rule, running.
struct Rule {
    root: NodeId,
    /// All nodes that it is made of, inputs first.
    nodes: Box<[NodeId]>,
    loaded: bool,
}

/// How late rows of events may come where nobody says it, in microseconds.
const GRACE: i64 = 3600 * MICROS_PER_SEC;

/// What a rule's result changed by, or why it does not run any more.
pub type Outcome = Result<Answer<Batch>, Error>;

/// Reads a clock that only goes forward, from any moment on: the planner has none of its own.
pub type Clock = fn() -> Duration;

impl Default for Dataflow {
    fn default() -> Self {
        Self::new(None)
    }
}

impl Dataflow {
    fn new(clock: Option<Clock>) -> Self {
        let graph = Graph::new(clock, GRACE);
        Self { graph, rules: BTreeMap::new(), roots: HashMap::new(), next: 0, late: BTreeMap::new() }
    }

    /// One whose operators are timed.
    pub fn timed(clock: Clock) -> Self {
        Self::new(Some(clock))
    }

    /// How late rows of events may come, from the next step on: joins and windows hold what they need for that much
    /// longer, and discard what comes later.
    pub fn set_grace(&mut self, grace: Duration) {
        self.graph.grace = i64::try_from(grace.as_micros()).unwrap_or(i64::MAX);
    }

    /// What one rule's operators may take together for one step, and what they may take while it is loaded: the one that
    /// goes over it is stopped, and the rules that it belongs to are removed. Needs a clock.
    pub fn set_limits(&mut self, step: Duration, load: Duration) {
        self.graph.limits = Limits { step: Some(step), load: Some(load) };
    }

    /// How many rows came too late for a rule in the last step, and were discarded.
    pub fn late(&self) -> &BTreeMap<RuleId, u64> {
        &self.late
    }

    /// Adds a rule. It takes part in the steps once it is loaded; one whose matches are events does at once.
    pub fn install(&mut self, plan: &Plan) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        let root = self.graph.install(plan);
        let nodes = self.graph.below(root);
        self.graph.use_all(&nodes);
        self.rules.insert(id, Rule { root, nodes: nodes.into(), loaded: matches_are_events(plan) });
        self.roots.entry(root).or_default().push(id);
        id
    }

    /// Takes a rule away, with all that only it holds.
    pub fn remove(&mut self, rule: RuleId) {
        let Some(Rule { root, nodes, .. }) = self.rules.remove(&rule) else { return };
        if let Some(rules) = self.roots.get_mut(&root) {
            rules.retain(|other| *other != rule);
            if rules.is_empty() {
                self.roots.remove(&root);
            }
        }
        self.graph.drop_all(&nodes);
    }

    /// The rows that operators refer to.
    pub fn rows_held(&self) -> Size {
        self.graph.rows_held()
    }

    /// How many keys operators hold.
    #[cfg(test)]
    pub(crate) fn keys_held(&mut self) -> usize {
        self.graph.keys.get_mut().len()
    }

    /// The tables that a rule reads row by row, each with how a row is told to concern it.
    pub fn found_by(&self, rule: RuleId) -> Vec<(String, String)> {
        let nodes = self.rules.get(&rule).into_iter().flat_map(|rule| &rule.nodes);
        nodes.filter_map(|node| self.graph.found_by(*node)).collect()
    }

    /// Fills the state of the rules that are not loaded yet: takes the tables as they are now as having just appeared,
    /// and gives the whole result of each. A rule whose matches are events has no state and no result from before. One
    /// that fails is removed. An error of the reader is nobody's fault: nothing is loaded then.
    pub fn load(&mut self, reader: &dyn Reader, now: Timestamp) -> Result<Vec<(RuleId, Outcome)>, Error> {
        let new: Vec<RuleId> = self.rules.iter().filter(|(_, rule)| !rule.loaded).map(|(id, _)| *id).collect();
        let nodes = new.iter().flat_map(|id| &self.rules[id].nodes).copied();
        let pending: BTreeSet<NodeId> = nodes.filter(|id| !self.graph.is_loaded(*id)).collect();
        // A rule of nodes that all run already has its result given once more.
        let roots: BTreeSet<NodeId> = new.iter().map(|id| self.rules[id].root).collect();
        let context = Context::new(reader, now, true).clocked(self.graph.clock());
        let ran = match self.graph.load(&pending, &roots, &context, reader) {
            Ok(ran) => ran,
            Err(error) => {
                self.graph.end();
                return Err(error);
            }
        };
        let whole = |root| Batch::empty(&self.graph.node(root).layout.types);
        let answers = new.iter().map(|id| {
            let root = self.rules[id].root;
            (*id, self.graph.output(root, &context).unwrap_or_else(|| whole(root)))
        });
        let answers: Vec<_> = answers.collect();
        for id in &new {
            self.rules.get_mut(id).expect("it is there").loaded = true;
        }
        // What runs already did not fail where it gave its output again for somebody new.
        let is_new = |rule: &RuleId| new.contains(rule);
        Ok(self.finish(answers, ran, context, &is_new))
    }

    /// What the results of the rules that are loaded change by, after `changes`, which `reader` already shows: only of
    /// those whose result changed. A rule that fails is removed; the others go on.
    pub fn step(&mut self, reader: &dyn Reader, changes: &Changes, now: Timestamp) -> Vec<(RuleId, Outcome)> {
        let context = Context::new(reader, now, true).clocked(self.graph.clock());
        let ran = self.graph.step(&context, changes, &self.unread());
        let mut answers = Vec::new();
        for node in self.graph.reached() {
            let Some(rules) = self.roots.get(node) else { continue };
            let Some(change) = self.graph.output(*node, &context).and_then(consolidated) else { continue };
            let loaded = rules.iter().filter(|id| self.rules[*id].loaded);
            answers.extend(loaded.map(|id| (*id, change.clone())));
        }
        answers.sort_by_key(|(id, _)| *id);
        self.late = self.by_rule(&ran.late);
        self.finish(answers, ran, context, &|_| true)
    }

    /// The sources that only rules read which are not loaded: they will read the tables whole.
    fn unread(&self) -> BTreeSet<usize> {
        if self.rules.values().all(|rule| rule.loaded) {
            return BTreeSet::new();
        }
        let loaded = self.rules.values().filter(|rule| rule.loaded).flat_map(|rule| &rule.nodes);
        let read: BTreeSet<usize> = loaded.filter_map(|node| self.graph.node(*node).source()).collect();
        (0..self.graph.sources.len()).filter(|source| !read.contains(source)).collect()
    }

    fn by_rule(&self, counts: &[(NodeId, u64)]) -> BTreeMap<RuleId, u64> {
        let mut all = BTreeMap::new();
        for (node, count) in counts {
            let hit = self.rules.iter().filter(|(_, rule)| rule.nodes.binary_search(node).is_ok());
            hit.for_each(|(id, _)| *all.entry(*id).or_default() += count);
        }
        all
    }

    /// Ends a step: gives the answers, with the rules that failed, which are removed: those that ran.
    fn finish(
        &mut self,
        answers: Vec<(RuleId, Batch)>,
        ran: Ran,
        context: Context<'_>,
        has_run: &dyn Fn(&RuleId) -> bool,
    ) -> Vec<(RuleId, Outcome)> {
        self.graph.end();
        let completeness = context.into_completeness().and(&ran.completeness);
        let mut outcomes: BTreeMap<RuleId, Outcome> = answers
            .into_iter()
            .map(|(id, rows)| {
                let mut completeness = completeness.clone();
                if self.late.contains_key(&id) {
                    completeness.add(Reason::LateRowsDiscarded);
                }
                (id, Ok(Answer { rows, completeness }))
            })
            .collect();
        for (node, error) in ran.failed {
            let error = Arc::new(error);
            let hit = self.rules.iter().filter(|(_, rule)| rule.nodes.binary_search(&node).is_ok());
            let hit = hit.filter(|(id, _)| has_run(id));
            for id in hit.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.remove(id);
                outcomes.insert(id, Err(Error::Shared(error.clone())));
            }
        }
        outcomes.into_iter().collect()
    }
}

/// The change with each row once; nothing where everything cancels out.
fn consolidated(change: Batch) -> Option<Batch> {
    if change.weights.iter().all(|weight| *weight > 0) || change.weights.iter().all(|weight| *weight < 0) {
        return Some(change);
    }
    let len = change.rows.num_rows();
    let keys = keys(change.rows.columns(), len);
    let mut sums: HashMap<&Key, (u32, i64)> = HashMap::with_capacity(len);
    for ((row, key), weight) in (0u32..).zip(&keys).zip(&change.weights) {
        sums.entry(key).or_insert((row, 0)).1 += weight;
    }
    let is_orderly = || change.weights.is_sorted_by_key(|weight| *weight > 0) && !change.weights.contains(&0);
    if sums.len() == len && is_orderly() {
        return Some(change);
    }
    let mut kept: Vec<(u32, i64)> = sums.into_values().filter(|(_, weight)| *weight != 0).collect();
    // What leaves stands before what appears, so that a reader never sees a key twice.
    kept.sort_by_key(|(row, weight)| (*weight > 0, *row));
    let (rows, weights): (Vec<u32>, Vec<i64>) = kept.into_iter().unzip();
    (!rows.is_empty()).then(|| Batch { rows: take(&change.rows, &rows), weights })
}

/// Evaluates the plan once over the tables as they are.
pub fn execute(plan: &Plan, reader: &dyn Reader, now: Timestamp) -> Result<Answer<RecordBatch>, Error> {
    let context = Context::new(reader, now, false);
    let rows = Node::new(plan).meaning(&context)?;
    Ok(Answer { rows, completeness: context.into_completeness() })
}

/// A rule's whole result over the tables as they are, evaluated from nothing: what the sum of its steps is. Unlike the
/// answer of [`execute`], which rows a LIMIT keeps among equals depends on the rows alone.
pub fn whole_result(plan: &Plan, reader: &dyn Reader, now: Timestamp) -> Result<Answer<RecordBatch>, Error> {
    let context = Context::new(reader, now, true);
    let rows = Node::new(plan).meaning(&context)?;
    Ok(Answer { rows, completeness: context.into_completeness() })
}

/// Whether a match is something that happened: it has no end, and history from before is not matched again. So it is
/// for filters and projections over one table of events or records, without a clock.
pub fn matches_are_events(plan: &Plan) -> bool {
    let events = plan.tables().iter().all(|table| table.kind != Kind::State);
    let linear = |plan: &Plan| matches!(plan, Plan::Scan { .. } | Plan::Filter { .. } | Plan::Project { .. });
    let mut rest = Some(plan);
    while let Some(plan) = rest {
        if !linear(plan) || plan.exprs().into_iter().any(daemoneye_dsl::expr::Expr::uses_now) {
            return false;
        }
        rest = plan.inputs().first().copied();
    }
    events
}
