//! The ledger's thread: the one writer.
//!
//! ```text
//! event store's outbox ──────┐
//! Audit::note ── bounded ────┼─► number ─► append, many in one commit ─► checkpoints
//! `audit.broker.>` (broker) ─┘      └────► `audit.>` for whoever listens
//! Audit::order ── operators ──► checkpoint, another key, cosignatures ──► answered
//! ```
//!
//! What waits in the event store's outbox has its number from there. Everything else gets one of this run. A batch that
//! could not be appended is tried again, under the same numbers; the ledger takes each number once. Meanwhile detection
//! goes on: the outbox holds what it can, this thread keeps the first [`writer::PENDING_MAX`] of the rest, and what neither
//! could hold is counted, and the count is an entry.

mod book;
mod export;
mod publish;
mod repeats;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use daemoneye_broker::Broker;
use daemoneye_dsl::status::LedgerHealth;
use daemoneye_storage::Store;
use tokio::sync::watch::Sender;

pub(crate) use self::book::{Book, Policy};
pub(crate) use self::export::Webhook;
use self::publish::{Publisher, Tasks};
use self::writer::Writer;
use crate::audit::{Audit, Noted, Shared};

/// The running ledger.
pub(crate) struct Ledger {
    path: PathBuf,
    audit: Audit,
    thread: JoinHandle<()>,
    tasks: Tasks,
}

/// Where events come from.
pub(crate) struct Inflow {
    /// The store, with its outbox.
    pub(crate) store: Arc<Store>,
    /// What is noted.
    pub(crate) noted: Receiver<Noted>,
    pub(crate) shared: Arc<Shared>,
}

impl Ledger {
    /// Starts recording, first of all what a run before left in the outbox.
    pub(crate) async fn start(
        broker: &Broker,
        book: Book,
        inflow: Inflow,
        audit: Audit,
        health: Sender<LedgerHealth>,
    ) -> anyhow::Result<Self> {
        let path = book.path().to_owned();
        let (publisher, tasks) = Publisher::start(broker, audit.clone()).await?;
        let Inflow { store, noted, shared } = inflow;
        let writer = Writer::new(store, shared, book, publisher, health);
        let thread = std::thread::Builder::new().name("ledger".to_owned()).spawn(move || writer.run(&noted))?;
        Ok(Self { path, audit, thread, tasks })
    }

    /// Where its file is.
    pub(crate) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Records what there is, signs it, and ends.
    pub(crate) async fn finish(self) {
        let Self { audit, thread, tasks, .. } = self;
        let ended = tokio::task::spawn_blocking(move || {
            audit.end();
            thread.join()
        });
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::error!("the ledger's thread panicked; what it had not recorded yet is in the event store or lost");
        }
        tasks.finish().await;
    }
}
