//! One snapshot after the other: compared, stored, evaluated, committed.
//!
//! Everything that a batch causes (its offset, the rows, the alerts, what is known of each match) is one transaction;
//! only after its commit is the batch acknowledged. Taking a batch is a plain function of what is stored and what
//! comes in: it never waits for the network and reads no clock.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use daemoneye_broker::message::SnapshotBatch;
use daemoneye_dsl::alert::SnapshotRef;
use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::ipc;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleState, RuleStatus};
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Answer, Batch, Changes, Dataflow, Outcome, RuleId, View};
use daemoneye_storage::{ProcessChange, Recorded, Store, Transaction};

use crate::alerts::{Raised, Scene};
use crate::present::{Difference, Dishonest, Present};
use crate::rules::{Loaded, Rule};

/// Snapshots between two looks for match state that no longer matters.
const FORGET_EVERY: u64 = 100;

/// The detection, without its connections.
pub(crate) struct Agent {
    store: Arc<Store>,
    rules: Vec<Rule>,
    dataflow: Dataflow,
    /// What one rule may take for one snapshot before it is said to be slow.
    rule_time_limit: Duration,
    present: Present,
    processes: Arc<Table>,
    /// Which collector instance spoke last.
    source: Option<String>,
    /// What every answer of this agent lacks from its start.
    missing: Completeness,
    /// Rule files that do not compile.
    refused: usize,
    snapshots: u64,
}

/// What became of a batch.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Committed.
    New {
        /// Processes in the snapshot.
        processes: usize,
        /// How many alerts it raised.
        alerts: usize,
    },
    /// It had been committed before.
    Known,
}

