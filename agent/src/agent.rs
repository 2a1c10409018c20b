//! One snapshot after the other: compared, stored, evaluated, committed.
//!
//! Everything that a batch causes (its offset, the rows, the alerts, what is known of each match) is one transaction;
//! only after its commit is the batch acknowledged. Taking a batch is a plain function of what is stored and what
//! comes in: it never waits for the network and reads no clock.

mod orders;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use daemoneye_broker::SnapshotBatch;
use daemoneye_dsl::alert::SnapshotRef;
use daemoneye_dsl::audit::Actor;
use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::ipc;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleStatus, patience};
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Answer, Batch, Changes, Dataflow, Error, View};
use daemoneye_storage::{ProcessChange, Recorded, Store, Transaction};

use crate::alerts::{Raised, Scene};
use crate::answers::Seen;
use crate::audit::{self, Audit};
use crate::backlog::Backlog;
use crate::evaluation::{Bounds, evaluate, new_dataflow};
use crate::present::{Difference, Dishonest, Living, Present};
use crate::rules::{Loaded, Rule};
use crate::sampling::Sampling;
use crate::silences::Silences;
use crate::{own, tally};

pub(crate) use self::orders::Wanted;

/// Snapshots between two looks for match state that no longer matters.
const FORGET_EVERY: u64 = 100;

/// The detection, without its connections.
pub(crate) struct Agent {
    store: Arc<Store>,
    rules: Vec<Rule>,
    dataflow: Dataflow,
    /// What one of them may take.
    bounds: Bounds,
    /// What it raises about itself.
    rule_quarantined: Rule,
    /// The quarantined rules that are on record, by id and revision; none before the first snapshot.
    quarantined: Option<Vec<(String, String)>>,
    /// When what the rules cost was put on record.
    tallied: Option<Timestamp>,
    present: Present,
    sampling: Sampling,
    processes: Arc<Table>,
    /// Which collector instance spoke last.
    source: Option<String>,
    /// How long after its snapshot it meant to make the next; of a run before too.
    interval_micros: Option<i64>,
    /// What every answer of this agent lacks from its start.
    missing: Completeness,
    /// How complete the latest snapshot of this run is by itself.
    reported: Option<Completeness>,
    /// Rule files that do not compile.
    refused: usize,
    snapshots: u64,
    /// What came while the disk was full.
    backlog: Backlog,
    /// The way to the ledger.
    audit: Audit,
}

/// How the agent is, as far as that changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// The last snapshot that is stored, be it of a run before.
    pub(crate) last_snapshot: Option<Timestamp>,
    /// Rules at work.
    pub(crate) rules: u64,
    /// Snapshots that wait for the disk.
    pub(crate) waiting: u64,
    /// The last turn that an alert was written in.
    pub(crate) alert_turn: u64,
}

/// What a run begins with.
pub(crate) struct Beginning<'a> {
    pub(crate) run: &'a AgentRun,
    /// What became of every rule file.
    pub(crate) rules: &'a [RuleStatus],
    /// The settings in force.
    pub(crate) settings: &'a serde_json::Value,
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
    #[error("{cause}; {waiting} snapshots wait in memory until it can be written to, and {shed} gave way to them")]
    Waits { cause: daemoneye_storage::Error, waiting: usize, shed: u64 },
}

impl Agent {
    /// Takes up where the store left off.
    pub(crate) fn open(
        path: &PathBuf,
        loaded: Loaded,
        bounds: Bounds,
        sampled: Duration,
        audit: Audit,
    ) -> Result<Self, daemoneye_storage::Error> {
        let store = Arc::new(Store::open(path)?);
        let live = store.live()?;
        let missing = live.as_ref().map(|live| live.completeness.clone()).unwrap_or_default();
        let refused = loaded.refused();
        let present = live.as_ref().map_or_else(Present::never, Present::restored);
        let view = store.read()?;
        let sampling = Sampling::after(view.last_round()?, sampled);
        let (collectors, _damaged) = view.collectors()?;
        let last = collectors.into_iter().max_by_key(|collector| collector.last_snapshot.0);
        drop(view);
        let processes = Catalog::builtin().table("processes").expect("a table of the catalog").clone();
        let mut agent = Self {
            store,
            rules: loaded.rules,
            dataflow: new_dataflow(bounds),
            bounds,
            rule_quarantined: own::rule_quarantined(),
            quarantined: None,
            tallied: None,
            present,
            sampling,
            processes,
            source: None,
            interval_micros: last.and_then(|collector| collector.interval_micros),
            missing,
            reported: None,
            refused,
            snapshots: 0,
            backlog: Backlog::default(),
            audit,
        };
        agent.remove_old_rules()?;
        agent.install();
        Ok(agent)
    }

