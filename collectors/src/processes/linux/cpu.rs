//! Processor time between two snapshots.

use std::collections::HashMap;
use std::time::Instant;

/// A process of this boot: pid and start ticks.
pub(super) type Key = (u32, u64);

/// The processor time that each process had used when it was last read.
#[derive(Debug, Default)]
pub(super) struct CpuTimes {
    previous: HashMap<Key, Sample>,
    current: HashMap<Key, Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    ticks: u64,
    /// When it was read, for each process by itself: reading all of them can take longer than a short interval.
    at: Instant,
}

impl CpuTimes {
    /// Begins a snapshot; what the one before did not see is forgotten.
    pub(super) fn turn(&mut self) {
        std::mem::swap(&mut self.previous, &mut self.current);
        self.current.clear();
    }

    /// The share of one core, in percent, since the last snapshot, if that had the process.
    pub(super) fn usage(&mut self, key: Key, ticks: u64, at: Instant, ticks_per_sec: f64) -> Option<f64> {
        self.current.insert(key, Sample { ticks, at });
        let before = self.previous.get(&key)?;
        let elapsed = at.duration_since(before.at).as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "2^53 ticks are three million years")]
        let used = ticks.saturating_sub(before.ticks) as f64 / ticks_per_sec;
        (elapsed > 0.0).then(|| used / elapsed * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn usage_is_ticks_over_real_time() {
        let mut times = CpuTimes::default();
        let start = Instant::now();
        let later = start + Duration::from_secs(2);
        assert_eq!(times.usage((1, 5), 100, start, 100.0), None);
        times.turn();
        assert_eq!(times.usage((1, 5), 200, later, 100.0), Some(50.0));
        assert_eq!(times.usage((1, 6), 900, later, 100.0), None, "another process with the same pid");
        times.turn();
        times.turn();
        assert_eq!(times.usage((1, 5), 300, later, 100.0), None, "a snapshot without it came between");
    }
}
