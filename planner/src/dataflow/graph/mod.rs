//! The operators of all rules, each once; `running.rs` takes a change through them.
//!
//! An operator stands behind its inputs, so going through those that something reached in the order of their numbers
//! visits each once. What nothing reached costs nothing.

mod running;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::Timestamp;
use smallvec::SmallVec;

use super::arrangement::Arrange;
use super::delta::{Delta, Layout};
use super::keyed::KeyStore;
use super::recipe::Recipe;
use super::source::Source;
use super::steps::{Size, Step};
use super::store::Store;
use super::{Clock, make};
use crate::batch::Batch;
use crate::error::Error;
use crate::operators::Context;

pub(super) use running::Dirty;

pub(crate) type NodeId = usize;

/// One operator.
pub(crate) struct Node {
    pub(crate) recipe: Recipe,
    pub(crate) layout: Layout,
    pub(crate) inputs: Vec<NodeId>,
    /// None while it runs, and for legs, which the matcher answers.
    pub(super) step: Option<Box<dyn Step>>,
    consumers: Vec<NodeId>,
    /// How many rules it belongs to.
    users: usize,
    pub(super) output: Option<Delta>,
    /// Its change does not count now: it did already in an earlier round.
    pub(super) hidden: bool,
    /// It holds what came before, and takes part in steps.
    pub(super) loaded: bool,
    /// The step in which it ran last, and how long that took.
    last: (u64, Duration),
    /// What it counts for in what all hold.
    counted: Size,
}

pub(crate) struct Graph {
    nodes: Vec<Option<Box<Node>>>,
    known: HashMap<u64, SmallVec<[NodeId; 1]>>,
    pub(crate) sources: Vec<Source>,
    pub(crate) stores: Vec<RefCell<Store>>,
    pub(crate) keys: RefCell<KeyStore>,
    /// While a recursion is installed, where its step finds the rows of the round before.
    pub(crate) working: HashMap<usize, NodeId>,
    /// Where the rows of a node of values are kept.
    value_stores: HashMap<NodeId, usize>,
    /// Asked in every step.
    timed: BTreeSet<NodeId>,
    /// Nodes with an output in this step.
    pub(super) reached: Vec<NodeId>,
    clock: Option<Clock>,
    /// Steps so far, and how long all operators took in the last.
    steps: u64,
    last_took: Duration,
    /// What all operators hold.
    held: Size,
    /// What a rule may take for one step, and for being loaded.
    pub(super) limits: Limits,
    /// How late rows may come, in microseconds.
    pub(super) grace: i64,
    /// The time of the last step, and what came in time then had a moment of at least.
    last: Option<(Timestamp, i64)>,
    /// Rows that came too late for the operator that runs.
    late: Cell<u64>,
}

/// What one rule may take, where that is bounded.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Limits {
    /// For one step.
    pub(crate) step: Option<Duration>,
    /// For being loaded.
    pub(crate) load: Option<Duration>,
}

/// What a run did.
#[derive(Default)]
pub(crate) struct Ran {
    /// Operators that failed.
    pub(crate) failed: Vec<(NodeId, Error)>,
    /// What was missing from the tables that were read.
    pub(crate) completeness: Completeness,
    /// How many rows came too late for an operator, and were discarded.
    pub(crate) late: Vec<(NodeId, u64)>,
}

impl Node {
    /// What changed in this step, if anything.
    pub(crate) fn delta(&self) -> Option<&Delta> {
        self.output.as_ref().filter(|_| !self.hidden)
    }

    /// Its rows by key.
    pub(crate) fn arranged(&self) -> &Arrange {
        self.step.as_ref().and_then(|step| step.arranged()).expect("joins have arrangements as inputs")
    }

    fn size(&self) -> Size {
        self.step.as_ref().map_or_else(Size::default, |step| step.size())
    }

    /// It holds rows for some time only.
    pub(super) fn forgets(&self) -> bool {
        matches!(&self.recipe, Recipe::Arrange { until: Some(until), .. } if until.keep.is_some())
    }

