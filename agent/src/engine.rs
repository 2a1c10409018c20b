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
    // Whoever gave it up looks whether it was done: what was not begun by then is not done afterwards.
    if delivery.is_cancelled() {
        tracing::info!("nobody waits any more for what became of an order: it is not obeyed");
        return;
    }
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

#[cfg(test)]
mod tests {
    use daemoneye_broker::payload::{Deed, Export};
    use daemoneye_broker::{Broker, Client, Gate, Interest, Key, Limits, Outcome, Settings, tree};
    use daemoneye_dsl::limits;
    use daemoneye_planner::Size;

    use super::*;
    use crate::rules;

    fn agent(dir: &tempfile::TempDir, audit: Audit) -> Agent {
        let state = Size { rows: 1_000, bytes: 1 << 20 };
        let bounds = Bounds { time: Duration::from_mins(1), state, grace: Duration::from_hours(1) };
        let loaded = rules::load(&[dir.path().to_owned()], limits::Limits::default());
        Agent::open(&dir.path().join("events.redb"), loaded, bounds, Duration::from_mins(5), audit).unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn an_order_is_done_while_somebody_waits_for_it_and_not_afterwards() {
        let dir = tempfile::tempdir().unwrap();
        let (audit, ..) = audit::channel();
        let mut agent = agent(&dir, audit.clone());
        let gate = Gate::new(Key::generate().unwrap(), None);
        let settings = Settings { gate, tree: tree::OPEN, limits: Limits::default(), group: None };
        let broker = Broker::bind(dir.path().join("s"), settings).unwrap();
        let mut asked = broker.client("agent").unwrap().subscribe(&Interest::new("t").answering()).await.unwrap();
        let operator = broker.client("operator").unwrap();
        let told = |client: Client| async move { client.request("t", "", Duration::from_secs(20)).await };
        let events = |agent: &Agent| agent.store().read().unwrap().next_event().unwrap();
        let order = || Order::from(Deed::Export(Export { table: "alerts".to_owned(), ..Export::default() }));
        let before = events(&agent);

        let waiting = tokio::spawn(told(operator.clone()));
        let given_up = asked.message().await.unwrap();
        waiting.abort();
        given_up.cancelled().await;
        obey(&mut agent, order(), given_up, &audit);
        assert_eq!(events(&agent), before);

        let waiting = tokio::spawn(told(operator));
        obey(&mut agent, order(), asked.message().await.unwrap(), &audit);
        assert_eq!(waiting.await.unwrap().unwrap(), Outcome::Accepted(daemoneye_broker::Bytes::new()));
        assert_eq!(events(&agent), before + 1);
    }
}
