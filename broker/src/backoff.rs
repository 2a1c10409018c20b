//! Waiting longer each time, and never in step with others.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

const DELAY_MIN: Duration = Duration::from_millis(100);
const DELAY_MAX: Duration = Duration::from_secs(30);

/// Delays between attempts: chosen between nothing and a ceiling that doubles from 100 ms to 30 s.
#[derive(Clone, Debug)]
pub struct Backoff {
    ceiling: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { ceiling: DELAY_MIN }
    }
}

impl Backoff {
    /// How long to wait before the next attempt.
    pub fn next_delay(&mut self) -> Duration {
        let ceiling = self.ceiling;
        self.ceiling = (ceiling * 2).min(DELAY_MAX);
        // The standard library's hasher is seeded at random, which is all the chance that this needs.
        let random = u128::from(RandomState::new().build_hasher().finish());
        let nanos = (ceiling.as_nanos() * random) >> 64;
        Duration::from_nanos(u64::try_from(nanos).expect("below the ceiling"))
    }

    /// Starts over, after an attempt that succeeded.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound_and_differ() {
        let mut backoff = Backoff::default();
        let mut ceiling = DELAY_MIN;
        for _ in 0..20 {
            assert!(backoff.next_delay() <= ceiling);
            ceiling = (ceiling * 2).min(DELAY_MAX);
        }
        assert_eq!(backoff.ceiling, DELAY_MAX);
        let delays: Vec<_> = (0..50).map(|_| backoff.next_delay()).collect();
        let spread = delays.iter().max().unwrap().saturating_sub(*delays.iter().min().unwrap());
        assert!(spread > DELAY_MAX / 2, "{delays:?}");
        backoff.reset();
        assert!(backoff.next_delay() <= DELAY_MIN);
    }
}
