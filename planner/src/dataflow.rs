//! Rules, installed: what changed goes in, what the rules' results change by comes out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Kind;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::Reader;

use crate::batch::Batch;
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleId(usize);

/// The rules that run, together.
#[derive(Default)]
pub struct Dataflow {
    rules: BTreeMap<RuleId, Installed>,
    next: usize,
}

impl Dataflow {
    /// Adds a rule. It takes part in the steps once it is loaded; one whose matches are events does at once.
    pub fn install(&mut self, plan: &Plan) -> RuleId {
        let id = RuleId(self.next);
        self.next += 1;
        self.rules.insert(id, Installed::new(plan));
        id
    }

    /// Takes a rule away, with all that it holds.
    pub fn remove(&mut self, rule: RuleId) {
        self.rules.remove(&rule);
    }

    /// Takes the tables as they are now as having just appeared: fills the rule's state, and gives its whole result. A
    /// rule whose matches are events has no state and no result from before. One that fails is removed.
    pub fn load(&mut self, rule: RuleId, reader: &dyn Reader, now: Timestamp) -> Result<Answer<Batch>, Error> {
        let Some(installed) = self.rules.get_mut(&rule) else { return Err(Error::NotInstalled) };
        let answer = installed.load(reader, now);
        installed.loaded = true;
        answer.inspect_err(|_| drop(self.rules.remove(&rule)))
    }

    /// What the results of the rules that are loaded change by, after `changes`, which `reader` already shows: only of
    /// those whose result changed. A rule that fails is removed; the others go on.
    pub fn step(
        &mut self,
        reader: &dyn Reader,
        changes: &Changes,
        now: Timestamp,
    ) -> Vec<(RuleId, Result<Answer<Batch>, Error>)> {
        let running = self.rules.iter_mut().filter(|(_, rule)| rule.loaded || rule.matches_are_events);
        let answers: Vec<_> = running.map(|(id, rule)| (*id, rule.step(reader, changes, now))).collect();
        self.rules.retain(|id, _| answers.iter().all(|(other, answer)| other != id || answer.is_ok()));
        answers
            .into_iter()
            .filter(|(_, answer)| answer.as_ref().is_ok_and(|it| !it.rows.is_empty()) || answer.is_err())
            .collect()
    }
}

/// One rule, running.
pub struct Installed {
    root: Node,
    matches_are_events: bool,
    loaded: bool,
}

impl Installed {
    /// Makes the plan ready to run; nothing is read yet.
    pub fn new(plan: &Plan) -> Self {
        Self { root: Node::new(plan), matches_are_events: matches_are_events(plan), loaded: false }
    }

    /// Whether a match is something that happened: it has no end, and history from before is not matched again.
    pub fn matches_are_events(&self) -> bool {
        self.matches_are_events
    }

    /// Takes the tables as they are now as having just appeared: fills the state, and gives the whole result. A rule
    /// whose matches are events has no state and no result from before.
    pub fn load(&mut self, reader: &dyn Reader, now: Timestamp) -> Result<Answer<Batch>, Error> {
        let nothing = Changes::default();
        let changes = self.matches_are_events.then_some(&nothing);
        self.run(reader, changes, now)
    }

    /// What the result changes by, after `changes`, which `reader` already shows.
    pub fn step(&mut self, reader: &dyn Reader, changes: &Changes, now: Timestamp) -> Result<Answer<Batch>, Error> {
        self.run(reader, Some(changes), now)
    }

    fn run(&mut self, reader: &dyn Reader, changes: Option<&Changes>, now: Timestamp) -> Result<Answer<Batch>, Error> {
        let context = Context::new(reader, changes, now, true);
        let rows = self.root.step(&context)?;
        Ok(Answer { rows, completeness: context.into_completeness() })
    }
}

/// Evaluates the plan once over the tables as they are.
pub fn execute(plan: &Plan, reader: &dyn Reader, now: Timestamp) -> Result<Answer<RecordBatch>, Error> {
    let context = Context::new(reader, None, now, false);
    let rows = Node::new(plan).meaning(&context)?;
    Ok(Answer { rows, completeness: context.into_completeness() })
}

/// Filters and projections over one table of events or records, without a clock.
fn matches_are_events(plan: &Plan) -> bool {
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
