//! The engine's thread: one input after the other until the end.

use std::sync::mpsc;
use std::time::Duration;

use daemoneye_broker::Delivery;
use daemoneye_broker::message::SnapshotBatch;

use crate::agent::{Agent, Taken};
use crate::rules::Loaded;
use crate::serve::now;
use crate::sinks::Sinks;

/// What the engine's loop takes.
pub(crate) enum Input {
    /// From a collector, to be acknowledged.
    Batch(Delivery),
    /// The rules and the settings were read anew.
    Reload {
        /// The rules.
        loaded: Loaded,
        /// What one may take for one snapshot.
        rule_time_limit: Duration,
    },
    /// Finish what was begun, then end.
    Shutdown,
}

/// Takes inputs until the last. Gives the sinks back.
pub(crate) fn run(mut agent: Agent, inputs: &mpsc::Receiver<Input>, sinks: Sinks) -> Sinks {
    while let Ok(input) = inputs.recv() {
        match input {
            Input::Batch(delivery) => take(&mut agent, delivery, &sinks),
            Input::Reload { loaded, rule_time_limit } => agent.reload(loaded, rule_time_limit),
            Input::Shutdown => break,
        }
    }
    if let Err(error) = agent.end_run(now()) {
        tracing::warn!(%error, "the end of this run is not on record: `daemoneye-cli status` takes it for killed");
    }
    sinks
}

fn take(agent: &mut Agent, delivery: Delivery, sinks: &Sinks) {
    let batch = match SnapshotBatch::from_payload(delivery.payload.clone()) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::warn!(%error, "a batch that is none was refused");
            return delivery.refuse(&error.to_string());
        }
    };
    // At the gravest level, so that the span is there whatever is logged.
    let _snapshot = tracing::error_span!("snapshot", source = batch.source, sequence = batch.sequence).entered();
    match agent.take(&batch) {
        Ok(Taken::New { processes, alerts }) => {
            tracing::debug!(processes, alerts, "snapshot committed");
            delivery.acknowledge();
            sinks.wake();
        }
        Ok(Taken::Known) => {
            tracing::debug!("snapshot known already");
            delivery.acknowledge();
        }
        Err(error) => {
            tracing::error!(%error, "snapshot refused; nothing of it is stored");
            delivery.refuse(&error.to_string());
        }
    }
}
