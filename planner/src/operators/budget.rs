//! How long a piece of work may take, looked at by the work itself.
//!
//! The planner has no clock: who has one lends it. Work counts its units (rows looked at, pairs made) and looks at the
//! clock every few thousand, so that one operator cannot hold up all others, and a unit costs an addition.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::dataflow::Clock;
use crate::error::Error;

/// Units of work between two looks at the clock.
pub(crate) const UNITS: usize = 4_096;

/// None of it is bounded until [`Budget::begin`].
pub(crate) struct Budget {
    clock: Option<Clock>,
    /// Set when nobody wants the work any more.
    stop: Option<Arc<AtomicBool>>,
    /// When the work must have ended, and how long it was given in all.
    until: Cell<Option<(Duration, Duration)>>,
    /// Units before the next look.
    left: Cell<usize>,
}

impl Budget {
    pub(crate) fn new(clock: Option<Clock>, stop: Option<Arc<AtomicBool>>) -> Self {
        Self { clock, stop, until: Cell::new(None), left: Cell::new(UNITS) }
    }

    /// Work begins now, of which `limit` is left but for what was `spent` of it before.
    pub(crate) fn begin(&self, now: Option<Duration>, limit: Option<Duration>, spent: Duration) {
        self.until.set(now.zip(limit).map(|(now, limit)| (now + limit.saturating_sub(spent), limit)));
        self.left.set(UNITS);
    }

    /// So many units of work are about to be done.
    pub(crate) fn spend(&self, units: usize) -> Result<(), Error> {
        match self.left.get().checked_sub(units) {
            Some(left) => {
                self.left.set(left);
                Ok(())
            }
            None => self.look(),
        }
    }

    /// Looks at the clock, and whether to go on at all.
    #[cold]
    pub(crate) fn look(&self) -> Result<(), Error> {
        self.left.set(UNITS);
        if self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed)) {
            return Err(Error::Unwanted);
        }
        match (self.clock, self.until.get()) {
            (Some(clock), Some((until, limit))) if clock() > until => {
                Err(Error::TooSlow { operation: "an operation", limit })
            }
            _ => Ok(()),
        }
    }
}
