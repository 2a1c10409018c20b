//! The engine's thread: one input after the other until the end.

use std::sync::mpsc;
use std::time::Duration;

use daemoneye_broker::Delivery;
use daemoneye_broker::SnapshotBatch;
use daemoneye_broker::payload::Order;
use daemoneye_dsl::types::Timestamp;
use serde_json::json;
use tokio::sync::watch::Sender;

use crate::agent::{Agent, Health, Refusal, Taken, Wanted};
use crate::answers::Seen;
use crate::audit::{self, Audit};
use crate::evaluation::Bounds;
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
        /// What one may take.
        bounds: Bounds,
        /// How often processes are sampled.
        sampled: Duration,
        /// When that was.
        at: Timestamp,
    },
    /// From an operator, to be acknowledged.
    Order(Order, Delivery),
    /// Finish what was begun, then end.
    Shutdown,
}

/// Where the engine shows what others may know.
pub(crate) struct Window {
    /// The latest snapshot.
    pub(crate) seen: Sender<Option<Seen>>,
    /// How it is.
    pub(crate) health: Sender<Health>,
}

/// Takes inputs until the last, and shows what came of each. Gives the agent and the sinks back.
pub(crate) fn run(
    mut agent: Agent,
    inputs: &mpsc::Receiver<Input>,
    sinks: Sinks,
    window: &Window,
    audit: &Audit,
) -> (Agent, Sinks) {
    while let Ok(input) = inputs.recv() {
        match input {
            Input::Batch(delivery) => {
                take(&mut agent, delivery, &sinks, audit);
                window.seen.send_replace(agent.seen());
            }
            Input::Reload { loaded, bounds, sampled, at } => agent.reload(loaded, bounds, sampled, at),
            Input::Order(order, delivery) => obey(&mut agent, order, delivery, audit),
            Input::Shutdown => break,
        }
        audit.wake();
        window.health.send_replace(agent.health());
    }
    if agent.waiting() > 0 {
        tracing::warn!(snapshots = agent.waiting(), "the disk could not be written to: what waited for it is lost");
    }
    (agent, sinks)
}

fn take(agent: &mut Agent, delivery: Delivery, sinks: &Sinks, audit: &Audit) {
    let refuse = |delivery: Delivery, source: &str, why: &str| {
        audit.note(audit::refused(now(), &delivery, &json!({"snapshot_of": source}), why));
        delivery.refuse(why);
    };
    let batch = match SnapshotBatch::from_payload(delivery.payload.clone()) {
        Ok(batch) => batch,
        Err(error) => {
            tracing::warn!(%error, "a batch that is none was refused");
            return refuse(delivery, "", &error.to_string());
        }
    };
    let source = batch.source.clone();
    // At the gravest level, so that the span is there whatever is logged.
    let _snapshot = tracing::error_span!("snapshot", source = batch.source, sequence = batch.sequence).entered();
    match agent.take_in_turn(batch) {
        Ok(Taken::New { processes, alerts }) => {
            tracing::debug!(processes, alerts, "snapshot committed");
            delivery.acknowledge();
            sinks.wake();
        }
        Ok(Taken::Known) => {
            tracing::debug!("snapshot known already");
            delivery.acknowledge();
        }
        Err(error @ Refusal::Waits { .. }) => {
            tracing::error!(%error, "snapshot not stored yet: nothing is detected until it is");
            delivery.refuse(&error.to_string());
            sinks.wake();
        }
        Err(error) => {
            tracing::error!(%error, "snapshot refused; nothing of it is stored");
            refuse(delivery, &source, &error.to_string());
        }
    }
}

fn obey(agent: &mut Agent, order: Order, delivery: Delivery, audit: &Audit) {
    let wanted = Wanted { by: audit::actor_of(&delivery), at: now() };
    let asked = order.deed.as_ref().map(audit::of_deed).unwrap_or_default();
    match agent.obey(order, wanted) {
        Ok(None) => delivery.acknowledge(),
        Ok(Some(silence)) => delivery.reply(serde_json::to_vec(&silence).expect("a silence is JSON")),
        Err(why) => {
            tracing::warn!(why, "order refused");
            audit.note(audit::refused(now(), &delivery, &asked, &why));
            delivery.refuse(&why);
        }
    }
}