    pub(super) fn is_leg(&self) -> bool {
        matches!(self.recipe, Recipe::Leg { .. })
    }

    /// The source that it picks rows from, if it is a leg.
    pub(in crate::dataflow) fn source(&self) -> Option<usize> {
        match self.recipe {
            Recipe::Leg { source, .. } => Some(source),
            _ => None,
        }
    }

    /// It holds nothing, so that it is the same whenever it begins.
    pub(super) fn is_stateless(&self) -> bool {
        matches!(
            self.recipe,
            Recipe::Leg { .. } | Recipe::Filter(_) | Recipe::Project(_) | Recipe::Columns(_) | Recipe::Union
        )
    }
}

impl Graph {
    /// `grace` is how late rows may come, in microseconds.
    pub(crate) fn new(clock: Option<Clock>, grace: i64) -> Self {
        Self {
            nodes: vec![],
            known: HashMap::new(),
            sources: vec![],
            stores: vec![],
            keys: RefCell::default(),
            working: HashMap::new(),
            value_stores: HashMap::new(),
            timed: BTreeSet::new(),
            reached: vec![],
            clock,
            steps: 0,
            last_took: Duration::ZERO,
            held: Size::default(),
            limits: Limits::default(),
            grace,
            last: None,
            late: Cell::default(),
        }
    }

    pub(crate) fn clock(&self) -> Option<Clock> {
        self.clock
    }

    /// How long all operators took in the last step.
    pub(crate) fn last_took(&self) -> Duration {
        self.last_took
    }

    /// How long a node took in the last step.
    pub(crate) fn took(&self, id: NodeId) -> Duration {
        let (step, took) = self.node(id).last;
        if step == self.steps { took } else { Duration::ZERO }
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.nodes[id].as_deref().expect("a node that is there")
    }

