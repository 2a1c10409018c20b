//! What operators tell the agent to do: each in one transaction, whole or not at all, and noted with who it was.

use std::collections::BTreeSet;

use daemoneye_broker::payload::{self, Deed, Handle, Order};
use daemoneye_dsl::alert::{Alert, Handled, Handling, NOTE_LEN_MAX};
use daemoneye_dsl::audit::Actor;
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use daemoneye_storage::{Error, Transaction};
use serde_json::{Map, Value};

use crate::agent::Agent;
use crate::audit;
use crate::rules::Rule;
use crate::silences::{SILENCES_LEN_MAX, Silences};

/// Alerts that one order may be about.
const ALERTS_LEN_MAX: usize = 1000;
/// The longest silence: a year.
const SILENCE_MICROS_MAX: i64 = 366 * 24 * 3600 * MICROS_PER_SEC;

/// Who wants something done, as the broker knows them, and when.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) by: Actor,
    pub(crate) at: Timestamp,
}

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Unmet {
    #[error("{0}")]
    Refused(String),
    #[error("it cannot be put on record: {0}")]
    Storage(#[from] Error),
}

fn refused<T>(why: impl Into<String>) -> Result<T, Unmet> {
    Err(Unmet::Refused(why.into()))
}

impl Agent {
    /// Does what an operator wants; gives the record that it made, if any, or says why nothing was done.
    pub(crate) fn obey(&mut self, order: Order, wanted: Wanted) -> Result<Option<Silence>, String> {
        match order.deed {
            Some(Deed::Release(release)) => self.release(&release.rules, &wanted).map(|()| None),
            Some(Deed::Handle(wish)) => self.done(|transaction| handle(transaction, wish, &wanted).map(|()| None)),
            Some(Deed::Silence(wish)) => self.done(|transaction| self.silence(transaction, wish, &wanted).map(Some)),
            Some(Deed::Unsilence(it)) => self.done(|transaction| unsilence(transaction, it, wanted).map(|()| None)),
            Some(Deed::Export(export)) => {
                let fact = audit::exported(&export, wanted);
                self.done(|transaction| Ok(transaction.put_event(&fact)?)).map(|()| None)
            }
            None => Err("this agent does not know what is to be done: it may be of another version".to_owned()),
        }
    }

    /// Commits what is done, if it could be done.
    fn done<T>(&self, work: impl FnOnce(&mut Transaction) -> Result<T, Unmet>) -> Result<T, String> {
        let done = || {
            let mut transaction = self.store.begin()?;
            let made = work(&mut transaction)?;
            transaction.commit()?;
            Ok(made)
        };
        done().map_err(|why: Unmet| why.to_string())
    }

    fn silence(
        &self,
        transaction: &mut Transaction,
        asked: payload::Silence,
        wanted: &Wanted,
    ) -> Result<Silence, Unmet> {
        let payload::Silence { rule, key, alert, for_micros, note } = asked;
        let note = checked(note)?;
        if !(1..=SILENCE_MICROS_MAX).contains(&for_micros) {
            return refused("a silence lasts a year at most");
        }
        if Silences::sifted(transaction, wanted.at)?.len() >= SILENCES_LEN_MAX {
            return refused(format!("{SILENCES_LEN_MAX} silences are in force, no more are possible; end some"));
        }
        let (rule, rule_id, key) = match alert {
            Some(id) => {
                let Some(alert) = transaction.alert(id)? else {
                    return refused(format!("there is no alert {id}; `daemoneye-cli alerts list` names them"));
                };
                (alert.rule.name, alert.rule.id, Some(alert.dedup.key))
            }
            None => {
                let rule = self.rule(&rule)?;
                let key = key.map(|key| key_of(rule, &key)).transpose()?;
                (rule.name.clone(), rule.header.id.clone(), key)
            }
        };
        let (uid, at) = (wanted.by.uid, wanted.at);
        let ends = Timestamp(at.0.saturating_add(for_micros));
        let number = transaction.next_silence()?;
        let silence = Silence { number, rule, rule_id, key, ends, made: at, uid, note };
        transaction.put_silence(&silence)?;
        transaction.put_event(&audit::silenced(at, wanted.by.clone(), &silence))?;
        let Silence { rule, note, .. } = &silence;
        tracing::info!(silence = number, rule, ends = ends.rfc3339(), uid, note, "silence made");
        Ok(silence)
    }

    /// The rule of that name or UUID, the agent's own among them.
    fn rule(&self, name: &str) -> Result<&Rule, Unmet> {
        let mut rules = self.rules.iter().chain([&self.rule_quarantined]);
        let found = rules.find(|rule| rule.name == name || rule.header.id == name);
        found.ok_or_else(|| {
            Unmet::Refused(format!(
                "no rule `{name}` is loaded; `daemoneye-cli query \"SELECT name FROM rules\"` has all"
            ))
        })
    }
}

fn handle(transaction: &mut Transaction, handle: Handle, wanted: &Wanted) -> Result<(), Unmet> {
    let Handle { alerts, handling, note } = handle;
    let Some(handling) = Handling::parse(&handling) else {
        return refused("this agent does not know what is to become of them: it may be of another version");
    };
    let note = checked(note)?;
    let alerts: BTreeSet<u64> = alerts.into_iter().collect();
    if alerts.len() > ALERTS_LEN_MAX {
        return refused(format!("{} alerts at once, at most {ALERTS_LEN_MAX} are possible", alerts.len()));
    }
    for id in alerts {
        let Some(mut alert) = transaction.alert(id)? else {
            return refused(format!("there is no alert {id}; `daemoneye-cli alerts list` names them"));
        };
        if let Some(why) = hindrance(&alert, handling) {
            return refused(why);
        }
        let (uid, at) = (wanted.by.uid, wanted.at);
        tracing::info!(alert = id, handling = handling.name(), uid, note, "alert handled");
        alert.handle(Handled { handling, at, uid, note: note.clone() });
        transaction.put_alert(&alert)?;
        transaction.put_event(&audit::changed(at, wanted.by.clone(), &alert))?;
    }
    Ok(())
}

fn unsilence(transaction: &mut Transaction, number: u64, wanted: Wanted) -> Result<(), Unmet> {
    if !transaction.remove_silence(number)? {
        return refused(format!("there is no silence {number}; `daemoneye-cli alerts silences` names them"));
    }
    tracing::info!(silence = number, uid = wanted.by.uid, "silence ended");
    transaction.put_event(&audit::unsilenced(wanted.at, Some(wanted.by), number))?;
    Ok(())
}

/// Why that cannot become of an alert.
fn hindrance(alert: &Alert, handling: Handling) -> Option<String> {
    let id = alert.id;
    match (alert.handling, handling) {
        (Handling::Closed, Handling::Acknowledged) => Some(format!("alert {id} is closed; reopen it first")),
        (Handling::New | Handling::Acknowledged, Handling::New) => Some(format!("alert {id} is not closed")),
        (before, after) if before == after => Some(format!("alert {id} is {} already", before.name())),
        _ => None,
    }
}

fn checked(note: Option<String>) -> Result<Option<String>, Unmet> {
    let len = note.as_ref().map_or(0, String::len);
    if len > NOTE_LEN_MAX {
        return refused(format!("the note has {len} bytes, at most {NOTE_LEN_MAX} are possible"));
    }
    Ok(note.filter(|note| !note.is_empty()))
}

/// A key of that rule.
fn key_of(rule: &Rule, text: &str) -> Result<Map<String, Value>, Unmet> {
    let Ok(Value::Object(key)) = serde_json::from_str(text) else {
        return refused("the key is no JSON object, such as {\"pid\": 7}");
    };
    let names: BTreeSet<_> = rule.key.iter().map(|at| rule.output[*at].name.as_str()).collect();
    if key.keys().map(String::as_str).collect::<BTreeSet<_>>() != names {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        return refused(format!("a key of rule `{}` has a value for each of: {names}", rule.name));
    }
    Ok(key)
}
