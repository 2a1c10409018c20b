//! Snapshots that wait for room on the disk.
//!
//! While the disk is full nothing can be committed, so nothing is acknowledged and no alert is raised; but what lived
//! for two snapshots and is gone when there is room would be lost, and so would its alerts. So snapshots are kept here
//! and taken in their order. There is a bound, and the oldest give way: the newest says who is alive, whatever is
//! missing before it.

use std::collections::VecDeque;

use daemoneye_broker::SnapshotBatch;

/// Snapshots that wait at most: at the usual interval, four hours of them.
const SNAPSHOTS_MAX: usize = 512;
/// Bytes of them, as they came.
const BYTES_MAX: usize = 32 << 20;

/// What waits, oldest first.
#[derive(Default)]
pub(crate) struct Backlog {
    waiting: VecDeque<SnapshotBatch>,
    bytes: usize,
    /// How many gave way since one was committed.
    shed: u64,
}

impl Backlog {
    /// Appends a snapshot; the oldest give way.
    pub(crate) fn keep(&mut self, batch: SnapshotBatch) {
        self.bytes += batch.rows.len();
        self.waiting.push_back(batch);
        while self.waiting.len() > SNAPSHOTS_MAX || self.bytes > BYTES_MAX && self.waiting.len() > 1 {
            self.take();
            self.shed += 1;
        }
    }

    /// The oldest, to be tried; [`Backlog::put_back`] if it has to wait on.
    pub(crate) fn take(&mut self) -> Option<SnapshotBatch> {
        let batch = self.waiting.pop_front()?;
        self.bytes -= batch.rows.len();
        Some(batch)
    }

    pub(crate) fn put_back(&mut self, batch: SnapshotBatch) {
        self.bytes += batch.rows.len();
        self.waiting.push_front(batch);
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn shed(&self) -> u64 {
        self.shed
    }

    /// What gave way is on record.
    pub(crate) fn committed(&mut self) {
        self.shed = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_give_way_and_are_counted() {
        let batch =
            |sequence: u64, len: usize| SnapshotBatch { sequence, rows: vec![0; len].into(), ..Default::default() };
        let mut backlog = Backlog::default();
        (0..SNAPSHOTS_MAX as u64 + 3).for_each(|sequence| backlog.keep(batch(sequence, 1)));
        assert_eq!((backlog.len(), backlog.shed()), (SNAPSHOTS_MAX, 3));
        let first = backlog.take().unwrap();
        assert_eq!(first.sequence, 3);
        backlog.put_back(first);
        backlog.keep(batch(1000, BYTES_MAX - 5));
        assert_eq!((backlog.len(), backlog.bytes), (6, BYTES_MAX));
        // One that is larger than all that may wait is still better than none.
        backlog.keep(batch(1001, 2 * BYTES_MAX));
        assert_eq!((backlog.len(), backlog.take().unwrap().sequence, backlog.bytes), (1, 1001, 0));
        backlog.committed();
        assert_eq!(backlog.shed(), 0);
    }
}
