//! From what a rule's result changed by to alerts.
//!
//! A match has a key. A key that comes to match raises an alert, or counts up the one it raised within the rule's
//! window; changed values under a living key update its evidence; a key that matches no more resolves it. One that an
//! operator has closed is not counted up any more, and neither is a silenced one once its silence is over. What is
//! known of each key (its alert, how many rows match, when it was raised) is written in the transaction that stores
//! the rows, so a crash loses no alert and raises none twice.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use daemoneye_dsl::alert::{ALERT_SCHEMA, Alert, AlertStatus, Dedup, Handling, Level, RuleRef, SnapshotRef, SourceRow};
use daemoneye_dsl::audit::Actor;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::convert::to_text;
use daemoneye_dsl::tables::{Process, lineage, version_columns};
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_planner::Batch;
use daemoneye_storage::{Error, MatchState, Reader, StoredProcess, Transaction};
use serde_json::Map;

use crate::audit;
use crate::present::{Living, versions};
use crate::rules::Rule;
use crate::silences::Silences;

/// What alerts are made from: the store as it will be committed, and the present.
pub(crate) struct Scene<'a> {
    pub(crate) transaction: &'a mut Transaction,
    /// The latest snapshot, which is stored in the transaction.
    pub(crate) living: Living<'a>,
    /// Its time.
    pub(crate) now: Timestamp,
    /// What the logs call it.
    pub(crate) snapshot: SnapshotRef,
    /// What is not to be delivered.
    pub(crate) silences: Silences,
}

/// An alert that was raised, for the log.
pub(crate) struct Raised {
    pub(crate) id: u64,
    pub(crate) level: Level,
    pub(crate) rule: RuleRef,
    /// The silence that keeps it from being delivered.
    pub(crate) silenced: Option<u64>,
}

/// What happened under one key.
#[derive(Default)]
struct Turn {
    weight: i64,
    /// The row that matches now, and how many came.
    row: Option<Vec<Value>>,
    appeared: i64,
}