    /// The latest snapshot of this run, for questions.
    pub(crate) fn seen(&self) -> Option<Seen> {
        let time = self.present.time()?;
        let completeness = self.reported.clone()?;
        Some(Seen { rows: self.present.rows().clone(), time, completeness })
    }

    /// How it is.
    pub(crate) fn health(&self) -> Health {
        let running = self.rules.iter().filter(|rule| rule.quarantined.is_none()).count();
        // Whoever follows the alerts looks when it grows; a store that cannot be read has none to show.
        let alert_turn = self.store.read().and_then(|view| view.last_turn()).unwrap_or_default();
        Health { last_snapshot: self.present.time(), rules: running as u64, waiting: self.waiting() as u64, alert_turn }
    }

    /// Runs what was read anew from now on. Rules that are as they were keep what they hold; the others are filled
    /// with the next snapshot.
    pub(crate) fn reload(&mut self, loaded: Loaded, bounds: Bounds, sampled: Duration, at: Timestamp) {
        self.bounds = bounds;
        self.sampling.set(sampled);
        bounds.rule(&mut self.dataflow);
        let refused = loaded.refused();
        let statuses = loaded.statuses.clone();
        let ran: Vec<_> = self.rules.iter().map(Rule::status_now).collect();
        let Some(turnover) = loaded.replace(&mut self.rules) else {
            tracing::error!(refused, "no rule compiles: the rules that ran go on");
            return;
        };
        self.refused = refused;
        turnover.log(self.rules.len());
        turnover.gone.iter().for_each(|id| self.dataflow.remove(*id));
        self.install();
        if let Err(error) = self.note_rules(ran, &statuses, at) {
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
    pub(crate) fn begin_run(&self, beginning: &Beginning<'_>) -> Result<(), daemoneye_storage::Error> {
        let Beginning { run, rules, settings } = beginning;
        let view = self.store.read()?;
        let (before, (known, _damaged)) = (view.run()?, view.rules()?);
        let at = run.started;
        let mut program = audit::program(Path::new("/proc/self"));
        program.file["version"] = run.version.as_str().into();
        let killed = before.filter(|before| before.stopped.is_none()).map(|before| audit::was_killed(at, &before));
        let began = audit::started(at, "agent", Some(run.pid), &program);
        let in_force = audit::in_force(at, settings);
        let rules_facts = audit::of_rules(at, &Actor::component("agent"), &known, rules);
        let mut transaction = self.store.begin()?;
        transaction.set_run(run)?;
        transaction.set_rules(rules)?;
        killed
            .iter()
            .chain(&began)
            .chain([&in_force])
            .chain(&rules_facts)
            .try_for_each(|fact| transaction.put_event(fact))?;
        transaction.commit()
    }

    /// Notes what became of the rule files, and what is otherwise than before. Of those that ran, the file of some may
    /// not have been usable for a while.
    fn note_rules(
        &self,
        ran: Vec<RuleStatus>,
        rules: &[RuleStatus],
        at: Timestamp,
    ) -> Result<(), daemoneye_storage::Error> {
        let mut rules = rules.to_vec();
        for stopped in self.rules.iter().filter(|rule| rule.quarantined.is_some()).map(Rule::status_now) {
            rules.retain(|rule| rule.path != stopped.path);
            rules.push(stopped);
        }
        let (mut known, _damaged) = self.store.read()?.rules()?;
        known.extend(ran);
        let facts = audit::of_rules(at, &Actor::component("agent"), &known, &rules);
        let mut transaction = self.store.begin()?;
        transaction.set_rules(&rules)?;
        facts.iter().try_for_each(|fact| transaction.put_event(fact))?;
        transaction.commit()
    }

    /// Lets quarantined rules run again, from the next snapshot on, which fills them anew. All of them or, with the
    /// reason, none.
    pub(crate) fn release(&mut self, names: &[String], wanted: &Wanted) -> Result<(), String> {
        let mut released = Vec::new();
        if names.len() > self.rules.len() {
            return Err(format!("{} names are more than there are rules", names.len()));
        }
        for name in names {
            let Some(at) = self.rules.iter().position(|rule| rule.name == *name) else {
                return Err(format!("no rule `{name}` is loaded; `daemoneye-cli status` names what is quarantined"));
            };
            if self.rules[at].quarantined.is_none() {
                return Err(format!("rule `{name}` is not quarantined: it runs"));
            }
            released.push(at);
        }
        let noted = self.note_released(&released, wanted);
        noted.map_err(|error| format!("it cannot be put on record: {error}"))?;
        self.quarantined = None;
        for at in released {
            let rule = &mut self.rules[at];
            rule.quarantined = None;
            tracing::info!(rule = rule.name, "rule released: it runs again");
        }
        self.install();
        Ok(())
    }

    /// Ends the alerts about these rules too: where one reaches a bound again, that is another quarantine.
    fn note_released(&self, released: &[usize], wanted: &Wanted) -> Result<(), daemoneye_storage::Error> {
        let mut transaction = self.store.begin()?;
        let mut released = released.iter().map(|at| &self.rules[*at].status);
        released.try_for_each(|rule| audit::set_rule(&mut transaction, wanted.at, &wanted.by, rule))?;
        let (living, now) = (Living::new(self.present.rows()), self.present.time().unwrap_or_default());
        let (silences, snapshot) = (Silences::default(), SnapshotRef::default());
        let mut scene = Scene { transaction: &mut transaction, living, now, snapshot, silences };
        let raised = self.settle_quarantines(&mut scene, &Completeness::default())?;
        debug_assert!(raised.is_empty(), "what ends raises nothing");
        transaction.commit()
    }

    /// Notes that it ended in order, and what the rules cost until then.
    pub(crate) fn end_run(&self, now: Timestamp) -> Result<(), daemoneye_storage::Error> {
        let Some(run) = self.store.read()?.run()? else { return Ok(()) };
        let mut transaction = self.store.begin()?;
        if let Some(last) = self.tallied.and(self.present.time()) {
            transaction.set_rule_stats(&tally::all(&self.rules, &self.dataflow, last))?;
        }
        transaction.put_event(&audit::stopped(now, "agent", Some(run.pid), true, "it was told to"))?;
        transaction.set_run(&AgentRun { stopped: Some(now), ..run })?;
        transaction.commit()
    }

    /// The store, for whoever delivers what is committed.
    pub(crate) fn store(&self) -> Arc<Store> {
        self.store.clone()
    }

    /// Takes what has waited for the disk, then this snapshot. Where the disk cannot take them they wait, and are taken
    /// with the next that comes.
    pub(crate) fn take_in_turn(&mut self, batch: SnapshotBatch) -> Result<Taken, Refusal> {
        let mut committed = 0;
        while let Some(waiting) = self.backlog.take() {
            match self.take_or_recover(&waiting) {
                Ok(_) => committed += 1,
                Err(Refusal::Storage(cause)) if cause.is_of_the_disk() => {
                    self.backlog.put_back(waiting);
                    return Err(self.wait(batch, cause));
                }
                Err(error) => {
                    let (source, sequence) = (waiting.source, waiting.sequence);
                    tracing::error!(%error, source, sequence, "a snapshot that waited was refused");
                }
            }
        }
        if committed > 0 {
            tracing::info!(committed, "the disk can be written to again: the snapshots that waited are committed");
        }
        match self.take_or_recover(&batch) {
            Err(Refusal::Storage(cause)) if cause.is_of_the_disk() => Err(self.wait(batch, cause)),
            taken => taken,
        }
    }

    fn wait(&mut self, batch: SnapshotBatch, cause: daemoneye_storage::Error) -> Refusal {
        self.backlog.keep(batch);
        Refusal::Waits { cause, waiting: self.backlog.len(), shed: self.backlog.shed() }
    }

    /// Snapshots that are not stored and are lost with this process.
    pub(crate) fn waiting(&self) -> usize {
        self.backlog.len()
    }

    /// After a failure of the disk the store has to be opened again. Whoever met the failure first may have been the
    /// sealer, and then there may be nothing wrong any more.
    fn take_or_recover(&mut self, batch: &SnapshotBatch) -> Result<Taken, Refusal> {
        let taken = self.take(batch);
        let Err(Refusal::Storage(error)) = &taken else { return taken };
        if error.is_of_the_disk() {
            self.store.recover();
        }
        if matches!(error, daemoneye_storage::Error::Storage(_)) { self.take(batch) } else { taken }
    }

    /// Takes one snapshot.
    fn take(&mut self, batch: &SnapshotBatch) -> Result<Taken, Refusal> {
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
        let rows = ipc::decode(&batch.rows, &self.processes.schema())?;
        let difference = self.present.difference(&rows)?;
        let mut completeness = self.completeness(batch);
        if self.misses_some(batch, known, &difference) {
            completeness.add(Reason::SamplingGap);
        }

        let mut transaction = self.store.begin()?;
        let silences = Silences::sifted(&mut transaction, now)?;
        transaction.set_offset(&batch.source, batch.sequence)?;
        transaction.forget_events(self.audit.recorded())?;
        let recorded = transaction.record_processes(&ProcessChange {
            time: now,
            previous_time: self.present.time(),
            baseline: self.present.time().is_none(),
            started: &difference.started,
            changed: &difference.changed,
            exited: &difference.exited,
        })?;
        if let Some(last) = self.present.time().filter(|_| completeness.reasons.contains(&Reason::SamplingGap)) {
            transaction.note_gap(last, now)?;
            transaction.put_event(&audit::gap(&batch.source, last, now))?;
        }
        if let Some(last) = self.present.time().filter(|_| self.source.is_none() && !self.missing.is_complete()) {
            let ended = transaction.end_others(&difference.rows, now, last)?;
            tracing::warn!(ended, "of the processes whose versions are damaged, those that are gone have ended");
        }
        let round = self.sampling.round(&difference.rows, now)?;
        round.iter().try_for_each(|round| transaction.record_samples(round))?;
        let changes = self.changes(&difference, &recorded);
        let view = View::new(Some(&difference.rows), Some(&transaction));
        let began = Instant::now();
        let answers = evaluate(&mut self.rules, &mut self.dataflow, &view, &changes, now, &self.bounds);
        let evaluation = began.elapsed();
        if self.rules.iter().any(|rule| rule.quarantined.is_some()) {
            completeness.add(Reason::RuleQuarantined);
        }
        if !self.dataflow.late().is_empty() {
            completeness.add(Reason::LateRowsDiscarded);
        }
        let processes = difference.rows.num_rows();
        let snapshot = SnapshotRef { source: batch.source.clone(), sequence: batch.sequence };
        let committed = answers.and_then(|answers| {
            let living = Living::new(&difference.rows);
            let mut scene = Scene { transaction: &mut transaction, living, now, snapshot, silences };
            let mut raised = self.raise(&mut scene, answers, &completeness)?;
            raised.extend(self.speak_of_quarantines(&mut scene, &completeness)?);
            note_collector(&mut transaction, batch, known, (processes, evaluation, &completeness))?;
            self.note_tallies(&mut transaction, now)?;
            transaction.commit().map(|()| raised)
        });
        // After a failure the rules' state is ahead of the store: the next batch fills it anew from what is stored.
        let raised = committed.inspect_err(|_| {
            self.quarantined = None;
            self.tallied = None;
            self.rules.iter_mut().for_each(Rule::reset);
            self.dataflow = new_dataflow(self.bounds);
            self.rules.iter_mut().for_each(|rule| rule.install(&mut self.dataflow));
        })?;
        self.rules.iter_mut().filter(|rule| rule.quarantined.is_none()).for_each(|rule| rule.loaded = true);
        self.backlog.committed();
        self.present.advance(difference.rows, now);
        if let Some(round) = round {
            self.sampling.took(round);
        }
        self.source = Some(batch.source.clone());
        self.interval_micros = interval(batch);
        self.reported = Some(reported(batch));
        self.snapshots += 1;
        for Raised { id, level, rule, silenced } in &raised {
            let alert_level = level.name();
            tracing::info!(alert = id, rule = rule.name, revision = rule.rev, alert_level, silenced, "alert raised");
        }
        Ok(Taken::New { processes, alerts: raised.len() })
    }

    /// Turns the rules' answers into alerts and what is known of each match; gives the alerts that were raised.
    fn raise(
        &mut self,
        scene: &mut Scene<'_>,
        answers: Vec<(usize, Answer<Batch>)>,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, daemoneye_storage::Error> {
        let mut raised = Vec::new();
        for (at, answer) in answers {
            let rule = &mut self.rules[at];
            let completeness = completeness.clone().and(&answer.completeness);
            let new = if rule.loaded {
                scene.apply(rule, &answer.rows, &completeness)?
            } else {
                scene.reconcile(rule, &answer.rows, &completeness)?
            };
            rule.tally.found(&answer.rows, new.len());
            raised.extend(new);
        }
        if self.snapshots.is_multiple_of(FORGET_EVERY) {
            self.rules.iter().try_for_each(|rule| scene.forget(rule))?;
        }
        Ok(raised)
    }

    /// Where other rules are quarantined than before: puts on record which, raises an alert for each that is new and
    /// resolves that of each that is no more.
    fn speak_of_quarantines(
        &mut self,
        scene: &mut Scene<'_>,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, daemoneye_storage::Error> {
        let stopped = || self.rules.iter().filter(|rule| rule.quarantined.is_some());
        let now = stopped().map(|rule| (rule.header.id.clone(), rule.revision.clone())).collect();
        if self.quarantined.as_ref() == Some(&now) {
            return Ok(vec![]);
        }
        let agent = Actor::component("agent");
        let mut stopped = stopped().map(Rule::status_now);
        stopped.try_for_each(|status| audit::set_rule(scene.transaction, scene.now, &agent, &status))?;
        self.tallied = None;
        let raised = self.settle_quarantines(scene, completeness)?;
        self.quarantined = Some(now);
        Ok(raised)
    }

    /// Asks which rules are quarantined by what is on record, and sets the alerts about them right.
    fn settle_quarantines(
        &self,
        scene: &mut Scene<'_>,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, daemoneye_storage::Error> {
        let view = View::new(None, Some(&*scene.transaction));
        let found = self.rule_quarantined.ask(&view, scene.now).map_err(|error| match error {
            Error::Storage(error) => error,
            other => daemoneye_storage::Error::Refused(other.to_string()),
        })?;
        scene.settle(&self.rule_quarantined, &found, completeness)
    }

    /// Puts on record what the rules cost, where that is due.
    fn note_tallies(&mut self, transaction: &mut Transaction, now: Timestamp) -> Result<(), daemoneye_storage::Error> {
        if !tally::is_due(self.rules.len(), self.tallied, now) {
            return Ok(());
        }
        self.tallied = Some(now);
        transaction.set_rule_stats(&tally::all(&self.rules, &self.dataflow, now))
    }

    fn completeness(&self, batch: &SnapshotBatch) -> Completeness {
        let mut completeness = self.missing.clone();
        if self.backlog.shed() > 0 {
            completeness.add(Reason::EventsShed);
        }
        if self.refused > 0 {
            completeness.add(Reason::RuleRefused);
        }
        completeness.and(&reported(batch))
    }

    /// Whether more can have come and gone unseen before this snapshot than between any two that follow each other: its
    /// collector made others that did not come, or it came later than the next was awaited after the last, or the clock
    /// went back. That the agent or the collector began anew in between misses nothing by itself; that the host did, of
    /// whose processes none is there any more, does.
    fn misses_some(&self, batch: &SnapshotBatch, known: Option<u64>, difference: &Difference) -> bool {
        let Some(last) = self.present.time() else { return known.is_some_and(|known| batch.sequence != known + 1) };
        let follows = batch.sequence == known.unwrap_or(0) + 1;
        let since = batch.collected_at.saturating_sub(last.0);
        let in_time = (0..=patience(self.interval_micros.or_else(|| interval(batch)))).contains(&since);
        let before = self.present.rows().num_rows();
        let is_another = self.source.as_ref() != Some(&batch.source);
        !follows || !in_time || is_another && before > 0 && difference.exited.num_rows() == before
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
    if before.is_none() {
        transaction.put_event(&audit::reports(batch))?;
    }
    let missed = batch.sequence.saturating_sub(known.unwrap_or(0)).saturating_sub(1);
    let now = Timestamp(batch.collected_at);
    transaction.set_collector(&CollectorStatus {
        source: batch.source.clone(),
        pid: Some(batch.pid).filter(|pid| *pid > 0),
        first_snapshot: before.as_ref().map_or(now, |before| before.first_snapshot),
        last_snapshot: now,
        interval_micros: interval(batch),
        sequence: batch.sequence,
        snapshots: before.as_ref().map_or(0, |before| before.snapshots) + 1,
        missed: before.as_ref().map_or(0, |before| before.missed).saturating_add(missed),
        processes: processes as u64,
        evaluation_micros: i64::try_from(evaluation.as_micros()).unwrap_or(i64::MAX),
        completeness: completeness.clone(),
    })
}

/// How long after a snapshot its collector means to make the next, if it says that.
fn interval(batch: &SnapshotBatch) -> Option<i64> {
    Some(batch.interval_micros).filter(|interval| *interval > 0)
}

/// How complete a collector says that its snapshot is.
fn reported(batch: &SnapshotBatch) -> Completeness {
    let mut completeness = Completeness::default();
    if batch.scope_visible {
        completeness.scope = Scope::Visible;
    }
    for name in &batch.reasons {
        let reason = serde_json::from_value(serde_json::Value::String(name.clone()));
        completeness.add(reason.unwrap_or_else(|_| {
            tracing::warn!(reason = name, "a collector gave a reason that is not known");
            Reason::SamplingGap
        }));
    }
    completeness
}

#[cfg(test)]
mod tests {
    use std::fs;

    use daemoneye_dsl::limits::Limits;
    use daemoneye_dsl::tables::{Process, version_columns};
    use daemoneye_dsl::types::{MICROS_PER_SEC, Value};
    use daemoneye_planner::Size;
    use daemoneye_storage::Reader as _;

    use super::*;

    const HOUR: i64 = 3_600;
    const PIPED: &str = "SELECT run.proc_id, run.pid, get.proc_id AS get_id FROM process_starts AS get \
        JOIN process_starts AS run ON run.session_id = get.session_id AND run.start_time > get.start_time \
        AND run.start_time <= get.start_time + INTERVAL '2 minutes' WHERE get.name = 'curl'";

    fn agent(dir: &tempfile::TempDir) -> Agent {
        let header = "-- @id: 00000000-0000-4000-8000-000000000001\n-- @title: t\n-- @level: low\n-- @status: test\n\
                      -- @description: d\n-- @tags: attack.execution\n-- @platform: linux, macos, windows\n";
        let rule = dir.path().join("piped.sql");
        fs::write(&rule, format!("{header}{PIPED}\n")).unwrap();
        let loaded = crate::rules::load(&[rule], Limits::default());
        assert_eq!((loaded.rules.len(), loaded.refused()), (1, 0));
        let state = Size { rows: 1_000, bytes: 1 << 20 };
        let bounds = Bounds { time: Duration::from_mins(1), state, grace: Duration::from_hours(1) };
        let (audit, ..) = audit::channel();
        Agent::open(&dir.path().join("events.redb"), loaded, bounds, Duration::from_mins(5), audit).unwrap()
    }

    fn process(pid: u32, name: &str, started: i64) -> Process {
        Process {
            proc_id: format!("{pid:016x}"),
            pid: pid.into(),
            name: name.to_owned(),
            session_id: Some(1),
            start_time: Some(Timestamp(started * MICROS_PER_SEC)),
            ..Process::default()
        }
    }

    /// The alerts that a snapshot raised, and whether its input lacked rows that came too late.
    fn take(agent: &mut Agent, sequence: u64, at: i64, processes: &[Process]) -> (usize, bool) {
        let batch = SnapshotBatch {
            source: "s".to_owned(),
            sequence,
            table: "processes".to_owned(),
            collected_at: at * MICROS_PER_SEC,
            rows: ipc::encode(&Process::batch(processes)).into(),
            ..SnapshotBatch::default()
        };
        let Taken::New { alerts, .. } = agent.take(&batch).unwrap() else { panic!("it was known") };
        let (collectors, _) = agent.store.read().unwrap().collectors().unwrap();
        (alerts, collectors[0].completeness.reasons.contains(&Reason::LateRowsDiscarded))
    }

    /// Takes a snapshot of a collector that makes one every 30 s; whether others are said to be missing before it.
    fn misses(agent: &mut Agent, (source, sequence, at): (&str, u64, i64), pids: &[u32]) -> bool {
        let processes: Vec<_> = pids.iter().map(|pid| process(*pid, "sh", 0)).collect();
        let batch = SnapshotBatch {
            source: source.to_owned(),
            sequence,
            table: "processes".to_owned(),
            collected_at: at * MICROS_PER_SEC,
            interval_micros: 30 * MICROS_PER_SEC,
            rows: ipc::encode(&Process::batch(&processes)).into(),
            ..SnapshotBatch::default()
        };
        let before = on_record(agent);
        agent.take(&batch).unwrap();
        let (collectors, _) = agent.store.read().unwrap().collectors().unwrap();
        let collector = collectors.iter().find(|collector| collector.source == source).unwrap();
        let said = collector.completeness.reasons.contains(&Reason::SamplingGap);
        let noted = usize::from(said);
        assert_eq!(on_record(agent), (before.0 + noted, before.1 + noted), "what is said is on record");
        said
    }

    /// Gaps in the store, and those that the ledger is to have.
    fn on_record(agent: &Agent) -> (usize, usize) {
        let view = agent.store.read().unwrap();
        let events = view.events(0).unwrap();
        let told = events.iter().filter(|event| event.action == daemoneye_dsl::audit::Action::CollectionGap).count();
        (view.gaps().unwrap().len(), told)
    }

    #[test]
    fn who_begins_anew_in_time_misses_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = agent(&dir);
        assert!(!misses(&mut first, ("s", 1, 10), &[1, 2]));
        assert!(!misses(&mut first, ("s", 2, 40), &[1, 2]));
        // The collector, then the agent, at the latest moment at which the next snapshot is awaited.
        assert!(!misses(&mut first, ("t", 1, 130), &[1, 3]));
        drop(first);
        let mut second = agent(&dir);
        assert!(!misses(&mut second, ("u", 1, 220), &[1, 3]));
        drop(second);
        let mut third = agent(&dir);
        assert!(!misses(&mut third, ("u", 2, 250), &[1, 3]), "a collector that goes on");
        assert!(!misses(&mut third, ("v", 1, 260), &[1, 3]) && !misses(&mut third, ("u", 3, 280), &[1, 3]));
    }

    #[test]
    fn who_begins_anew_may_have_missed_some() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = agent(&dir);
        assert!(!misses(&mut first, ("s", 1, 10), &[1, 2]));
        assert!(misses(&mut first, ("s", 3, 40), &[1, 2]), "one did not come");
        assert!(misses(&mut first, ("t", 2, 50), &[1, 2]), "the first did not come");
        drop(first);
        let mut second = agent(&dir);
        assert!(misses(&mut second, ("u", 1, 141), &[1, 2]), "too late");
        drop(second);
        let mut third = agent(&dir);
        assert!(misses(&mut third, ("v", 1, 140), &[1, 2]), "the clock went back");
        drop(third);
        let mut fourth = agent(&dir);
        assert!(misses(&mut fourth, ("w", 1, 150), &[3, 4]), "another boot");
        assert!(!misses(&mut fourth, ("w", 2, 180), &[5, 6]), "all went, but it was looked at all the time");
    }

    #[test]
    fn how_long_the_next_is_awaited_says_who_made_the_last() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = agent(&dir);
        assert!(!misses(&mut first, ("s", 1, 10), &[1]));
        let hourly = SnapshotBatch {
            source: "t".to_owned(),
            sequence: 1,
            table: "processes".to_owned(),
            collected_at: 200 * MICROS_PER_SEC,
            interval_micros: HOUR * MICROS_PER_SEC,
            rows: ipc::encode(&Process::batch(&[process(1, "sh", 0)])).into(),
            ..SnapshotBatch::default()
        };
        first.take(&hourly).unwrap();
        assert_eq!(on_record(&first), (1, 1), "every 30 s until then");
        drop(first);
        let mut second = agent(&dir);
        assert!(!misses(&mut second, ("u", 1, 200 + 3 * HOUR), &[1]), "every hour until then");
    }

    #[test]
    fn what_comes_too_late_is_said_and_a_clock_that_is_set_back_stops_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = agent(&dir);
        let mut all = vec![process(1, "init", 0)];
        assert_eq!(take(&mut agent, 1, 10, &all), (0, false));
        // Ten hours without a snapshot: what started meanwhile is not late.
        all.extend([process(2, "curl", 2 * HOUR), process(3, "sh", 2 * HOUR + 60)]);
        assert_eq!(take(&mut agent, 2, 10 * HOUR, &all), (1, false));
        all.push(process(4, "sh", 2 * HOUR + 61));
        assert_eq!(take(&mut agent, 3, 10 * HOUR + 5, &all), (0, true));
        let stats = agent.store.read().unwrap().rule_stats().unwrap().0;
        assert_eq!((stats[0].late_rows, stats[0].snapshots), (1, 3));
        // The clock is set back by nine hours.
        all.extend([process(5, "curl", HOUR), process(6, "sh", HOUR + 1)]);
        assert_eq!(take(&mut agent, 4, HOUR + 2, &all), (1, false));
        let stats = agent.store.read().unwrap().rule_stats().unwrap().0;
        assert_eq!((stats[0].late_rows, stats[0].snapshots), (1, 4));
        all.extend([process(7, "curl", HOUR + 6), process(8, "sh", HOUR + 7)]);
        let (alerts, late) = take(&mut agent, 5, HOUR + 8, &all);
        assert!(alerts > 0 && !late);
        // Nobody looked for ten hours, and what the clock showed twice is in no order.
        let gaps = agent.store.read().unwrap().gaps().unwrap();
        let gaps: Vec<_> = gaps.iter().map(|gap| (gap.from.0, gap.to.0)).collect();
        let seconds = |seconds: i64| seconds * MICROS_PER_SEC;
        let back = (seconds(HOUR + 2) - 1, seconds(10 * HOUR + 5) + 1);
        assert_eq!(gaps, [(seconds(10), seconds(10 * HOUR)), back]);
    }

