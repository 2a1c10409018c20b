//! One snapshot through all rules, each within its bounds.
//!
//! A rule that reaches a bound is quarantined: it runs no more, and the others go on. What it would have found is missing
//! from then on, so it is said wherever somebody may look: in the log, in `rules`, in every answer's completeness, by an
//! alert.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Answer, Batch, Changes, Dataflow, Error, Outcome, RuleId, Size, View};
use daemoneye_settings::Settings;

use crate::rules::{Quarantine, Rule};

/// Snapshots in a row for which a rule may take too long: a busy host makes every rule slow now and then.
const SLOW_MAX: u32 = 5;
/// So many times as long as a rule may take it is let go on for one snapshot, and to be filled, before it is stopped in
/// the middle: what it holds is lost then, so that must not happen to a rule that is slow now and then.
const STOPPED_AFTER: u32 = 10;
const FILLED_WITHIN: u32 = 100;

/// What one rule may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For one snapshot.
    pub(crate) time: Duration,
    /// From one snapshot to the next.
    pub(crate) state: Size,
    /// How late rows of events may come.
    pub(crate) grace: Duration,
}

impl Bounds {
    /// What the settings allow.
    pub(crate) fn of(settings: &Settings) -> Self {
        let rules = &settings.rules;
        let state = Size { rows: rules.state_rows, bytes: rules.state_bytes };
        Self { time: rules.time_limit, state, grace: rules.grace }
    }

    /// From the next snapshot on, these are the bounds.
    pub(crate) fn rule(self, dataflow: &mut Dataflow) {
        dataflow.set_limits(self.time.saturating_mul(STOPPED_AFTER), self.time.saturating_mul(FILLED_WITHIN));
        dataflow.set_grace(self.grace);
    }

    /// Why a rule failed, and what to do.
    fn failure(self, error: &Error) -> String {
        let limit = self.time;
        let slow = error.is_slow();
        let way = if slow { format!(", or raise rules.time_limit, which is {limit:?}") } else { String::new() };
        format!("{error}{way}")
    }

    /// What is wrong with a rule that holds so much.
    fn excess(self, size: Size) -> Option<String> {
        let Size { rows, bytes } = size;
        let held = format!("it held {rows} rows in {bytes} bytes");
        if rows > self.state.rows {
            let most = self.state.rows;
            return Some(format!("{held}, and rules.state_rows allows {most} rows: narrow it, or raise the setting"));
        }
        let most = self.state.bytes;
        let over = bytes > most;
        over.then(|| format!("{held}, and rules.state_bytes allows {most} bytes: narrow it, or raise the setting"))
    }
}

/// Rules that run together, timed.
pub(crate) fn new_dataflow(bounds: Bounds) -> Dataflow {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let mut dataflow = Dataflow::timed(|| BEGAN.elapsed());
    bounds.rule(&mut dataflow);
    dataflow
}

/// Runs the rules on the changes, and on everything those that have not run yet. Gives what each rule's result changed
/// by, or is. A store that cannot be read is no rule's fault and ends the batch.
pub(crate) fn evaluate(
    rules: &mut [Rule],
    dataflow: &mut Dataflow,
    view: &View<'_>,
    changes: &Changes,
    now: Timestamp,
    bounds: &Bounds,
) -> Result<Vec<(usize, Answer<Batch>)>, daemoneye_storage::Error> {
    let mut outcomes: HashMap<RuleId, Outcome> = dataflow.step(view, changes, now).into_iter().collect();
    let mut took: HashMap<RuleId, Duration> = dataflow.times().into_iter().collect();
    let is_new = |rule: &Rule| !rule.loaded && !rule.events;
    let new: HashSet<RuleId> = rules.iter().filter(|rule| is_new(rule)).filter_map(|rule| rule.running).collect();
    if !new.is_empty() {
        match dataflow.load(view, now) {
            Ok(loaded) => outcomes.extend(loaded),
            Err(Error::Storage(error)) => return Err(error),
            Err(error) => return Err(daemoneye_storage::Error::Refused(error.to_string())),
        }
        took.extend(new.iter().map(|id| (*id, dataflow.took(*id))));
    }
    let sizes: HashMap<RuleId, Size> = dataflow.larger_than(bounds.state).into_iter().collect();
    let mut answers = Vec::new();
    for (at, rule) in rules.iter_mut().enumerate() {
        let Some(id) = rule.running else { continue };
        let took = took.get(&id).copied().unwrap_or_default();
        rule.tally.ran(now, took);
        rule.tally.was_late(dataflow.late().get(&id).copied().unwrap_or(0));
        let answer = match outcomes.remove(&id) {
            Some(Ok(answer)) => Some(answer),
            // What happened before is not matched again: such a rule begins with the changes of this snapshot.
            None if !rule.loaded => Some(Answer { rows: Batch::empty(&[]), completeness: Completeness::default() }),
            None => None,
            Some(Err(error)) if error.is_storage() => return Err(daemoneye_storage::Error::Refused(error.to_string())),
            Some(Err(error)) => {
                quarantine(rule, &bounds.failure(&error), now, dataflow);
                continue;
            }
        };
        // To be filled has a bound of its own.
        let slow = if new.contains(&id) { None } else { too_slow(rule, took, bounds.time) };
        let large = sizes.get(&id).and_then(|size| bounds.excess(*size));
        match slow.or(large) {
            Some(why) => quarantine(rule, &why, now, dataflow),
            None => answers.extend(answer.map(|answer| (at, answer))),
        }
    }
    Ok(answers)
}

