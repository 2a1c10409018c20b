//! Events on the broker, topic `audit.<actor>.<action>`, as JSON; checkpoints, on `audit.agent.checkpoint`, as text; and
//! the broker's own notices, which it publishes by itself.
//!
//! Whoever listens there is told what happens. The record is the ledger: a listener that holds publishers up holds up
//! this task and not the ledger, and what it misses is counted in the log.

use std::time::Duration;

use daemoneye_broker::payload::Notice;
use daemoneye_broker::{Broker, Client, Event as Told, Gap, Interest, Room, WhenFull, topic};
use daemoneye_dsl::audit::{Action, Actor, Event, Fact};
use serde_json::json;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinHandle;

use crate::audit::{self, Audit};
use crate::serve::now;

/// Events that may wait to be published.
const WAITING_LEN: usize = 4096;
/// Refusals of the broker that may wait for this program.
const REFUSALS: Room = Room { len: 4096, bytes: 4 << 20 };
/// How long the last events may take to leave when the agent stops.
const END_TIME: Duration = Duration::from_secs(1);

/// What leaves.
pub(super) enum Outgoing {
    Event(Event),
    /// A signed checkpoint, as text; the last is retained.
    Checkpoint(String),
}

/// The way out.
pub(super) struct Publisher {
    outgoing: Sender<Outgoing>,
    shed: u64,
}

/// The tasks that publish and listen.
pub(super) struct Tasks {
    publishing: JoinHandle<()>,
    listening: JoinHandle<()>,
}

impl Publisher {
    /// Publishes in the background, and listens to what the broker refuses.
    pub(super) async fn start(broker: &Broker, audit: Audit) -> anyhow::Result<(Self, Tasks)> {
        let (outgoing, waiting) = mpsc::channel(WAITING_LEN);
        let publishing = tokio::spawn(publish(broker.client("audit")?, waiting));
        let client = broker.client("ledger")?;
        let interest = Interest::new("audit.broker.>").when_full(WhenFull::DropNewest).room(REFUSALS);
        let refusals = client.subscribe(&interest).await?;
        let listening = tokio::spawn(async move {
            let mut refusals = refusals;
            while let Some(told) = refusals.recv().await {
                listen(told, &audit);
            }
        });
        Ok((Self { outgoing, shed: 0 }, Tasks { publishing, listening }))
    }

    /// One that hands over to nobody else.
    #[cfg(test)]
    pub(super) fn to(outgoing: Sender<Outgoing>) -> Self {
        Self { outgoing, shed: 0 }
    }

    /// Hands something over. Never waits.
    pub(super) fn publish(&mut self, outgoing: Outgoing) {
        if self.outgoing.try_send(outgoing).is_err() {
            self.shed += 1;
        } else if self.shed > 0 {
            tracing::warn!(events = self.shed, "events were not published on `audit.>`: a subscriber holds it up");
            self.shed = 0;
        }
    }
}

impl Tasks {
    /// Stops listening, and lets the last events leave, for a while.
    pub(super) async fn finish(self) {
        self.listening.abort();
        if tokio::time::timeout(END_TIME, self.publishing).await.is_err() {
            tracing::warn!("the last events were not published on `audit.>`: a subscriber holds it up");
        }
    }
}

async fn publish(client: Client, mut waiting: Receiver<Outgoing>) {
    while let Some(outgoing) = waiting.recv().await {
        let published = match outgoing {
            Outgoing::Event(event) => {
                let topic = topic::audit(&event.actor.name, event.action.name());
                client.publish(&topic, serde_json::to_vec(&event).expect("an event is JSON")).await
            }
            Outgoing::Checkpoint(note) => client.publish_retained(&topic::audit("agent", "checkpoint"), note).await,
        };
        if let Err(error) = published {
            tracing::debug!(%error, "an event is not published");
        }
    }
}

/// Puts on record what the broker refused.
fn listen(told: Told, audit: &Audit) {
    let at = now();
    let fact = match told {
        Told::Message(delivery) => match Notice::from_payload(delivery.payload) {
            Ok(notice) => audit::of_broker(&notice, at),
            Err(error) => return tracing::error!(%error, "the broker's own notice is none"),
        },
        Told::Gap(Gap::Dropped(events)) => {
            let payload = json!({"events": events, "where": "broker"});
            Some(Fact::new(at, Actor::component("agent"), Action::EntriesShed, "", &payload))
        }
        Told::Gap(Gap::Away) => return,
    };
    match fact {
        Some(fact) => audit.note(fact),
        None => tracing::error!("a notice of the broker has an action that is not in the list"),
    }
}