impl Scene<'_> {
    /// Takes the whole result of a rule that was just installed: keys that are known go on, others are raised, and
    /// known ones that are not in it have gone while nobody looked. Gives the alerts that that raised.
    pub(crate) fn reconcile(
        &mut self,
        rule: &Rule,
        whole: &Batch,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, Error> {
        let known = self.transaction.rule_revision(&rule.header.id)?;
        let initial = known.as_deref() != Some(&rule.revision);
        if initial {
            self.transaction.set_rule_revision(&rule.header.id, &rule.revision)?;
        }
        let mut turns = turns(rule, whole);
        for (key, state) in self.transaction.match_states(&rule.header.id)? {
            // A changed rule starts anew: its matches are raised as those of a new one, within the same window.
            if initial && state.weight != 0 {
                if !turns.contains_key(&key) {
                    self.update(state.alert_id, |alert| alert.status = AlertStatus::Resolved)?;
                }
                self.transaction.put_match_state(&rule.header.id, &key, &MatchState { weight: 0, ..state })?;
            } else if !rule.events {
                turns.entry(key).or_default().weight -= state.weight;
            }
        }
        let held_before = initial && !rule.events;
        self.take_turns(rule, turns, completeness, held_before)
    }

    /// Takes the whole result of a rule of the agent's own: what is not in it has ended, what is new in it is raised.
    pub(crate) fn settle(
        &mut self,
        rule: &Rule,
        whole: &Batch,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, Error> {
        let mut turns = turns(rule, whole);
        for (key, state) in self.transaction.match_states(&rule.header.id)? {
            turns.entry(key).or_default().weight -= state.weight;
        }
        let raised = self.take_turns(rule, turns, completeness, false)?;
        self.forget(rule)?;
        Ok(raised)
    }

    /// Takes what a rule's result changed by. Gives the alerts that that raised.
    pub(crate) fn apply(
        &mut self,
        rule: &Rule,
        change: &Batch,
        completeness: &Completeness,
    ) -> Result<Vec<Raised>, Error> {
        self.take_turns(rule, turns(rule, change), completeness, false)
    }

    /// Forgets the keys that match no more and whose window is over: they would raise anew anyhow.
    pub(crate) fn forget(&mut self, rule: &Rule) -> Result<(), Error> {
        for (key, state) in self.transaction.match_states(&rule.header.id)? {
            if state.weight <= 0 && !self.within_window(rule, &state) {
                self.transaction.remove_match_state(&rule.header.id, &key)?;
            }
        }
        Ok(())
    }

    fn take_turns(
        &mut self,
        rule: &Rule,
        turns: BTreeMap<Vec<u8>, Turn>,
        completeness: &Completeness,
        initial: bool,
    ) -> Result<Vec<Raised>, Error> {
        let mut raised = Vec::new();
        for (key, turn) in turns {
            raised.extend(self.take_turn(rule, &key, turn, completeness, initial)?);
        }
        Ok(raised)
    }

    /// Takes what happened under one key; gives the alert that that raised.
    fn take_turn(
        &mut self,
        rule: &Rule,
        key: &[u8],
        turn: Turn,
        completeness: &Completeness,
        initial: bool,
    ) -> Result<Option<Raised>, Error> {
        let id = &rule.header.id;
        let state = self.transaction.match_state(id, key)?;
        let before = state.as_ref().map_or(0, |state| state.weight);
        let events = rule.events;
        // What happened has no end: it does not stay to match.
        let after = if events { 0 } else { (before + turn.weight).max(0) };
        let begins = if events { turn.appeared > 0 } else { before <= 0 && after > 0 };
        let counts_up = match &state {
            Some(state) if begins && self.within_window(rule, state) => self.counts_up(state.alert_id)?,
            _ => false,
        };
        match (state, turn.row) {
            (Some(state), Some(row)) if counts_up => {
                self.transaction.put_match_state(id, key, &MatchState { weight: after, ..state })?;
                let more = if events { turn.appeared } else { 1 };
                self.update(state.alert_id, |alert| {
                    alert.dedup.count += more.unsigned_abs();
                    alert.status = AlertStatus::Open;
                    alert.row = row_json(rule, &row);
                })?;
                Ok(None)
            }
            (_, Some(row)) if begins => {
                let mut alert = self.alert(rule, &row, completeness, initial)?;
                if events {
                    alert.dedup.count = turn.appeared.unsigned_abs();
                }
                let state = MatchState { alert_id: alert.id, weight: after, first_raised: self.now };
                self.transaction.put_match_state(id, key, &state)?;
                self.transaction.put_alert(&alert)?;
                self.transaction.put_event(&audit::raised(self.now, &alert))?;
                if alert.silenced.is_none() {
                    self.transaction.enqueue_delivery(alert.id)?;
                }
                Ok(Some(Raised { id: alert.id, level: alert.level, rule: alert.rule, silenced: alert.silenced }))
            }
            (Some(state), row) => {
                self.transaction.put_match_state(id, key, &MatchState { weight: after, ..state })?;
                match row {
                    _ if before > 0 && after <= 0 => {
                        self.update(state.alert_id, |alert| alert.status = AlertStatus::Resolved)?;
                    }
                    Some(row) => self.update(state.alert_id, |alert| alert.row = row_json(rule, &row))?,
                    None => {}
                }
                Ok(None)
            }
            // The state was rebuilt and a key that was never raised leaves: there is nothing to resolve.
            (None, _) => Ok(None),
        }
    }

    /// Whether a further match goes to this alert: not if an operator is done with it, and not if nobody was told of it
    /// and would be now.
    fn counts_up(&self, id: u64) -> Result<bool, Error> {
        let Some(alert) = self.transaction.alert(id)? else { return Ok(true) };
        let is_told = alert.silenced.is_none() || self.silences.over(&alert).is_some();
        Ok(alert.handling != Handling::Closed && is_told)
    }

    fn within_window(&self, rule: &Rule, state: &MatchState) -> bool {
        // A clock that was set back does not make a window longer.
        self.now.0.abs_diff(state.first_raised.0) < rule.window_micros.unsigned_abs()
    }

    fn update(&mut self, id: u64, change: impl FnOnce(&mut Alert)) -> Result<(), Error> {
        let Some(mut alert) = self.transaction.alert(id)? else { return Ok(()) };
        let before = alert.status;
        change(&mut alert);
        alert.dedup.last_seen = self.now;
        self.transaction.put_alert(&alert)?;
        if alert.status != before {
            self.transaction.put_event(&audit::changed(self.now, Actor::component("agent"), &alert))?;
        }
        Ok(())
    }

    fn alert(
        &mut self,
        rule: &Rule,
        row: &[Value],
        completeness: &Completeness,
        initial: bool,
    ) -> Result<Alert, Error> {
        let value = |name: &str| {
            let at = rule.output.iter().position(|column| column.name == name);
            at.map(|at| &row[at])
        };
        let level = value("alert_level").and_then(Value::as_text).and_then(Level::parse).unwrap_or(rule.header.level);
        let subject = value("proc_id").or_else(|| {
            let at = rule.output.iter().position(|column| column.identity)?;
            Some(&row[at])
        });
        let lineage = match subject.and_then(Value::as_text) {
            Some(proc_id) => self.lineage(proc_id)?,
            None => Lineage::default(),
        };
        let key = rule.key.iter().map(|at| (rule.output[*at].name.clone(), row[*at].to_json())).collect();
        let mut alert = Alert {
            schema: ALERT_SCHEMA,
            id: self.transaction.next_alert_id()?,
            time: self.now,
            snapshot: self.snapshot.clone(),
            level,
            title: rule.header.title.render(|name| value(name).map(to_text).unwrap_or_default()),
            rule: RuleRef { id: rule.header.id.clone(), name: rule.name.clone(), rev: rule.revision.clone() },
            tags: rule.header.tags.clone(),
            status: AlertStatus::Open,
            handling: Handling::New,
            handled: vec![],
            silenced: None,
            initial,
            dedup: Dedup { key, count: 1, first_seen: self.now, last_seen: self.now },
            row: row_json(rule, row),
            process: lineage.process,
            ancestors: lineage.ancestors,
            completeness: completeness.clone().and(&lineage.completeness).into(),
            sources: lineage.sources,
        };
        alert.silenced = self.silences.over(&alert);
        Ok(alert)
    }

    /// The process and its ancestors as far as the store and the present know them.
    fn lineage(&self, proc_id: &str) -> Result<Lineage, Error> {
        let mut lineage = Lineage::default();
        let mut met: Vec<String> = Vec::new();
        let mut next = Some(proc_id.to_owned());
        while let Some(id) = next.filter(|id| !met.contains(id) && met.len() <= lineage::DEPTH_MAX) {
            let stored = match self.process(&id) {
                // Who is unknown because of damage must not keep the alert from being raised.
                Err(Error::Damaged(why)) => {
                    tracing::warn!(proc_id = id, why, "an alert lacks ancestors: a part of the store is damaged");
                    lineage.completeness.add(Reason::SegmentQuarantined);
                    break;
                }
                stored => stored?,
            };
            let Some(stored) = stored else { break };
            let mut json = process_json(&stored.version());
            lineage.sources.extend(stored.source);
            next = json.get("parent_id").and_then(|parent| parent.as_str()).map(str::to_owned);
            if met.is_empty() {
                json.extend(self.samples(&id));
                lineage.process = Some(json);
            } else {
                lineage.ancestors.push(json);
            }
            met.push(id);
        }
        Ok(lineage)
    }

    /// The last version of a process. Of the living, the store is only asked where it is.
    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        match (self.living.row(proc_id), self.transaction.source_of_living(proc_id)?) {
            (Some(row), source @ Some(_)) => Ok(Some(StoredProcess::alone(versions(&row), source))),
            _ => self.transaction.process(proc_id),
        }
    }

    /// The volatile columns, which only the present has.
    fn samples(&self, proc_id: &str) -> Map<String, serde_json::Value> {
        let Some(row) = self.living.row(proc_id) else { return Map::new() };
        let columns = Process::columns();
        let volatile = columns.iter().enumerate().filter(|(_, column)| column.volatile);
        volatile.map(|(at, column)| (column.name.to_string(), Value::at(row.column(at), 0).to_json())).collect()
    }
}