/// What is wrong with a rule that was too slow too often.
fn too_slow(rule: &mut Rule, took: Duration, limit: Duration) -> Option<String> {
    if took <= limit {
        rule.slow = 0;
        return None;
    }
    rule.slow += 1;
    rule.tally.was_over_limit();
    tracing::warn!(rule = rule.name, ?took, ?limit, "a rule took longer than its limit for one snapshot");
    let last = format!("last {took:?}, and rules.time_limit allows {limit:?}: narrow it, or raise the setting");
    (rule.slow >= SLOW_MAX).then(|| format!("it took too long for {SLOW_MAX} snapshots in a row, {last}"))
}

fn quarantine(rule: &mut Rule, why: &str, now: Timestamp, dataflow: &mut Dataflow) {
    let why = format!("{why}, then `daemoneye-cli rules release {}`", rule.name);
    tracing::error!(rule = rule.name, why, "rule quarantined until it is released, changes, or the agent is restarted");
    rule.quarantine(Quarantine { why, since: now }, dataflow);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::rule_quarantined;

    const BOUNDS: Bounds = Bounds {
        time: Duration::from_millis(100),
        state: Size { rows: 10, bytes: 2_000 },
        grace: Duration::from_hours(1),
    };

    #[test]
    fn what_was_stopped_names_the_bound_and_the_setting() {
        let slow = BOUNDS.failure(&Error::TooSlow { operation: "a join", limit: Duration::from_secs(1) });
        let why =
            "a join was stopped after 1s: make its conditions narrower, or raise rules.time_limit, which is 100ms";
        assert_eq!(slow, why);
        assert!(!BOUNDS.failure(&Error::TooManyRows { operation: "a join", limit: 1 }).contains("time_limit"));
    }

    #[test]
    fn what_is_too_large_names_the_bound_the_size_and_the_setting() {
        let excess = |rows, bytes| BOUNDS.excess(Size { rows, bytes }).unwrap_or_default();
        assert_eq!(excess(10, 2_000), "");
        let rows = "it held 11 rows in 5 bytes, and rules.state_rows allows 10 rows: narrow it, or raise the setting";
        assert_eq!(excess(11, 5), rows);
        assert!(excess(1, 2_001).contains("2001 bytes, and rules.state_bytes allows 2000 bytes"));
    }

    #[test]
    fn what_is_slow_now_and_then_goes_on_and_what_always_is_does_not() {
        let mut rule = rule_quarantined();
        let (slow, quick) = (BOUNDS.time * 2, BOUNDS.time);
        for _ in 0..3 {
            for _ in 1..SLOW_MAX {
                assert_eq!(too_slow(&mut rule, slow, BOUNDS.time), None);
            }
            assert_eq!(too_slow(&mut rule, quick, BOUNDS.time), None);
        }
        let last = (0..SLOW_MAX).filter_map(|_| too_slow(&mut rule, slow, BOUNDS.time)).collect::<Vec<_>>();
        let why = "it took too long for 5 snapshots in a row, last 200ms, and rules.time_limit allows 100ms: narrow it, or \
                   raise the setting";
        assert_eq!(last, [why]);
    }
}