/// Why a batch was not taken; nothing of it is stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("`{0}` is not a table that collectors report")]
    Table(String),
    #[error("the batch does not say who sent it")]
    NoSource,
    #[error(transparent)]
    Rows(#[from] ipc::IpcError),
    #[error(transparent)]
    Dishonest(#[from] Dishonest),
    #[error(transparent)]
    Storage(#[from] daemoneye_storage::Error),
}

impl Agent {
    /// Takes up where the store left off.
    pub(crate) fn open(
        path: &PathBuf,
        loaded: Loaded,
        rule_time_limit: Duration,
    ) -> Result<Self, daemoneye_storage::Error> {
        let store = Arc::new(Store::open(path)?);
        let live = store.live()?;
        let missing = live.as_ref().map(|live| live.completeness.clone()).unwrap_or_default();
        let refused = loaded.refused();
        let present = live.as_ref().map_or_else(Present::never, Present::restored);
        let processes = Catalog::builtin().table("processes").expect("a table of the catalog").clone();
        let mut agent = Self {
            store,
            rules: loaded.rules,
            dataflow: new_dataflow(),
            rule_time_limit,
            present,
            processes,
            source: None,
            missing,
            refused,
            snapshots: 0,
        };
        agent.remove_old_rules()?;
        agent.install();
        Ok(agent)
    }

    /// Runs what was read anew from now on. Rules that are as they were keep what they hold; the others are filled
    /// with the next snapshot.
    pub(crate) fn reload(&mut self, loaded: Loaded, rule_time_limit: Duration) {
        self.rule_time_limit = rule_time_limit;
        let refused = loaded.refused();
        let statuses = loaded.statuses.clone();
        let Some(turnover) = loaded.replace(&mut self.rules) else {
            tracing::error!(refused, "no rule compiles: the rules that ran go on");
            return;
        };
        self.refused = refused;
        turnover.log(self.rules.len());
        turnover.gone.iter().for_each(|id| self.dataflow.remove(*id));
        self.install();
        if let Err(error) = self.note_rules(&statuses) {
            tracing::error!(%error, "cannot note the rules that run now: `daemoneye-cli status` shows those before");
        }
        if let Err(error) = self.remove_old_rules() {
            tracing::error!(%error, "cannot remove what rules that are gone have left; the next start tries again");
        }
    }

    fn install(&mut self) {
        self.rules.iter_mut().for_each(|rule| rule.install(&mut self.dataflow));
    }

    /// What a rule that is no longer there left behind would be taken for the state of a new one with its id. A refused
    /// file may hold the rule whose state this is; it is kept until every file compiles.
    fn remove_old_rules(&mut self) -> Result<(), daemoneye_storage::Error> {
        if self.refused > 0 {
            return Ok(());
        }
        let mut transaction = self.store.begin()?;
        for (id, _) in transaction.installed_rules()? {
            if !self.rules.iter().any(|rule| rule.header.id == id) {
                transaction.remove_rule(&id)?;
            }
        }
        transaction.commit()
    }

    /// Notes that it runs, and with which rules.
    pub(crate) fn begin_run(&self, run: &AgentRun, rules: &[RuleStatus]) -> Result<(), daemoneye_storage::Error> {
        let mut transaction = self.store.begin()?;
        transaction.set_run(run)?;
        transaction.set_rules(rules)?;
        transaction.commit()
    }

    fn note_rules(&self, rules: &[RuleStatus]) -> Result<(), daemoneye_storage::Error> {
        let mut transaction = self.store.begin()?;
        transaction.set_rules(rules)?;
        transaction.commit()
    }

    /// Notes that it ended in order.
    pub(crate) fn end_run(&self, now: Timestamp) -> Result<(), daemoneye_storage::Error> {
        let Some(run) = self.store.read()?.run()? else { return Ok(()) };
        let mut transaction = self.store.begin()?;
        transaction.set_run(&AgentRun { stopped: Some(now), ..run })?;
        transaction.commit()
    }

    /// The store, for whoever delivers what is committed.
    pub(crate) fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Takes one snapshot.
    pub(crate) fn take(&mut self, batch: &SnapshotBatch) -> Result<Taken, Refusal> {
        if batch.table != self.processes.name {
            return Err(Refusal::Table(batch.table.clone()));
        }
        if batch.source.is_empty() {
            return Err(Refusal::NoSource);
        }
        let known = self.store.read()?.offset(&batch.source)?;
        if known.is_some_and(|known| batch.sequence <= known) {
            return Ok(Taken::Known);
        }
        let now = Timestamp(batch.collected_at);
        let completeness = self.completeness(batch, known);
        let rows = ipc::decode(&batch.rows, &self.processes.schema())?;
        let difference = self.present.difference(&rows)?;

        let mut transaction = self.store.begin()?;
        transaction.set_offset(&batch.source, batch.sequence)?;
        let recorded = transaction.record_processes(&ProcessChange {
            time: now,
            previous_time: self.present.time(),
            baseline: self.present.time().is_none(),
            started: &difference.started,
            changed: &difference.changed,
            exited: &difference.exited,
        })?;
        let changes = self.changes(&difference, &recorded);
        let view = View::new(Some(&difference.rows), Some(&transaction));
        let began = Instant::now();
        let answers = evaluate(&mut self.rules, &mut self.dataflow, &view, &changes, now, self.rule_time_limit);
        let evaluation = began.elapsed();
        let processes = difference.rows.num_rows();
        let snapshot = SnapshotRef { source: batch.source.clone(), sequence: batch.sequence };
        let scene = Scene { transaction: &mut transaction, present: &difference.rows, now, snapshot };
        let committed = answers.and_then(|answers| self.raise(scene, answers, &completeness)).and_then(|raised| {
            note_collector(&mut transaction, batch, known, (processes, evaluation, &completeness))?;
            self.note_quarantined(&mut transaction)?;
            transaction.commit().map(|()| raised)
        });
        // After a failure the rules' state is ahead of the store: the next batch fills it anew from what is stored.
        let raised = committed.inspect_err(|_| {
            self.rules.iter_mut().for_each(Rule::reset);
            self.dataflow = new_dataflow();
            self.rules.iter_mut().for_each(|rule| rule.install(&mut self.dataflow));
        })?;
        self.rules.iter_mut().filter(|rule| rule.quarantined.is_none()).for_each(|rule| rule.loaded = true);
        self.present.advance(difference.rows, now);
        self.source = Some(batch.source.clone());
        self.snapshots += 1;
        for Raised { id, level, rule } in &raised {
            let alert_level = level.name();
            tracing::info!(alert = id, rule = rule.name, revision = rule.rev, alert_level, "alert raised");
        }
        Ok(Taken::New { processes, alerts: raised.len() })
    }

    /// Turns the rules' answers into alerts and what is known of each match; gives the alerts that were raised.
    fn raise(
        &self,
        mut scene: Scene<'_>,
        answers: Vec<(usize, Answer<Batch>)>,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, daemoneye_storage::Error> {
        let mut raised = Vec::new();
        for (at, answer) in answers {
            let rule = &self.rules[at];
            let completeness = completeness.clone().and(&answer.completeness);
            raised.extend(if rule.loaded {
                scene.apply(rule, &answer.rows, &completeness)?
            } else {
                scene.reconcile(rule, &answer.rows, &completeness)?
            });
        }
        if self.snapshots.is_multiple_of(FORGET_EVERY) {
            self.rules.iter().try_for_each(|rule| scene.forget(rule))?;
        }
        Ok(raised)
    }

    /// Keeps on record which rules no longer run. They are few, so each batch says it again.
    fn note_quarantined(&self, transaction: &mut Transaction) -> Result<(), daemoneye_storage::Error> {
        for rule in &self.rules {
            let Some(why) = &rule.quarantined else { continue };
            transaction.set_rule(&RuleStatus {
                name: rule.name.clone(),
                state: RuleState::Quarantined,
                detail: Some(why.clone()),
                level: Some(rule.header.level),
                id: Some(rule.header.id.clone()),
                revision: Some(rule.revision.clone()),
                path: rule.path.display().to_string(),
            })?;
        }
        Ok(())
    }

    fn completeness(&self, batch: &SnapshotBatch, known: Option<u64>) -> Completeness {
        let mut completeness = self.missing.clone();
        if self.refused > 0 {
            completeness.add(Reason::RuleRefused);
        }
        if batch.scope_visible {
            completeness.scope = Scope::Visible;
        }
        for name in &batch.reasons {
            match serde_json::from_value(serde_json::Value::String(name.clone())) {
                Ok(reason) => completeness.add(reason),
                Err(_) => {
                    tracing::warn!(reason = name, "a collector gave a reason that is not known");
                    completeness.add(Reason::SamplingGap);
                }
            }
        }
        let follows = known
            .map_or(self.present.time().is_none() || self.source.is_none() && batch.sequence == 1, |last| {
                batch.sequence == last + 1
            });
        if !follows || self.present.time().is_some() && self.source.as_ref() != Some(&batch.source) {
            completeness.add(Reason::SamplingGap);
        }
        if self.rules.iter().any(|rule| rule.quarantined.is_some()) {
            completeness.add(Reason::RuleQuarantined);
        }
        completeness
    }

    fn changes(&self, difference: &Difference, recorded: &Recorded) -> Changes {
        let mut changes = Changes::default();
        if self.rules.iter().any(|rule| rule.reads_samples) {
            let samples = Batch::replacing(self.present.rows(), &difference.rows);
            changes.add_with_samples("processes", difference.versions.clone(), samples);
        } else {
            changes.add("processes", difference.versions.clone());
        }
        changes.add("process_starts", Batch::appearing(recorded.starts.clone()));
        changes.add("process_exits", Batch::appearing(recorded.exits.clone()));
        changes
    }
}

/// Keeps on record how far the collector got, with what its snapshot held, what the rules took for it, and how complete
/// their input was.
fn note_collector(
    transaction: &mut Transaction,
    batch: &SnapshotBatch,
    known: Option<u64>,
    (processes, evaluation, completeness): (usize, Duration, &Completeness),
) -> Result<(), daemoneye_storage::Error> {
    let before = transaction.collector(&batch.source)?;
    let missed = batch.sequence.saturating_sub(known.unwrap_or(0)).saturating_sub(1);
    let now = Timestamp(batch.collected_at);
    transaction.set_collector(&CollectorStatus {
        source: batch.source.clone(),
        pid: Some(batch.pid).filter(|pid| *pid > 0),
        first_snapshot: before.as_ref().map_or(now, |before| before.first_snapshot),
        last_snapshot: now,
        interval_micros: Some(batch.interval_micros).filter(|interval| *interval > 0),
        sequence: batch.sequence,
        snapshots: before.as_ref().map_or(0, |before| before.snapshots) + 1,
        missed: before.as_ref().map_or(0, |before| before.missed).saturating_add(missed),
        processes: processes as u64,
        evaluation_micros: i64::try_from(evaluation.as_micros()).unwrap_or(i64::MAX),
        completeness: completeness.clone(),
    })
}

/// Rules that run together, timed.
fn new_dataflow() -> Dataflow {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    Dataflow::timed(|| BEGAN.elapsed())
}

/// Snapshots in a row for which a rule may take too long: a busy host makes every rule slow now and then.
const SLOW_MAX: u32 = 5;

/// Runs the rules on the changes, and on everything those that have not run yet. One that reaches a bound is set aside;
/// the others go on. A store that cannot be read is no rule's fault and ends the batch.
fn evaluate(
    rules: &mut [Rule],
    dataflow: &mut Dataflow,
    view: &View<'_>,
    changes: &Changes,
    now: Timestamp,
    time_limit: Duration,
) -> Result<Vec<(usize, Answer<Batch>)>, daemoneye_storage::Error> {
    let mut outcomes = dataflow.step(view, changes, now);
    let took: HashMap<RuleId, Duration> = dataflow.slower_than(time_limit).into_iter().collect();
    if rules.iter().any(|rule| rule.running.is_some() && !rule.loaded && !rule.events) {
        match dataflow.load(view, now) {
            Ok(loaded) => outcomes.extend(loaded),
            Err(daemoneye_planner::Error::Storage(error)) => return Err(error),
            Err(error) => return Err(daemoneye_storage::Error::Refused(error.to_string())),
        }
    }
    let mut outcomes: HashMap<RuleId, Outcome> = outcomes.into_iter().collect();
    let mut answers = Vec::new();
    for (at, rule) in rules.iter_mut().enumerate() {
        let Some(id) = rule.running else { continue };
        match outcomes.remove(&id) {
            Some(Ok(answer)) => answers.push((at, answer)),
            // What happened before is not matched again: such a rule begins with the changes of this snapshot.
            None if !rule.loaded => {
                let rows = Batch::empty(&[]);
                answers.push((at, Answer { rows, completeness: Completeness::default() }));
            }
            None => {}
            // A store that cannot be read is no rule's fault.
            Some(Err(error)) if error.is_storage() => return Err(daemoneye_storage::Error::Refused(error.to_string())),
            Some(Err(error)) => set_aside(rule, error.to_string(), dataflow),
        }
        let Some(took) = took.get(&id) else {
            rule.slow = 0;
            continue;
        };
        rule.slow += 1;
        let name = &rule.name;
        tracing::warn!(rule = name, ?took, limit = ?time_limit, "a rule took longer than its limit for one snapshot");
        if rule.slow >= SLOW_MAX && rule.running.is_some() {
            let why = format!("it took longer than rules.time_limit for {SLOW_MAX} snapshots in a row, last {took:?}");
            set_aside(rule, why, dataflow);
            answers.retain(|(other, _)| *other != at);
        }
    }
    Ok(answers)
}

fn set_aside(rule: &mut Rule, why: String, dataflow: &mut Dataflow) {
    tracing::error!(rule = rule.name, why, "rule quarantined until it changes or the agent is restarted");
    rule.quarantine(why, dataflow);
}
