//! Which of the guards that a condition could have is looked up.
//!
//! The first choice is by estimate. A guard that lets many rows through in vain gives way to the next best, by what was
//! seen of those that were tried and by estimate of the others, until one of those that were tried is the best. So each
//! is tried once, and the cost of choosing is bounded.

use super::guard::{Guard, Probe};

/// Rows let through in vain after which a guard is judged.
const WASTED_MIN: u32 = 16;
/// One in so many rows may be let through in vain.
const WASTED_ONE_IN: u64 = 512;
/// How many times better than guessed an untried guard may be: guesses are careful, and a try costs little.
const BETTER_THAN_GUESSED: f64 = 8.0;
/// Guards that are kept of one condition.
const GUARDS_MAX: usize = 6;

/// The guards of one condition.
pub(super) struct Choice {
    /// The one at [`Choice::current`] is looked up.
    guards: Vec<Guard>,
    current: usize,
    /// Rows that the matcher had seen when this one's turn came.
    since: u64,
    /// Rows that it let through in vain.
    wasted: u32,
    settled: bool,
}

impl Choice {
    pub(super) fn of(mut guards: Vec<Guard>, rows_seen: u64) -> Self {
        guards.sort_by(|one, other| one.met.total_cmp(&other.met));
        guards.truncate(GUARDS_MAX);
        Self { settled: guards.len() < 2, guards, current: 0, since: rows_seen, wasted: 0 }
    }

    /// The guard, if there is any.
    pub(super) fn current(&self) -> Option<&Guard> {
        self.guards.get(self.current)
    }

    /// What is looked up for it.
    pub(super) fn probes(&self) -> impl Iterator<Item = &Probe> {
        self.current().into_iter().flat_map(|guard| &guard.any)
    }

    /// Notes that a row was let through that did not match. Whether another guard may be better.
    pub(super) fn waste(&mut self, rows_seen: u64) -> bool {
        self.wasted = self.wasted.saturating_add(1);
        !self.settled
            && self.wasted >= WASTED_MIN
            && u64::from(self.wasted) * WASTED_ONE_IN > rows_seen.saturating_sub(self.since)
    }

    /// Takes what was seen as the guard's measure, and the best one as the guard.
    pub(super) fn reconsider(&mut self, rows_seen: u64) {
        let rows = u32::try_from(rows_seen - self.since).unwrap_or(u32::MAX).max(1);
        self.guards[self.current].met = f64::from(self.wasted) / f64::from(rows);
        self.guards[self.current].tried = true;
        let met = |at: &usize| {
            let guard = &self.guards[*at];
            if guard.tried || guard.is_dear() { guard.met } else { guard.met / BETTER_THAN_GUESSED }
        };
        let best = (0..self.guards.len()).min_by(|one, other| met(one).total_cmp(&met(other)));
        self.current = best.expect("there is more than one");
        self.settled = self.guards[self.current].tried;
        (self.since, self.wasted) = (rows_seen, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_tried_once_and_the_best_stays() {
        let guard = |met| Guard { any: vec![], met, tried: false };
        // As guessed; what they let through in vain stands behind.
        let mut choice = Choice::of(vec![guard(0.9), guard(0.001), guard(0.002)], 0);
        let one_in = [2, 10, 3];
        let mut rows = 0;
        let mut tried = vec![];
        loop {
            tried.push(choice.current);
            let mut again = false;
            for _ in 0..100 {
                rows += one_in[choice.current];
                again = choice.waste(rows);
            }
            if !again {
                break;
            }
            choice.reconsider(rows);
        }
        assert_eq!(tried, [0, 1, 1], "the third is guessed to be much worse than the second was");
        assert!(choice.settled);
    }
}
