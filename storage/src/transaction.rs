//! Everything that one batch changes, committed together or not at all.

use arrow_array::RecordBatch;
use daemoneye_dsl::alert::{Alert, SourceRow};
use daemoneye_dsl::audit::Fact;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleStats, RuleStatus};
use daemoneye_dsl::types::Timestamp;
use redb::{ReadableTable, WriteTransaction};

use crate::guard::guarded;
use crate::matches::MatchState;
use crate::reader::{Each, Reader, Scan, StoredProcess};
use crate::record::{self, ProcessChange, Recorded};
use crate::samples::Round;
use crate::tables::{ALERTS, DELIVERIES, MATCHES, META, NEXT_ALERT_KEY, NEXT_SILENCE_KEY, OFFSETS, RULES};
use crate::{Error, alerts, gaps, outbox, samples, scan, status};

/// Collector instances whose offset is remembered.
pub(crate) const SOURCES_MAX: usize = 64;

/// The one transaction that may be open for writing. Dropping it without [`Transaction::commit`] undoes it.
///
/// As a [`Reader`] it sees what it has written itself.
pub struct Transaction {
    pub(crate) txn: WriteTransaction,
}

impl Transaction {
    pub(crate) fn new(txn: WriteTransaction) -> Self {
        Self { txn }
    }

    /// The last sequence of that collector whose batch was committed.
    pub fn offset(&self, source: &str) -> Result<Option<u64>, Error> {
        Ok(self.txn.open_table(OFFSETS)?.get(source)?.map(|offset| offset.value().0))
    }

    /// Notes that the batch of this sequence is being committed. Every collector's start makes a new source; the 64
    /// that were heard last are remembered.
    pub fn set_offset(&mut self, source: &str, sequence: u64) -> Result<(), Error> {
        let mut offsets = self.txn.open_table(OFFSETS)?;
        let mut heard = Vec::new();
        for entry in offsets.iter()? {
            let (source, offset) = entry?;
            heard.push((offset.value().1, source.value().to_owned()));
        }
        let turn = heard.iter().map(|(turn, _)| turn + 1).max().unwrap_or(0);
        offsets.insert(source, (sequence, turn))?;
        heard.retain(|(_, other)| other != source);
        heard.sort_unstable();
        let too_many = (heard.len() + 1).saturating_sub(SOURCES_MAX);
        for (_, oldest) in &heard[..too_many] {
            offsets.remove(oldest.as_str())?;
            status::remove(&self.txn, status::COLLECTOR, oldest)?;
        }
        Ok(())
    }

    /// Notes that an agent runs, or has stopped; there is one at a time.
    pub fn set_run(&mut self, run: &AgentRun) -> Result<(), Error> {
        status::put(&self.txn, status::RUN, "", run)
    }

    /// Notes what became of every rule file; what was known of others is forgotten.
    pub fn set_rules(&mut self, rules: &[RuleStatus]) -> Result<(), Error> {
        status::clear(&self.txn, status::RULE)?;
        rules.iter().try_for_each(|rule| self.set_rule(rule))
    }

    /// Notes what became of one rule file.
    pub fn set_rule(&mut self, rule: &RuleStatus) -> Result<(), Error> {
        status::put(&self.txn, status::RULE, &rule.path, rule)
    }

    /// What is known of a rule file.
    pub fn rule(&self, path: &str) -> Result<Option<RuleStatus>, Error> {
        status::get(&self.txn, status::RULE, path)
    }

    /// Notes what every rule cost and found, in place of what was noted before.
    pub fn set_rule_stats(&mut self, stats: &[RuleStats]) -> Result<(), Error> {
        status::put(&self.txn, status::STATS, "", &stats)
    }

    /// What is known of a collector; it is forgotten with its offset.
    pub fn collector(&self, source: &str) -> Result<Option<CollectorStatus>, Error> {
        status::get(&self.txn, status::COLLECTOR, source)
    }