    pub(super) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id].as_deref_mut().expect("a node that is there")
    }

    /// The node that does this, made if there is none.
    pub(crate) fn add(&mut self, recipe: Recipe, inputs: Vec<NodeId>, layout: Layout) -> NodeId {
        let fingerprint = recipe.fingerprint(&inputs);
        let same = |id: &&NodeId| {
            let node = self.node(**id);
            node.inputs == inputs && node.layout == layout && node.recipe.is_same(&recipe)
        };
        if let Some(known) = fingerprint.and_then(|it| self.known.get(&it)?.iter().find(same).copied()) {
            return known;
        }
        let id = self.nodes.len();
        let step = make::step(&recipe, &inputs, &layout, self);
        if step.as_ref().is_some_and(|step| step.is_timed()) {
            self.timed.insert(id);
        }
        for input in &inputs {
            self.node_mut(*input).consumers.push(id);
        }
        if let Some(fingerprint) = fingerprint {
            self.known.entry(fingerprint).or_default().push(id);
        }
        let mut node = Node {
            recipe,
            layout,
            inputs,
            step,
            consumers: vec![],
            users: 0,
            output: None,
            hidden: false,
            loaded: false,
            last: (0, Duration::ZERO),
            counted: Size::default(),
        };
        node.loaded = node.is_stateless();
        self.nodes.push(Some(Box::new(node)));
        id
    }

    /// The source of a table.
    pub(crate) fn source(&mut self, table: &Arc<Table>, samples: bool) -> usize {
        let known = |source: &Source| source.table == *table && source.samples == samples;
        self.sources.iter().position(known).unwrap_or_else(|| {
            self.sources.push(Source::new(table.clone(), samples));
            self.sources.len() - 1
        })
    }

    /// The number of a source's columns in a store.
    pub(crate) fn keep(&mut self, source: usize, columns: &[usize]) -> usize {
        let Self { sources, stores, .. } = self;
        sources[source].keep(columns, &mut |again, types| {
            let store = RefCell::new(Store::new(types));
            if let Some(at) = again {
                stores[at] = store;
                return at;
            }
            stores.push(store);
            stores.len() - 1
        })
    }

    /// The store of a node's values.
    pub(crate) fn store_of(&mut self, id: NodeId) -> usize {
        if let Some(known) = self.value_stores.get(&id) {
            return *known;
        }
        self.stores.push(RefCell::new(Store::new(&self.node(id).layout.types)));
        self.value_stores.insert(id, self.stores.len() - 1);
        self.stores.len() - 1
    }

    /// The node and all that it is made of, inputs first.
    pub(crate) fn below(&self, root: NodeId) -> Vec<NodeId> {
        let mut all = BTreeSet::new();
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            if all.insert(id) {
                open.extend(&self.node(id).inputs);
            }
        }
        all.into_iter().collect()
    }

    /// One rule more uses these nodes.
    pub(crate) fn use_all(&mut self, nodes: &[NodeId]) {
        for id in nodes {
            self.node_mut(*id).users += 1;
        }
    }

    /// One less; what nobody uses goes.
    pub(crate) fn drop_all(&mut self, nodes: &[NodeId]) {
        for id in nodes.iter().rev() {
            let node = self.node_mut(*id);
            node.users -= 1;
            if node.users == 0 {
                self.remove(*id);
            }
        }
        self.sweep();
    }

    fn remove(&mut self, id: NodeId) {
        let mut node = self.nodes[id].take().expect("a node that is there");
        self.held -= node.counted;
        if let Some(step) = &mut node.step {
            step.release(&self.stores, self.keys.get_mut());
        }
        if let Recipe::Leg { source, condition, .. } = &node.recipe {
            self.sources[*source].leave(id, *condition);
        }
        for input in &node.inputs {
            if let Some(input) = &mut self.nodes[*input] {
                input.consumers.retain(|other| *other != id);
            }
        }
        if let Some(known) = node.recipe.fingerprint(&node.inputs).and_then(|it| self.known.get_mut(&it)) {
            known.retain(|other| *other != id);
        }
        self.timed.remove(&id);
    }

    /// What a node gave in this step, as values.
    pub(crate) fn output(&self, id: NodeId, context: &Context<'_>) -> Option<Batch> {
        let node = self.node(id);
        Some(node.delta()?.batch(&node.layout, &self.run(context, None)))
    }

    /// The nodes that gave something in this step.
    pub(crate) fn reached(&self) -> &[NodeId] {
        &self.reached
    }

    /// The table of a leg, and how its rows are found.
    pub(crate) fn found_by(&self, id: NodeId) -> Option<(String, String)> {
        let Recipe::Leg { source, condition, .. } = &self.node(id).recipe else { return None };
        let source = &self.sources[*source];
        Some((source.table.name.to_string(), source.found_by(*condition)))
    }

    /// What a node holds.
    pub(crate) fn size(&self, id: NodeId) -> Size {
        self.node(id).size()
    }

    /// What all nodes hold.
    pub(crate) fn held(&self) -> Size {
        self.held
    }

    /// Takes what a node holds now into what all do.
    pub(super) fn count(&mut self, id: NodeId) {
        let node = self.node_mut(id);
        let size = node.size();
        let before = std::mem::replace(&mut node.counted, size);
        self.held -= before;
        self.held += size;
    }

    /// What the stores hold.
    pub(crate) fn rows_held(&self) -> Size {
        let mut held = Size::default();
        for store in &self.stores {
            held += store.borrow().size();
        }
        held
    }

    pub(crate) fn is_loaded(&self, id: NodeId) -> bool {
        self.node(id).loaded
    }

    /// Rows and keys that nobody holds are free.
    fn sweep(&mut self) {
        self.stores.iter_mut().for_each(|store| store.get_mut().sweep());
        self.keys.get_mut().sweep();
    }

    /// The step is over, and what was there for its sake goes.
    pub(crate) fn end(&mut self) {
        for id in std::mem::take(&mut self.reached) {
            if let Some(node) = &mut self.nodes[id] {
                node.output = None;
                if let Some(step) = &mut node.step {
                    step.end_step();
                }
            }
        }
        self.sources.iter_mut().for_each(Source::end);
        self.sweep();
    }
}
