//! Which alerts are not delivered: the silences in force while a snapshot is taken.

use daemoneye_dsl::alert::Alert;
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Error, Transaction};

use crate::audit;

/// Silences that may be in force at one time.
pub(crate) const SILENCES_LEN_MAX: usize = 1024;

/// The silences in force.
#[derive(Default)]
pub(crate) struct Silences(Vec<Silence>);

impl Silences {
    /// Those in force at that moment; the others are dropped from the store.
    pub(crate) fn sifted(transaction: &mut Transaction, now: Timestamp) -> Result<Self, Error> {
        let (over, in_force): (Vec<_>, Vec<_>) =
            transaction.silences()?.into_iter().partition(|silence| silence.is_over(now));
        for silence in over {
            transaction.remove_silence(silence.number)?;
            transaction.put_event(&audit::unsilenced(now, None, silence.number))?;
            tracing::info!(silence = silence.number, rule = silence.rule, "a silence has ended");
        }
        Ok(Self(in_force))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The first that keeps this alert from being delivered.
    pub(crate) fn over(&self, alert: &Alert) -> Option<u64> {
        self.0.iter().find(|silence| silence.is_about(alert)).map(|silence| silence.number)
    }
}