#[derive(Default)]
struct Lineage {
    process: Option<Map<String, serde_json::Value>>,
    ancestors: Vec<Map<String, serde_json::Value>>,
    sources: Vec<SourceRow>,
    completeness: Completeness,
}

/// One process, without its environment: alerts travel, and environments hold secrets.
fn process_json(row: &RecordBatch) -> Map<String, serde_json::Value> {
    version_columns()
        .iter()
        .enumerate()
        .filter(|(_, column)| column.name != "environment_vars")
        .map(|(at, column)| (column.name.to_string(), Value::at(row.column(at), 0).to_json()))
        .collect()
}

fn row_json(rule: &Rule, row: &[Value]) -> Map<String, serde_json::Value> {
    rule.output.iter().zip(row).map(|(column, value)| (column.name.clone(), value.to_json())).collect()
}

/// The change by key.
fn turns(rule: &Rule, change: &Batch) -> BTreeMap<Vec<u8>, Turn> {
    let mut turns: BTreeMap<Vec<u8>, Turn> = BTreeMap::new();
    for (row, weight) in change.weights.iter().enumerate() {
        let values: Vec<_> = change.rows.columns().iter().map(|column| Value::at(column, row)).collect();
        let mut key = Vec::new();
        rule.key.iter().for_each(|at| values[*at].encode_key(&mut key));
        let turn = turns.entry(key).or_default();
        turn.weight += weight;
        if *weight > 0 {
            turn.appeared += weight;
            turn.row = Some(values);
        }
    }
    turns
}
