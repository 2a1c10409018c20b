//! Giving back what is free in the store's file: rarely, and while nobody waits.
//!
//! What sealing and retention leave free is used again, so a file stays about as large as it is; one of which much is free
//! was larger than it has to be, and one that is larger than `retention.bytes` larger than it should be. Making it smaller moves pages, and meanwhile nobody can record or begin to read; it cannot
//! be stopped in between. So it begins right after a snapshot, if it will be over before the next. One that comes all the
//! same waits in the broker. While somebody reads, it is put off. An agent that is killed in the middle of it loses
//! nothing: the file is repaired when it is next opened.

use std::time::{Duration, Instant};

use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, Store};

/// So much of the file is free before it is made smaller, and half of it.
const FREE_MIN: u64 = 64 << 20;
/// Of a file that is larger than what may be kept, one so many-th is enough.
const TOO_LARGE: u64 = 8;
/// How often it looks how much is free.
const LOOK_PERIOD: Duration = Duration::from_mins(10);
/// Bytes in use for which a second is taken, until one file was timed.
const RATE: u64 = 64 << 20;
/// A disk slower than this is taken to have been busy.
const RATE_MIN: u64 = 4 << 20;

/// Makes the store's file smaller when that is due.
pub(crate) struct Compactor {
    looked: Option<Instant>,
    /// Bytes in use of a file that should be smaller.
    due: Option<u64>,
    /// Bytes in use for which a second is taken.
    rate: u64,
    /// It was said that there is no time for it.
    said: bool,
    /// It waits for the next snapshot to be over.
    waits: bool,
}

impl Default for Compactor {
    fn default() -> Self {
        Self { looked: None, due: None, rate: RATE, said: false, waits: false }
    }
}

impl Compactor {
    /// Compacts a file that should have `bytes_max` at most if that is due and nobody waits.
    pub(crate) fn step(&mut self, store: &Store, bytes_max: u64, now: Timestamp) -> Result<(), Error> {
        if self.looked.is_none_or(|looked| looked.elapsed() >= LOOK_PERIOD) {
            self.due = worth(store, bytes_max)?;
            self.looked = Some(Instant::now());
        }
        self.waits = false;
        let Some(used) = self.due else { return Ok(()) };
        let (collectors, _) = store.read()?.collectors()?;
        let last = collectors.iter().max_by_key(|collector| collector.last_snapshot.0);
        let left = last.and_then(|last| left(last.last_snapshot, last.interval_micros?, now));
        let Some((interval, left)) = left else { return Ok(()) };
        let estimate = Duration::from_millis(used / (self.rate / 1000).max(1));
        if estimate > interval && !self.said {
            self.said = true;
            tracing::warn!(
                ?estimate,
                "much of the store's file is free, and there is no time between snapshots to give it back: stop the \
                 agent and run `daemoneye-cli data compact`"
            );
        }
        self.waits = estimate > left && estimate <= interval;
        if estimate > left { Ok(()) } else { self.compact(store, used) }
    }

    /// Whether it should be asked again soon, and not in step with the snapshots.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    fn compact(&mut self, store: &Store, used: u64) -> Result<(), Error> {
        let before = store.file_len()?;
        let began = Instant::now();
        tracing::info!(bytes = before, "giving back what is free in the store's file");
        match store.compact() {
            Err(Error::Busy) => {
                tracing::info!("the store is being read: its file is made smaller later");
                return Ok(());
            }
            compacted => compacted?,
        }
        let elapsed = began.elapsed();
        self.due = None;
        self.said = false;
        self.rate =
            (used.saturating_mul(1000) / u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX).max(1)).max(RATE_MIN);
        tracing::info!(before, after = store.file_len()?, ?elapsed, "the store's file was made smaller");
        Ok(())
    }
}

/// Bytes in use of a file of which so much is free that it should be smaller.
fn worth(store: &Store, bytes_max: u64) -> Result<Option<u64>, Error> {
    let Some(len) = store.file_len()? else { return Ok(None) };
    let used = store.read()?.room()?.file_len();
    Ok(is_worth(len, used, bytes_max).then_some(used))
}

fn is_worth(len: u64, used: u64, bytes_max: u64) -> bool {
    let part = if len > bytes_max { len / TOO_LARGE } else { len / 2 };
    len.saturating_sub(used) >= part.max(FREE_MIN)
}

/// The time between two snapshots of a collector, and what is left of it before the next is due.
fn left(last: Timestamp, interval: i64, now: Timestamp) -> Option<(Duration, Duration)> {
    let since = u64::try_from(now.0.checked_sub(last.0)?).ok()?;
    let interval = u64::try_from(interval).ok()?;
    Some((Duration::from_micros(interval), Duration::from_micros(interval.saturating_sub(since))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_it_should_be_is_made_smaller_sooner() {
        const GIB: u64 = 1 << 30;
        assert!(is_worth(2 * GIB, GIB, 4 * GIB), "half of it is free");
        assert!(!is_worth(2 * GIB, GIB + 1, 4 * GIB));
        assert!(is_worth(2 * GIB, 2 * GIB - GIB / 4, 2 * GIB - 1), "an eighth is, of what is too large");
        assert!(!is_worth(2 * GIB, 2 * GIB - GIB / 4, 2 * GIB));
        assert!(!is_worth(2 * FREE_MIN, FREE_MIN + 1, 0), "never for little");
    }

    #[test]
    fn what_is_left_is_never_more_than_the_interval() {
        let micros = Duration::from_micros;
        let of = |now| left(Timestamp(1_000_000), 500, Timestamp(now));
        assert_eq!(of(1_000_000), Some((micros(500), micros(500))));
        assert_eq!(of(1_000_200), Some((micros(500), micros(300))));
        assert_eq!(of(2_000_000), Some((micros(500), micros(0))));
        // The clock went back: nobody knows.
        assert_eq!(of(900_000), None);
    }
}
