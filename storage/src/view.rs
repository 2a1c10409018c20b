//! A snapshot of the store, and what only its owner asks of it.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use daemoneye_dsl::alert::{Alert, AlertChanges};
use daemoneye_dsl::audit::Event;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleStats, RuleStatus};
use daemoneye_dsl::tables::{schema_of, version_columns};
use daemoneye_dsl::types::Timestamp;
use redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use serde::{Deserialize, Serialize};

use crate::gaps::Gap;
use crate::guard::guarded;
use crate::history::Extent;
use crate::keys::ProcKey;
use crate::outbox::{self, Origin};
use crate::reader::{Each, Reader, Scan, StoredProcess};
use crate::retention::{self, Dropped};
use crate::tables::{ALERTS, DELIVERIES, LAST_SNAPSHOT_KEY, LIVE, META, OFFSETS, Row, TURNS, Tables};
use crate::{Checked, Error, absent, alerts, check, gaps, history, ledger, room, samples, scan, status};

/// Deliveries that one [`View::deliveries`] names.
pub const DELIVERIES_MAX: usize = 1024;
/// Alerts that one [`View::changed_alerts`] gives.
pub const CHANGES_MAX: usize = 1024;

/// One committed state, unchanged by what is written meanwhile.
///
/// While it is alive, the space that newer transactions free is not reused: keep it for a question, not for a day.
pub struct View {
    txn: ReadTransaction,
    /// Where the ledger is, which is opened when it is asked for.
    ledger: Option<PathBuf>,
}

/// The processes alive in the last snapshot that was recorded.
#[derive(Clone, Debug)]
pub struct Live {
    /// Their current versions, in the layout of `dsl::tables::version_columns()`.
    pub versions: RecordBatch,
    /// When that snapshot was taken.
    pub time: Timestamp,
    /// Whether versions were lost to damage. Such a process is taken up again when it is next recorded as started.
    pub completeness: Completeness,
}

/// An alert that was written.
#[derive(Debug)]
pub struct Changed {
    /// The turn of its last write.
    pub turn: u64,
    /// It as it is now, or what is wrong with it.
    pub alert: Result<Alert, Error>,
}

/// How much of history is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Versions of processes.
    pub versions: u64,
    /// Exits of processes.
    pub exits: u64,
    /// Sealed segments.
    pub segments: u64,
    /// Bytes of all segments, indexes and all.
    pub segment_bytes: u64,
    /// Bytes of all blocks.
    pub block_bytes: u64,
    /// Versions in segments.
    pub sealed: u64,
    /// Blocks that are not sealed yet.
    pub blocks: u64,
    /// Parts that are damaged; their rows do not count.
    pub damaged: u64,
    /// When the first of the versions was seen.
    pub oldest: Option<Timestamp>,
    /// Samples of processes.
    pub samples: u64,
    /// Rounds in which they were taken.
    pub rounds: u64,
    /// Bytes of all samples.
    pub sample_bytes: u64,
}

/// Bytes of the file, by what they are for; what is left of it is free and used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// History: its blocks, segments and notes, and the index of the living.
    pub history: u64,
    /// Alerts, their order, and those to deliver.
    pub alerts: u64,
    /// What is known of matches, rules, collectors and the agent.
    pub state: u64,
}

impl Room {
    /// Bytes that the file has at most when what is free in it was given back: redb's own notes of its pages are counted.
    pub fn file_len(&self) -> u64 {
        const OF_FILE: u64 = 512 << 10;
        const PAGES_A_NOTE: u64 = 512;
        let used = self.history.saturating_add(self.alerts).saturating_add(self.state);
        used.saturating_add(used / PAGES_A_NOTE).saturating_add(OF_FILE)
    }
}

impl View {
    pub(crate) fn new(txn: ReadTransaction) -> Self {
        Self { txn, ledger: None }
    }

