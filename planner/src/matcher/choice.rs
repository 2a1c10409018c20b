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

/// The guards of one condition. What those that are not looked up would look for is not kept: it is made again for the
/// few that get their turn.
pub(super) struct Choice {
    known: Box<[Known]>,
    /// The one whose turn it is.
    current: usize,
    /// What is looked up for it.
    probes: Box<[Probe]>,
    /// Rows that the matcher had seen when this one's turn came.
    since: u64,
    /// Rows that it let through in vain.
    wasted: u32,
    settled: bool,
}

/// What is known of a guard.
struct Known {
    /// Which of [`Guard::all`].
    number: usize,
    /// Of how many rows it is met, about; once it was tried, in vain.
    met: f64,
    is_dear: bool,
    tried: bool,
}

impl Choice {
    /// `guards` are all that the condition could have.
    pub(super) fn of(mut guards: Vec<Guard>, rows_seen: u64) -> Self {
        let known =
            |(number, guard): (usize, &Guard)| Known { number, met: guard.met, is_dear: guard.is_dear(), tried: false };
        let mut all: Vec<Known> = guards.iter().enumerate().map(known).collect();
        all.sort_by(|one, other| one.met.total_cmp(&other.met));
        all.truncate(GUARDS_MAX);
        let probes = all.first().map(|first| guards.swap_remove(first.number).any).unwrap_or_default();
        Self {
            settled: all.len() < 2,
            known: all.into(),
            current: 0,
            probes: probes.into(),
            since: rows_seen,
            wasted: 0,
        }
    }

    /// Whether there is no guard.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is looked up for the guard; nothing also where no row can meet it.
    pub(super) fn probes(&self) -> &[Probe] {
        &self.probes
    }

    /// Notes that a row was let through that did not match. Whether another guard may be better.
    pub(super) fn waste(&mut self, rows_seen: u64) -> bool {
        self.wasted = self.wasted.saturating_add(1);
        !self.settled
            && self.wasted >= WASTED_MIN
            && u64::from(self.wasted) * WASTED_ONE_IN > rows_seen.saturating_sub(self.since)
    }

    /// Takes what was seen as the guard's measure, and the best one as the guard; `guards` makes all of them again.
    pub(super) fn reconsider(&mut self, rows_seen: u64, guards: impl FnOnce() -> Vec<Guard>) {
        let rows = u32::try_from(rows_seen - self.since).unwrap_or(u32::MAX).max(1);
        let before = self.current;
        self.known[before].met = f64::from(self.wasted) / f64::from(rows);
        self.known[before].tried = true;
        let met = |at: &usize| {
            let known = &self.known[*at];
            if known.tried || known.is_dear { known.met } else { known.met / BETTER_THAN_GUESSED }
        };
        let best = (0..self.known.len()).min_by(|one, other| met(one).total_cmp(&met(other)));
        self.current = best.expect("there is more than one");
        self.settled = self.known[self.current].tried;
        (self.since, self.wasted) = (rows_seen, 0);
        if self.current != before {
            self.probes = guards().swap_remove(self.known[self.current].number).any.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_tried_once_and_the_best_stays() {
        // As guessed; what they let through in vain stands behind.
        let guards = || -> Vec<Guard> {
            let guard = |(column, met)| Guard { any: vec![Probe::Null(column)], met };
            [0.9, 0.001, 0.002].into_iter().enumerate().map(guard).collect()
        };
        let mut choice = Choice::of(guards(), 0);
        assert_eq!(choice.probes(), [Probe::Null(1)]);
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
            choice.reconsider(rows, guards);
        }
        assert_eq!(tried, [0, 1, 1], "the third is guessed to be much worse than the second was");
        assert!(choice.settled);
        assert_eq!(choice.probes(), [Probe::Null(2)]);
    }
}
