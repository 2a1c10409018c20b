//! What the system knows of itself: the agent's run, its rules, its collectors.
//!
//! The agent records these beside what it stores. The tables `rules`, `rule_stats` and `collectors` are made of them, and
//! so is what `daemoneye-cli status` says; all text in them may be somebody else's.

use serde::{Deserialize, Serialize};

use crate::alert::Level;
use crate::completeness::Completeness;
use crate::types::{MICROS_PER_SEC, Timestamp, Value};

/// One run of the agent, from its start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRun {
    /// The agent's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// When it ended in order; absent while it runs, and for ever where it was killed.
    pub stopped: Option<Timestamp>,
    /// Where its broker listens.
    pub socket: String,
}

/// How the agent is, as it says on `health.agent`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentHealth {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// The last snapshot that it stored, be it in a run before.
    pub last_snapshot: Option<Timestamp>,
    /// Rules at work.
    pub rules: u64,
    /// Snapshots that wait in its memory for the disk.
    pub waiting: u64,
    /// The last turn that an alert was written in.
    pub alert_turn: u64,
    /// The audit ledger.
    pub ledger: LedgerHealth,
}

/// How the audit ledger is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerHealth {
    /// Its file.
    pub path: String,
    /// Its entries.
    pub entries: u64,
    /// Bytes of its file.
    pub bytes: u64,
    /// Events that it does not have yet.
    pub waiting: u64,
    /// The entries that the last checkpoint is over.
    pub signed: u64,
    /// When that was made.
    pub signed_at: Option<Timestamp>,
    /// Why it cannot be written, or its checkpoints cannot be exported.
    pub error: Option<String>,
}

/// How a collector is, as it says on `health.<its name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorHealth {
    /// Its version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// When it started.
    pub started: Timestamp,
    /// Microseconds from one of its snapshots to the next.
    pub interval_micros: i64,
    /// The last snapshot that it made.
    pub last_snapshot: Option<Timestamp>,
    /// Snapshots that it made.
    pub snapshots: u64,
    /// Those of them that the agent did not take, or not in time.
    pub not_taken: u64,
}

/// What became of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleState {
    /// It runs.
    Running,
    /// It runs, and reads columns that nothing collects here.
    Limited,
    /// It is for another system and does not run.
    OtherSystem,
    /// It does not compile, or its file cannot be read.
    Refused,
    /// It was stopped because it exceeded a bound.
    Quarantined,
}

impl RuleState {
    /// Every state, in the order in which people ask.
    pub const ALL: [Self; 5] = [Self::Running, Self::Limited, Self::OtherSystem, Self::Refused, Self::Quarantined];

    /// The word in JSON and in `rules.state`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Limited => "limited",
            Self::OtherSystem => "other_system",
            Self::Refused => "refused",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether answers lack what this rule would have found here.
    pub fn is_missing(self) -> bool {
        matches!(self, Self::Refused | Self::Quarantined)
    }
}

/// One rule file, as the agent took it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStatus {
    /// The stem of the file's name.
    pub name: String,
    /// What became of it.
    pub state: RuleState,
    /// Why it does not run, or the columns that nothing collects.
    pub detail: Option<String>,
    /// How grave its findings are.
    pub level: Option<Level>,
    /// Its UUID.
    pub id: Option<String>,
    /// Its revision.
    pub revision: Option<String>,
    /// The file.
    pub path: String,
}

/// What one rule cost and found since it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleStats {
    /// The stem of the file's name.
    pub rule: String,
    /// Its UUID.
    pub id: String,
    /// Its revision.
    pub revision: String,
    /// The snapshot from which on this is counted.
    pub since: Timestamp,
    /// The snapshot up to which this is counted.
    pub as_of: Timestamp,
    /// Snapshots that it was evaluated for.
    pub snapshots: u64,
    /// Rows that came to match.
    pub appeared: u64,
    /// Alerts that it raised.
    pub raised: u64,
    /// What its operators took for the last snapshot.
    pub last_micros: u64,
    /// What they took for all.
    pub total_micros: u64,
    /// What they took for the snapshot that took longest.
    pub slowest_micros: u64,
    /// Snapshots for which it took longer than it may.
    pub over_time_limit: u64,
    /// Rows that came too late for it and were discarded.
    #[serde(default)]
    pub late_rows: u64,
    /// Rows that its operators refer to.
    pub state_rows: u64,
    /// About how much memory they take.
    pub state_bytes: u64,
    /// Why it does not run, and since which snapshot.
    pub quarantined: Option<(String, Timestamp)>,
}

/// One collector instance, as of its last snapshot that was stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorStatus {
    /// The instance.
    pub source: String,
    /// Its process id, if it said so.
    pub pid: Option<u32>,
    /// Its first snapshot.
    pub first_snapshot: Timestamp,
    /// Its last snapshot.
    pub last_snapshot: Timestamp,
    /// Microseconds from one of its snapshots to the next, if it said so.
    pub interval_micros: Option<i64>,
    /// The number of its last snapshot.
    pub sequence: u64,
    /// Snapshots that were stored.
    pub snapshots: u64,
    /// Snapshots that never arrived.
    pub missed: u64,
    /// Processes in the last one.
    pub processes: u64,
    /// Microseconds that the rules took for the last one.
    pub evaluation_micros: i64,
    /// How complete the rules' input was.
    pub completeness: Completeness,
}

