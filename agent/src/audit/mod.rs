//! What the agent puts on record, and the way there.
//!
//! What is part of a transaction of the event store waits in its outbox ([`Transaction::put_event`]); everything else is
//! handed to the ledger's thread ([`Audit::note`]), which never holds anybody up: where it does not follow, what it was
//! not given is counted, and the count is an entry.

mod facts;
mod program;
mod rules;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use daemoneye_broker::payload::LedgerOrder;
use daemoneye_broker::{Delivery, Role};
use daemoneye_dsl::audit::{Actor, Fact};

pub(crate) use self::facts::*;
pub(crate) use self::program::{began, program, stranger as stranger_program};
pub(crate) use self::rules::{of_rules, set_rule};

/// What may wait for the ledger's thread.
pub(crate) const NOTED_LEN: usize = 4096;

/// What the ledger's thread is told.
pub(crate) enum Noted {
    /// Something happened that is in no transaction.
    Fact(Fact),
    /// There may be something in the event store's outbox.
    Wake,
    /// From an operator, to be answered.
    Order(LedgerOrder, Delivery),
    /// Everything else has ended: record what there is, and end.
    End,
}

/// The way to the ledger.
#[derive(Clone)]
pub(crate) struct Audit {
    noted: SyncSender<Noted>,
    shared: Arc<Shared>,
}

/// What both ends know.
#[derive(Default)]
pub(crate) struct Shared {
    /// Facts that there was no room for.
    pub(crate) shed: AtomicU64,
    /// The last number of the event store's outbox that is durable in the ledger.
    pub(crate) recorded: AtomicU64,
}

/// A way to the ledger, and its end there.
pub(crate) fn channel() -> (Audit, Receiver<Noted>, Arc<Shared>) {
    let (noted, heard) = sync_channel(NOTED_LEN);
    let shared = Arc::<Shared>::default();
    (Audit { noted, shared: shared.clone() }, heard, shared)
}

impl Audit {
    /// Puts on record what is in no transaction. Never waits.
    pub(crate) fn note(&self, fact: Fact) {
        if self.noted.try_send(Noted::Fact(fact)).is_err() {
            self.shared.shed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A transaction with events was committed.
    pub(crate) fn wake(&self) {
        // A full queue wakes it too.
        let _it_wakes_anyhow = self.noted.try_send(Noted::Wake);
    }

    /// Hands over what an operator wants of the ledger, whose thread answers. Never waits.
    pub(crate) fn order(&self, order: LedgerOrder, delivery: Delivery) {
        if let Err(
            TrySendError::Full(Noted::Order(_, delivery)) | TrySendError::Disconnected(Noted::Order(_, delivery)),
        ) = self.noted.try_send(Noted::Order(order, delivery))
        {
            delivery.refuse("the ledger's thread does not follow; try again later");
        }
    }

    /// Nothing comes any more. Waits for room.
    pub(crate) fn end(&self) {
        let _it_ended_already = self.noted.send(Noted::End);
    }

    /// The last number of the outbox that is durable in the ledger.
    pub(crate) fn recorded(&self) -> u64 {
        self.shared.recorded.load(Ordering::Acquire)
    }
}

fn agent() -> Actor {
    Actor::component("agent")
}

/// Whose doing a message is, by what they have proved and the system says of them.
pub(crate) fn actor_of(delivery: &Delivery) -> Actor {
    let Some(publisher) = delivery.publisher() else { return agent() };
    let name = match publisher.role {
        Role::Operator => "operator",
        Role::Collector => "collector",
        Role::Agent => "agent",
    };
    Actor { name: name.to_owned(), uid: publisher.peer.uid, pid: publisher.peer.pid }
}

/// The name that a client gave itself.
pub(crate) fn client_of(delivery: &Delivery) -> &str {
    delivery.publisher().map_or("", |publisher| &publisher.name)
}