    #[test]
    fn the_evidence_of_an_alert_is_what_is_stored_of_the_living_and_of_the_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut agent = agent(&dir);
        let child = |pid, name, parent: u32, started| Process {
            parent_id: Some(format!("{parent:016x}")),
            cpu_usage: Some(f64::from(pid)),
            ..process(pid, name, started)
        };
        let init = process(1, "init", 0);
        assert_eq!(take(&mut agent, 1, 10, std::slice::from_ref(&init)), (0, false));
        let (bash, curl, sh) = (child(2, "bash", 1, 11), child(3, "curl", 2, 12), child(4, "sh", 2, 17));
        assert_eq!(take(&mut agent, 2, 15, &[init.clone(), bash, curl.clone()]), (0, false));
        assert_eq!(take(&mut agent, 3, 20, &[init, curl, sh]), (1, false));
        let view = agent.store.read().unwrap();
        let alert = view.alert(1).unwrap().unwrap();
        let stored = [4, 2, 1].map(|pid| view.process(&format!("{pid:016x}")).unwrap().unwrap());
        let names = |all: &[&serde_json::Map<String, serde_json::Value>]| -> Vec<String> {
            all.iter().map(|it| it["name"].as_str().unwrap().to_owned()).collect()
        };
        let told = alert.process.as_ref().unwrap();
        assert_eq!(names(&[&[told][..], &alert.ancestors.iter().collect::<Vec<_>>()].concat()), ["sh", "bash", "init"]);
        assert_eq!(alert.sources, stored.iter().map(|it| it.source.clone().unwrap()).collect::<Vec<_>>());
        for (told, stored) in std::iter::once(told).chain(&alert.ancestors).zip(&stored) {
            let columns = version_columns();
            let version = stored.version();
            let columns = columns.iter().zip(version.columns()).filter(|(it, _)| it.name != "environment_vars");
            for (column, values) in columns {
                assert_eq!(told[&*column.name], Value::at(values, 0).to_json(), "{}", column.name);
            }
        }
        assert_eq!(told["cpu_usage"], 4.0);
    }
}