    /// Notes how far a collector got.
    pub fn set_collector(&mut self, collector: &CollectorStatus) -> Result<(), Error> {
        status::put(&self.txn, status::COLLECTOR, &collector.source, collector)
    }

    /// Records what one snapshot changed in `processes`. Refuses, without having written anything, rows that contradict
    /// each other or what is stored.
    pub fn record_processes(&mut self, change: &ProcessChange<'_>) -> Result<Recorded, Error> {
        guarded(|| record::record(&self.txn, change))
    }

    /// Ends every process that the store has alive and a whole snapshot has not; how many these were. After damage
    /// there are some that nobody knew any more when they went, and they would live for ever.
    pub fn end_others(&mut self, alive: &RecordBatch, time: Timestamp, last: Timestamp) -> Result<usize, Error> {
        guarded(|| record::end_others(&self.txn, alive, time, last))
    }

    /// Records what processes use, once the versions of the same snapshot are recorded.
    pub fn record_samples(&mut self, round: &Round) -> Result<(), Error> {
        guarded(|| samples::record(&self.txn, round))
    }

    /// Notes that snapshots are missing between these two, of which `next` was taken later, perhaps by a clock that went
    /// back: questions about the moments in between are answered incompletely.
    pub fn note_gap(&mut self, last: Timestamp, next: Timestamp) -> Result<(), Error> {
        gaps::note(&self.txn, last, next)
    }

    /// A number for an alert, never given before.
    pub fn next_alert_id(&mut self) -> Result<u64, Error> {
        self.next(NEXT_ALERT_KEY)
    }

    /// A number for a silence, never given before.
    pub fn next_silence(&mut self) -> Result<u64, Error> {
        self.next(NEXT_SILENCE_KEY)
    }

    fn next(&mut self, counter: &str) -> Result<u64, Error> {
        let mut meta = self.txn.open_table(META)?;
        let number = meta.get(counter)?.map_or(1, |number| number.value());
        meta.insert(counter, number + 1)?;
        Ok(number)
    }

    /// Every silence, by number; a damaged one silences nothing, and is logged.
    pub fn silences(&self) -> Result<Vec<Silence>, Error> {
        Ok(status::all(&self.txn, status::SILENCE)?.0)
    }

    /// Puts a silence in force.
    pub fn put_silence(&mut self, silence: &Silence) -> Result<(), Error> {
        status::put(&self.txn, status::SILENCE, &status::numbered(silence.number), silence)
    }

    /// Ends a silence; false where there is none of that number.
    pub fn remove_silence(&mut self, number: u64) -> Result<bool, Error> {
        status::remove(&self.txn, status::SILENCE, &status::numbered(number))
    }

    /// Inserts an alert, or replaces the one of its number, and gives it the next turn.
    pub fn put_alert(&mut self, alert: &Alert) -> Result<(), Error> {
        self.txn.open_table(ALERTS)?.insert(alert.id, alerts::encode(alert).as_slice())?;
        alerts::take_turn(&self.txn, alert.id)
    }

    /// The alert of that number.
    pub fn alert(&self, id: u64) -> Result<Option<Alert>, Error> {
        alerts::get(&self.txn, id)
    }

    /// What is known of a key of a rule.
    pub fn match_state(&self, rule_id: &str, key: &[u8]) -> Result<Option<MatchState>, Error> {
        let matches = self.txn.open_table(MATCHES)?;
        let sealed = matches.get((rule_id, key))?;
        sealed.map(|sealed| MatchState::decode(rule_id, key, sealed.value())).transpose()
    }

    /// Sets what is known of a key of a rule.
    pub fn put_match_state(&mut self, rule_id: &str, key: &[u8], state: &MatchState) -> Result<(), Error> {
        self.txn.open_table(MATCHES)?.insert((rule_id, key), state.encode(rule_id, key).as_slice())?;
        Ok(())
    }