impl RuleStatus {
    /// The row of the `rules` table, in its declared order.
    pub fn cells(&self, matching: i64) -> Vec<Value> {
        let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
        vec![
            Value::Text(self.name.clone()),
            Value::Text(self.state.name().to_owned()),
            text(&self.detail),
            text(&self.level.map(|level| level.name().to_owned())),
            text(&self.id),
            text(&self.revision),
            Value::Text(self.path.clone()),
            Value::Integer(matching),
        ]
    }
}

impl RuleStats {
    /// The row of the `rule_stats` table, in its declared order.
    pub fn cells(&self) -> Vec<Value> {
        let text = |text: &String| Value::Text(text.clone());
        let quarantined = self.quarantined.as_ref();
        let head = [text(&self.rule), text(&self.id), text(&self.revision)];
        let times = [self.since, self.as_of].map(|time| Value::Timestamp(time.0));
        let numbers = [
            self.snapshots,
            self.appeared,
            self.raised,
            self.last_micros,
            self.total_micros,
            self.slowest_micros,
            self.over_time_limit,
            self.late_rows,
            self.state_rows,
            self.state_bytes,
        ];
        let tail = [
            quarantined.map_or(Value::Null, |(why, _)| text(why)),
            quarantined.map_or(Value::Null, |(_, since)| Value::Timestamp(since.0)),
        ];
        head.into_iter().chain(times).chain(numbers.map(integer)).chain(tail).collect()
    }
}

fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

/// How long after one snapshot the next is not yet missing, in microseconds: three intervals, and at least 10 s.
pub fn patience(interval_micros: Option<i64>) -> i64 {
    const PERIODS: i64 = 3;
    const PERIOD_DEFAULT: i64 = 30 * MICROS_PER_SEC;
    interval_micros.unwrap_or(PERIOD_DEFAULT).saturating_mul(PERIODS).max(10 * MICROS_PER_SEC)
}

impl CollectorStatus {
    /// The row of the `collectors` table, in its declared order.
    pub fn cells(&self) -> Vec<Value> {
        vec![
            Value::Text(self.source.clone()),
            self.pid.map_or(Value::Null, |pid| Value::Integer(pid.into())),
            Value::Timestamp(self.first_snapshot.0),
            Value::Timestamp(self.last_snapshot.0),
            self.interval_micros.map_or(Value::Null, Value::Interval),
            integer(self.sequence),
            integer(self.snapshots),
            integer(self.missed),
            integer(self.processes),
            Value::Interval(self.evaluation_micros),
            Value::Boolean(self.completeness.is_complete()),
            Value::Text(self.completeness.to_json().to_string()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Catalog;

    fn fits(table: &str, cells: &[Value]) {
        let catalog = Catalog::builtin();
        let columns = &catalog.table(table).unwrap().columns;
        assert_eq!(cells.len(), columns.len());
        for (cell, column) in cells.iter().zip(columns) {
            assert!(cell.ty().map_or(column.nullable, |ty| ty == column.ty), "{table}.{}", column.name);
        }
    }

    #[test]
    fn cells_are_the_tables_columns_and_records_survive_json() {
        let mut rule = RuleStatus {
            name: "x".to_owned(),
            state: RuleState::OtherSystem,
            detail: None,
            level: None,
            id: None,
            revision: None,
            path: "rules/x.sql".to_owned(),
        };
        fits("rules", &rule.cells(0));
        rule.level = Some(Level::High);
        rule.detail = Some("\u{1b}".to_owned());
        fits("rules", &rule.cells(1));
        let text = serde_json::to_string(&rule).unwrap();
        assert!(text.contains(r#""state":"other_system","#), "{text}");
        assert_eq!(serde_json::from_str::<RuleStatus>(&text).unwrap(), rule);
        for state in RuleState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        let mut stats = RuleStats { rule: "x".to_owned(), state_bytes: u64::MAX, ..RuleStats::default() };
        fits("rule_stats", &stats.cells());
        stats.quarantined = Some(("\u{1b}".to_owned(), Timestamp(7)));
        fits("rule_stats", &stats.cells());
        let text = serde_json::to_string(&stats).unwrap();
        assert_eq!(serde_json::from_str::<RuleStats>(&text).unwrap(), stats);
        let collector = CollectorStatus {
            source: "s".to_owned(),
            pid: None,
            first_snapshot: Timestamp(1),
            last_snapshot: Timestamp(1_000_002),
            interval_micros: Some(5),
            sequence: 3,
            snapshots: 2,
            missed: 1,
            processes: 7,
            evaluation_micros: 9,
            completeness: Completeness::default(),
        };
        fits("collectors", &collector.cells());
        let text = serde_json::to_string(&collector).unwrap();
        assert!(text.contains(r#""last_snapshot":"1970-01-01T00:00:01.000002Z""#), "{text}");
        assert_eq!(serde_json::from_str::<CollectorStatus>(&text).unwrap(), collector);
    }
}
