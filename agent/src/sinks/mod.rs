//! Where alerts go: a thread of its own that empties the store's outbox.
//!
//! A committed alert waits in the outbox until every sink had it; one that was handed over when the agent died comes
//! again, so sinks are given each alert at least once, keyed by its id. Standard output may be closed, or a pipe that
//! nobody reads: then alerts wait here, and detection goes on.

mod publish;
pub(crate) mod terminal;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemoneye_broker::Client;
use daemoneye_dsl::alert::{Alert, SnapshotRef};
use daemoneye_storage::{Error, Store};
use tokio::runtime::Handle;

use self::terminal::Form;

/// How long the last alerts may take to leave when the agent stops. They come again when it next starts.
const END_TIME: Duration = Duration::from_secs(2);

/// The thread that delivers.
pub(crate) struct Sinks {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Sinks {
    /// Starts delivering, first of all what was left over.
    pub(crate) fn start(store: Arc<Store>, form: Form, publisher: Client, runtime: Handle) -> std::io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let outbox = Outbox { store, form, publisher, runtime };
        let thread = std::thread::Builder::new().name("sinks".to_owned()).spawn(move || outbox.run(&woken))?;
        Ok(Self { wake, thread })
    }

    /// There may be something in the outbox. Never waits: one wake-up that is not yet taken is as good as two.
    pub(crate) fn wake(&self) {
        let _already_awake = self.wake.try_send(());
    }

    /// Lets the last alerts leave, for a while.
    pub(crate) fn finish(self) {
        let Self { wake, thread } = self;
        drop(wake);
        let began = Instant::now();
        while !thread.is_finished() && began.elapsed() < END_TIME {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !thread.is_finished() {
            tracing::warn!("standard output is not being read; what was not printed comes again at the next start");
        }
    }
}

struct Outbox {
    store: Arc<Store>,
    form: Form,
    publisher: Client,
    runtime: Handle,
}

impl Outbox {
    fn run(&self, woken: &Receiver<()>) {
        loop {
            if let Err(error) = self.empty() {
                tracing::error!(%error, "cannot read which alerts wait to be delivered");
            }
            if woken.recv().is_err() {
                return;
            }
        }
    }

    /// Hands over what waits, oldest first, until nothing does.
    fn empty(&self) -> Result<(), Error> {
        loop {
            let ids = self.store.deliveries()?;
            if ids.is_empty() {
                return Ok(());
            }
            let view = self.store.read()?;
            for id in &ids {
                match view.alert(*id) {
                    Ok(Some(alert)) => {
                        let SnapshotRef { source, sequence } = &alert.snapshot;
                        tracing::error_span!("snapshot", source, sequence).in_scope(|| self.deliver(&alert));
                    }
                    Ok(None) => tracing::error!(alert = id, "an alert waits to be delivered and is not in the store"),
                    Err(error) => tracing::error!(alert = id, %error, "an alert cannot be delivered"),
                }
            }
            self.store.delivered(&ids)?;
        }
    }

    /// A sink that fails does not keep the others from the alert: it is in the store whatever happens.
    fn deliver(&self, alert: &Alert) {
        let (id, rule) = (alert.id, &alert.rule.name);
        match self.runtime.block_on(publish::publish(&self.publisher, alert)) {
            Ok(()) => tracing::debug!(alert = id, rule, sink = "broker", "alert delivered"),
            Err(error) => tracing::warn!(%error, alert = id, "cannot publish an alert; it is in the store"),
        }
        match terminal::write(alert, self.form) {
            Ok(()) => tracing::debug!(alert = id, rule, sink = "standard output", "alert delivered"),
            Err(error) => tracing::warn!(%error, alert = id, "cannot print an alert; it is in the store"),
        }
    }
}
