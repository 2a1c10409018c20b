//! Measuring on a machine that does other things too: medians, and processor time where nothing waits.

use std::time::{Duration, Instant};

/// The processor time that this thread has used.
#[cfg(unix)]
fn thread_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_THREAD_CPUTIME_ID);
    time.expect("every Unix has this clock").into()
}

/// The processor time that this process has used, in all its threads.
#[cfg(unix)]
fn process_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.expect("every Unix has this clock").into()
}

/// Elsewhere the time on the wall stands in for them.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}

#[cfg(not(unix))]
use thread_time as process_time;

/// The durations of one thing, done again and again.
#[derive(Clone, Debug, Default)]
pub struct Samples(Vec<Duration>);

impl Samples {
    /// Does it once more and counts the processor time of this thread: for work that waits for nothing.
    pub fn cpu<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = thread_time();
        let done = work();
        self.0.push(thread_time().saturating_sub(start));
        done
    }

    /// Does it once more and counts the processor time of every thread: for work that starts some.
    pub fn process_cpu<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = process_time();
        let done = work();
        self.0.push(process_time().saturating_sub(start));
        done
    }

    /// Does it once more and counts the time on the wall: for work that waits for the disk.
    pub fn wall<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let done = work();
        self.0.push(start.elapsed());
        done
    }

    /// The middle one, in microseconds; there is at least one.
    pub fn median_micros(&self) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        sorted[sorted.len() / 2].as_secs_f64() * 1e6
    }

    /// What that many in a hundred do not exceed, in microseconds; there is at least one.
    pub fn percentile_micros(&self, percent: usize) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted[rank - 1].as_secs_f64() * 1e6
    }

    /// The last one, in microseconds; there is at least one.
    pub fn last_micros(&self) -> f64 {
        self.0[self.0.len() - 1].as_secs_f64() * 1e6
    }

    /// All one after the other, in microseconds.
    pub fn sum_micros(&self) -> f64 {
        self.0.iter().sum::<Duration>().as_secs_f64() * 1e6
    }
}

/// A count as a number to calculate with.
pub fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).expect("counts here are below four billion"))
}

/// The number on the command line, for a size other than the usual one: `cargo bench --bench NAME -- 500`.
pub fn size_or(usual: usize) -> usize {
    std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(usual)
}

/// What was found wrong while the rest was still being measured.
#[derive(Debug, Default)]
pub struct Verdict(Vec<String>);

impl Verdict {
    /// Notes `what` unless `holds`.
    pub fn expect(&mut self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.0.push(what());
        }
    }

    /// An error that names everything that did not hold.
    pub fn finish(self) -> anyhow::Result<()> {
        anyhow::ensure!(self.0.is_empty(), "{} of the checks failed:\n  {}", self.0.len(), self.0.join("\n  "));
        Ok(())
    }
}