    /// The view with the ledger at that path as the table `audit`, as it is whenever that is asked for.
    #[must_use]
    pub fn with_ledger(self, path: impl Into<PathBuf>) -> Self {
        Self { ledger: Some(path.into()), ..self }
    }

    /// The processes alive in the last snapshot; nothing if no snapshot was recorded yet.
    pub fn live(&self) -> Result<Option<Live>, Error> {
        guarded(|| self.read_live())
    }

    fn read_live(&self) -> Result<Option<Live>, Error> {
        let Some(time) = self.txn.table(META)?.get(LAST_SNAPSHOT_KEY)?.map(|time| time.value().cast_signed()) else {
            return Ok(None);
        };
        let mut rows: Vec<(Row, ProcKey)> = Vec::new();
        for entry in self.txn.table(LIVE)?.iter()? {
            let (key, row) = entry?;
            rows.push((row.value(), ProcKey(key.value())));
        }
        // Each part is read once, and the processes come in the order in which they were stored.
        rows.sort_unstable();
        let parts = history::extents(&self.txn)?;
        let part_of = |row: Row| {
            let before = parts.partition_point(|extent| extent.part.first() <= row).checked_sub(1)?;
            let Extent { part, end } = parts[before];
            end.is_none_or(|end| row < end).then_some(part)
        };
        let mut completeness = Completeness::default();
        let mut batches = Vec::new();
        for rows in rows.chunk_by(|(a, _), (b, _)| part_of(*a) == part_of(*b)) {
            let Some(part) = part_of(rows[0].0) else {
                scan::quarantine(&absent::name(&(rows[0].0..rows[rows.len() - 1].0.saturating_add(1))), absent::WHY);
                completeness.add(Reason::SegmentQuarantined);
                continue;
            };
            match history::versions(&self.txn, part, rows)? {
                Ok(versions) => batches.push(versions),
                Err(why) => {
                    scan::quarantine(&part.name(), &why);
                    completeness.add(Reason::SegmentQuarantined);
                }
            }
        }
        let versions = concat_batches(&schema_of(&version_columns()), &batches)?;
        Ok(Some(Live { versions, time: Timestamp(time), completeness }))
    }

    /// The last sequence of that collector whose batch was committed.
    pub fn offset(&self, source: &str) -> Result<Option<u64>, Error> {
        Ok(self.txn.table(OFFSETS)?.get(source)?.map(|offset| offset.value().0))
    }

    /// When processes were sampled last.
    pub fn last_round(&self) -> Result<Option<Timestamp>, Error> {
        Ok(samples::last_round(&self.txn)?.map(Timestamp))
    }

    /// The alert of that number.
    pub fn alert(&self, id: u64) -> Result<Option<Alert>, Error> {
        guarded(|| alerts::get(&self.txn, id))
    }

    /// The last turn that was given to an alert; 0 before the first.
    pub fn last_turn(&self) -> Result<u64, Error> {
        guarded(|| Ok(self.txn.table(TURNS)?.last()?.map_or(0, |(turn, _)| turn.value())))
    }

    /// The alerts that were written after that turn, each once and as it is now, in the order of their last writes,
    /// at most [`CHANGES_MAX`]: ask again after the last.
    pub fn changed_alerts(&self, after: u64) -> Result<Vec<Changed>, Error> {
        guarded(|| {
            let mut changed = Vec::new();
            for entry in self.txn.table(TURNS)?.range(after.saturating_add(1)..)?.take(CHANGES_MAX) {
                let (turn, id) = entry?;
                let id = id.value();
                let alert = alerts::get(&self.txn, id);
                let missing = || Error::Damaged(format!("alert {id} is not there"));
                let alert = alert.and_then(|alert| alert.ok_or_else(missing));
                changed.push(Changed { turn: turn.value(), alert });
            }
            Ok(changed)
        })
    }

