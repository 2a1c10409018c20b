//! What each rule cost and found since it runs, and when that is put on record.
//!
//! All rules' numbers are one record. It grows with the rules, so the more there are, the more rarely it is written:
//! that costs some tens of kilobytes a second at most, and with a few rules it is as new as the last snapshot. A snapshot
//! that could not be committed and comes again counts twice.

use std::time::Duration;

use daemoneye_dsl::status::RuleStats;
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Batch, Dataflow};

use crate::rules::Rule;

/// Microseconds from one record to the next, for each rule.
const MICROS_PER_RULE: u64 = 10_000;

/// Since when, and how much.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    since: Option<Timestamp>,
    snapshots: u64,
    appeared: u64,
    raised: u64,
    last: Duration,
    total: Duration,
    slowest: Duration,
    over_limit: u64,
    late: u64,
}

impl Tally {
    /// A snapshot that it was evaluated for.
    pub(crate) fn ran(&mut self, now: Timestamp, took: Duration) {
        self.since.get_or_insert(now);
        self.snapshots += 1;
        self.last = took;
        self.total += took;
        self.slowest = self.slowest.max(took);
    }

    /// That took too long.
    pub(crate) fn was_over_limit(&mut self) {
        self.over_limit += 1;
    }

    /// Rows that came too late for it.
    pub(crate) fn was_late(&mut self, rows: u64) {
        self.late += rows;
    }

    /// What came to match, and the alerts of it.
    pub(crate) fn found(&mut self, change: &Batch, raised: usize) {
        let appeared: i64 = change.weights.iter().filter(|weight| **weight > 0).sum();
        self.appeared += appeared.unsigned_abs();
        self.raised += raised as u64;
    }

    fn stats(&self, rule: &Rule, dataflow: &Dataflow, now: Timestamp) -> RuleStats {
        let size = rule.running.map(|id| dataflow.size(id)).unwrap_or_default();
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        RuleStats {
            rule: rule.name.clone(),
            id: rule.header.id.clone(),
            revision: rule.revision.clone(),
            since: self.since.unwrap_or(now),
            as_of: now,
            snapshots: self.snapshots,
            appeared: self.appeared,
            raised: self.raised,
            last_micros: micros(self.last),
            total_micros: micros(self.total),
            slowest_micros: micros(self.slowest),
            over_time_limit: self.over_limit,
            late_rows: self.late,
            state_rows: size.rows as u64,
            state_bytes: size.bytes as u64,
            quarantined: rule.quarantined.as_ref().map(|it| (it.why.clone(), it.since)),
        }
    }
}

/// All of them now.
pub(crate) fn all(rules: &[Rule], dataflow: &Dataflow, now: Timestamp) -> Vec<RuleStats> {
    rules.iter().map(|rule| rule.tally.stats(rule, dataflow, now)).collect()
}

/// Whether it is time to put so many on record again.
pub(crate) fn is_due(rules: usize, noted: Option<Timestamp>, now: Timestamp) -> bool {
    let pause = MICROS_PER_RULE.saturating_mul(rules as u64);
    // The clock may have been set back since.
    noted.is_none_or(|noted| now.0.abs_diff(noted.0) >= pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_more_rules_the_more_rarely() {
        let second = |seconds: i64| Timestamp(seconds * 1_000_000);
        assert!(is_due(10_000, None, second(0)), "the first is always");
        assert!(is_due(30, Some(second(0)), second(1)));
        assert!(!is_due(10_000, Some(second(0)), second(99)) && is_due(10_000, Some(second(0)), second(100)));
        assert!(is_due(10_000, Some(second(86_400)), second(0)), "the clock was set back by a day");
    }
}