    /// Forgets a key of a rule.
    pub fn remove_match_state(&mut self, rule_id: &str, key: &[u8]) -> Result<(), Error> {
        self.txn.open_table(MATCHES)?.remove((rule_id, key))?;
        Ok(())
    }

    /// Every key of a rule, in the order of their bytes.
    pub fn match_states(&self, rule_id: &str) -> Result<Vec<(Vec<u8>, MatchState)>, Error> {
        let matches = self.txn.open_table(MATCHES)?;
        let mut states = Vec::new();
        for entry in matches.range((rule_id, [].as_slice())..)? {
            let (place, sealed) = entry?;
            let (rule, key) = place.value();
            if rule != rule_id {
                break;
            }
            states.push((key.to_vec(), MatchState::decode(rule_id, key, sealed.value())?));
        }
        Ok(states)
    }

    /// The revision of a rule that ran last.
    pub fn rule_revision(&self, rule_id: &str) -> Result<Option<String>, Error> {
        Ok(self.txn.open_table(RULES)?.get(rule_id)?.map(|revision| revision.value().to_owned()))
    }

    /// Notes which revision of a rule runs.
    pub fn set_rule_revision(&mut self, rule_id: &str, revision: &str) -> Result<(), Error> {
        self.txn.open_table(RULES)?.insert(rule_id, revision)?;
        Ok(())
    }

    /// Every rule that ran, with its revision, by id.
    pub fn installed_rules(&self) -> Result<Vec<(String, String)>, Error> {
        let rules = self.txn.open_table(RULES)?;
        let rules = rules.iter()?.map(|entry| {
            let (id, revision) = entry?;
            Ok((id.value().to_owned(), revision.value().to_owned()))
        });
        rules.collect()
    }

    /// Forgets a rule and its keys; its alerts stay.
    pub fn remove_rule(&mut self, rule_id: &str) -> Result<(), Error> {
        self.txn.open_table(RULES)?.remove(rule_id)?;
        let mut matches = self.txn.open_table(MATCHES)?;
        let mut keys = Vec::new();
        for entry in matches.range((rule_id, [].as_slice())..)? {
            let (place, _) = entry?;
            let (rule, key) = place.value();
            if rule != rule_id {
                break;
            }
            keys.push(key.to_vec());
        }
        for key in keys {
            matches.remove((rule_id, key.as_slice()))?;
        }
        Ok(())
    }

    /// Writes what the ledger is to have: it is true once this is committed. Where the ledger is too far behind, it is
    /// counted, and the count is written when there is room again.
    pub fn put_event(&mut self, fact: &Fact) -> Result<(), Error> {
        outbox::put(&self.txn, fact, outbox::Bounds::USUAL)
    }

    /// Removes the events up to that number, which are durable in the ledger.
    pub fn forget_events(&mut self, last: u64) -> Result<(), Error> {
        outbox::forget(&self.txn, last)
    }

    /// Puts an alert into the outbox of the sinks, where it stays until [`crate::Store::delivered`]: at least once.
    pub fn enqueue_delivery(&mut self, alert_id: u64) -> Result<(), Error> {
        self.txn.open_table(DELIVERIES)?.insert(alert_id, ())?;
        Ok(())
    }

    pub(crate) fn dequeue_delivery(&mut self, alert_id: u64) -> Result<(), Error> {
        self.txn.open_table(DELIVERIES)?.remove(alert_id)?;
        Ok(())
    }

    /// Makes everything durable. On an error nothing of it is there.
    pub fn commit(self) -> Result<(), Error> {
        Ok(self.txn.commit()?)
    }
}

impl Transaction {
    /// Where the version of a living process is stored, for whoever has the version already: to read it means to decode
    /// all that lies with it.
    pub fn source_of_living(&self, proc_id: &str) -> Result<Option<SourceRow>, Error> {
        scan::source_of_living(&self.txn, proc_id)
    }
}

impl Reader for Transaction {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        scan::visit(&self.txn, scan, each)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        scan::process(&self.txn, proc_id)
    }
}
