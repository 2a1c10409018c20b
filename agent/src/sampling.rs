//! How often it is put on record what processes use.

use std::time::Duration;

use arrow_array::RecordBatch;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, Round, Sampler};

/// The samples of processes.
pub(crate) struct Sampling {
    /// Never, where it is zero.
    every: Duration,
    sampler: Sampler,
}

impl Sampling {
    /// Goes on after the round that was recorded last.
    pub(crate) fn after(last: Option<Timestamp>, every: Duration) -> Self {
        Self { every, sampler: Sampler::after(last) }
    }

    /// From now on this often.
    pub(crate) fn set(&mut self, every: Duration) {
        self.every = every;
    }

    /// What of a snapshot is to be recorded; nothing between two rounds.
    pub(crate) fn round(&mut self, snapshot: &RecordBatch, now: Timestamp) -> Result<Option<Round>, Error> {
        if self.every.is_zero() {
            return Ok(None);
        }
        self.sampler.round(snapshot, now, i64::try_from(self.every.as_micros()).unwrap_or(i64::MAX))
    }

    /// Notes that a round is committed.
    pub(crate) fn took(&mut self, round: Round) {
        self.sampler.took(round);
    }
}