    /// [`View::changed_alerts`] as programs tell each other.
    pub fn alert_changes(&self, after: u64) -> Result<AlertChanges, Error> {
        let told = |Changed { turn, alert }| (turn, alert.map_err(|error| error.to_string()));
        let changed = self.changed_alerts(after)?.into_iter().map(told).collect();
        Ok(AlertChanges { turn: self.last_turn()?, changed })
    }

    /// The last agent that ran on this store; nothing if none did.
    pub fn run(&self) -> Result<Option<AgentRun>, Error> {
        guarded(|| status::get(&self.txn, status::RUN, ""))
    }

    /// What became of the rule files of the last start, by path, and whether damage hides some.
    pub fn rules(&self) -> Result<(Vec<RuleStatus>, Completeness), Error> {
        guarded(|| status::all(&self.txn, status::RULE))
    }

    /// What every rule cost and found, as it was noted last, and whether damage hides that.
    pub fn rule_stats(&self) -> Result<(Vec<RuleStats>, Completeness), Error> {
        guarded(|| status::rule_stats(&self.txn))
    }

    /// The collectors that were heard last, and whether damage hides some.
    pub fn collectors(&self) -> Result<(Vec<CollectorStatus>, Completeness), Error> {
        guarded(|| status::all(&self.txn, status::COLLECTOR))
    }

    /// The silences that are stored, by number, and whether damage hides some.
    pub fn silences(&self) -> Result<(Vec<Silence>, Completeness), Error> {
        guarded(|| status::all(&self.txn, status::SILENCE))
    }

    /// What the ledger knows this store's events by.
    pub fn origin(&self) -> Result<Origin, Error> {
        guarded(|| outbox::origin(&self.txn))
    }

    /// The number that the next event gets.
    pub fn next_event(&self) -> Result<u64, Error> {
        guarded(|| outbox::next(&self.txn))
    }

    /// The events after that number, oldest first, at most [`crate::EVENTS_READ_MAX`]: ask again after the last.
    pub fn events(&self, after: u64) -> Result<Vec<Event>, Error> {
        guarded(|| outbox::after(&self.txn, after))
    }

    /// When nobody looked, by the beginning.
    pub fn gaps(&self) -> Result<Vec<Gap>, Error> {
        guarded(|| gaps::all(&self.txn))
    }

    /// Reads everything, to name what is damaged. `advance` is told first how many parts there are, then of each that
    /// was read.
    pub fn check(&self, advance: &mut dyn FnMut(u64)) -> Result<Checked, Error> {
        guarded(|| check::check(&self.txn, advance))
    }

    /// What takes room in the file; of segments and samples the headers are read, of everything else all.
    pub fn room(&self) -> Result<Room, Error> {
        guarded(|| room::room(&self.txn))
    }

    /// How many alerts are stored.
    pub fn alerts(&self) -> Result<u64, Error> {
        guarded(|| Ok(self.txn.table(ALERTS)?.len()?))
    }

    /// How much of history is stored.
    pub fn contents(&self) -> Result<Contents, Error> {
        guarded(|| history::contents(&self.txn))
    }

    /// What retention dropped, oldest first.
    pub fn drops(&self) -> Result<Vec<Dropped>, Error> {
        guarded(|| retention::all(&self.txn))
    }

    /// The alerts that wait to be delivered, oldest first, at most [`DELIVERIES_MAX`]: ask again after
    /// [`crate::Store::delivered`].
    pub fn deliveries(&self) -> Result<Vec<u64>, Error> {
        let deliveries = self.txn.table(DELIVERIES)?;
        let waiting = deliveries.iter()?.take(DELIVERIES_MAX);
        waiting.map(|entry| Ok(entry?.0.value())).collect()
    }
}

impl Reader for View {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        match &self.ledger {
            Some(ledger) if scan.table.name == ledger::table::NAME => ledger::table::visit(ledger, scan, each),
            _ => scan::visit(&self.txn, scan, each),
        }
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        scan::process(&self.txn, proc_id)
    }
}
