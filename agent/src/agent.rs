//! One snapshot after the other: compared, stored, evaluated, committed.
//!
//! Everything that a batch causes (its offset, the rows, the alerts, what is known of each match) is one transaction;
//! only after its commit is the batch acknowledged. Taking a batch is a plain function of what is stored and what
//! comes in: it never waits for the network and reads no clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use daemoneye_broker::message::SnapshotBatch;
use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::ipc;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleState, RuleStatus};
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_dsl::untrusted::Untrusted;
use daemoneye_planner::{Answer, Batch, Changes, View};
use daemoneye_storage::{ProcessChange, Recorded, Store, Transaction};

use crate::alerts::Scene;
use crate::present::{Difference, Dishonest, Present};
use crate::rules::Rule;

/// What one rule may take for one snapshot before it is said to be slow.
const RULE_TIME_MAX: Duration = Duration::from_millis(100);
/// Snapshots between two looks for match state that no longer matters.
const FORGET_EVERY: u64 = 100;

/// The detection, without its connections.
pub(crate) struct Agent {
    store: Arc<Store>,
    rules: Vec<Rule>,
    present: Present,
    processes: Arc<Table>,
    /// Which collector instance spoke last.
    source: Option<String>,
    /// What every answer of this agent lacks from its start: rules that were refused.
    missing: Completeness,
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
    pub(crate) fn open(path: &PathBuf, rules: Vec<Rule>, refused: usize) -> Result<Self, daemoneye_storage::Error> {
        let store = Arc::new(Store::open(path)?);
        let live = store.live()?;
        let mut missing = Completeness::default();
        if refused > 0 {
            missing.add(Reason::RuleRefused);
        }
        if let Some(live) = &live {
            missing = missing.and(&live.completeness);
        }
        let present = live.as_ref().map_or_else(Present::never, Present::restored);
        let processes = Catalog::builtin().table("processes").expect("a table of the catalog").clone();
        let mut agent = Self { store, rules, present, processes, source: None, missing, snapshots: 0 };
        // A refused file may hold the rule whose state this is; it is kept until every file compiles.
        if refused == 0 {
            agent.remove_old_rules()?;
        }
        Ok(agent)
    }

    /// What a rule that is no longer there left behind would be taken for the state of a new one with its id.
    fn remove_old_rules(&mut self) -> Result<(), daemoneye_storage::Error> {
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
        let answers = evaluate(&mut self.rules, &view, &changes, now);
        let evaluation = began.elapsed();
        let processes = difference.rows.num_rows();
        let committed = answers
            .and_then(|answers| self.raise(&mut transaction, answers, &difference.rows, now, &completeness))
            .and_then(|alerts| {
                note_collector(&mut transaction, batch, known, (processes, evaluation, &completeness))?;
                self.note_quarantined(&mut transaction)?;
                transaction.commit().map(|()| alerts)
            });
        // After a failure the rules' state is ahead of the store: the next batch fills it anew from what is stored.
        let alerts = committed.inspect_err(|_| self.rules.iter_mut().for_each(Rule::reset))?;
        self.rules.iter_mut().filter(|rule| rule.quarantined.is_none()).for_each(|rule| rule.loaded = true);
        self.present.advance(difference.rows, now);
        self.source = Some(batch.source.clone());
        self.snapshots += 1;
        Ok(Taken::New { processes, alerts })
    }

    /// Turns the rules' answers into alerts and what is known of each match; tells how many were raised.
    fn raise(
        &self,
        transaction: &mut Transaction,
        answers: Vec<(usize, Answer<Batch>)>,
        present: &RecordBatch,
        now: Timestamp,
        completeness: &Completeness,
    ) -> Result<usize, daemoneye_storage::Error> {
        let mut scene = Scene { transaction, present, now };
        let mut alerts = 0;
        for (at, answer) in answers {
            let rule = &self.rules[at];
            let completeness = completeness.clone().and(&answer.completeness);
            alerts += if rule.loaded {
                scene.apply(rule, &answer.rows, &completeness)?
            } else {
                scene.reconcile(rule, &answer.rows, &completeness)?
            };
            if self.snapshots.is_multiple_of(FORGET_EVERY) {
                scene.forget(rule)?;
            }
        }
        Ok(alerts)
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
                path: rule.path.clone(),
            })?;
        }
        Ok(())
    }

    fn completeness(&self, batch: &SnapshotBatch, known: Option<u64>) -> Completeness {
        let mut completeness = self.missing.clone();
        if batch.scope_visible {
            completeness.scope = Scope::Visible;
        }
        for name in &batch.reasons {
            match serde_json::from_value(serde_json::Value::String(name.clone())) {
                Ok(reason) => completeness.add(reason),
                Err(_) => {
                    tracing::warn!(reason = %Untrusted(name).terminal(), "a collector gave a reason that is not known");
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

/// Runs every rule on the changes, or on everything where it has not run yet. One that reaches a bound is set aside;
/// the others go on. A store that cannot be read is no rule's fault and ends the batch.
fn evaluate(
    rules: &mut [Rule],
    view: &View<'_>,
    changes: &Changes,
    now: Timestamp,
) -> Result<Vec<(usize, Answer<Batch>)>, daemoneye_storage::Error> {
    let mut answers = Vec::new();
    for (at, rule) in rules.iter_mut().enumerate().filter(|(_, rule)| rule.quarantined.is_none()) {
        let began = Instant::now();
        // What happened before is not matched again: such a rule begins with the changes of this snapshot.
        let answer = if rule.loaded || rule.installed.matches_are_events() {
            rule.installed.step(view, changes, now)
        } else {
            rule.installed.load(view, now)
        };
        let took = began.elapsed();
        if took > RULE_TIME_MAX {
            tracing::warn!(rule = rule.name, ?took, "a rule took longer than {RULE_TIME_MAX:?} for one snapshot");
        }
        match answer {
            Ok(answer) => answers.push((at, answer)),
            Err(daemoneye_planner::Error::Storage(error)) => return Err(error),
            Err(error) => {
                tracing::error!(rule = rule.name, %error, "rule quarantined until the agent is restarted");
                rule.quarantined = Some(error.to_string());
            }
        }
    }
    Ok(answers)
}
