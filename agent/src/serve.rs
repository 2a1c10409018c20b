//! The running agent: connections, signals, the engine's thread and the collector, from start to end.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use daemoneye_broker::message::{Mode, SnapshotBatch};
use daemoneye_broker::{Broker, Delivery, topic};
use daemoneye_dsl::types::{Timestamp, parse_interval};
use tokio::sync::watch;

use crate::agent::{Agent, Taken};
use crate::collector;
use crate::sinks::Sinks;
use crate::sinks::terminal::Form;

/// Batches that may wait for the engine.
const INPUT_LEN: usize = 4;

/// Who reports.
pub(crate) struct Collector {
    /// What is started; none where one is waited for.
    pub(crate) program: Option<PathBuf>,
    /// What it is told, where it is started.
    pub(crate) args: Vec<OsString>,
    /// Time between two of its snapshots.
    pub(crate) interval: String,
}

/// What the engine's loop takes.
enum Input {
    /// From a collector, to be acknowledged.
    Batch(Delivery),
    /// Finish what was begun, then end.
    Shutdown,
}

/// Runs until a signal asks to stop or the engine fails.
pub(crate) async fn serve(
    broker: &Broker,
    agent: Agent,
    form: Form,
    collector: Collector,
    mut signals: Signals,
) -> anyhow::Result<()> {
    let client = broker.client("agent");
    let mut batches = client.subscribe(topic::ALL_EVENTS, Mode::Acknowledged).await?;
    let runtime = tokio::runtime::Handle::current();
    let sinks =
        Sinks::start(agent.store(), form, broker.client("alerts"), runtime).context("cannot start the sinks")?;
    let (inputs, received) = mpsc::sync_channel(INPUT_LEN);
    let engine = std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine(agent, &received, sinks))
        .context("cannot start the engine's thread")?;

    let (stop, stopped) = watch::channel(false);
    let patience = collector.patience();
    let Collector { program, args, .. } = collector;
    let keeper = program.map(|program| tokio::spawn(collector::keep(program, args, stopped)));
    loop {
        tokio::select! {
            name = signals.next() => {
                tracing::info!(signal = name, "stopping");
                break;
            }
            delivery = tokio::time::timeout(patience, batches.recv()) => match delivery {
                Ok(Some(delivery)) => {
                    // The engine takes one batch after the other; while it is behind, deliveries wait in the broker's
                    // bounded queue and the collector waits for their acknowledgement.
                    let inputs = inputs.clone();
                    let handed = tokio::task::spawn_blocking(move || inputs.send(Input::Batch(delivery)).is_ok());
                    if !handed.await.unwrap_or(false) {
                        break;
                    }
                }
                Ok(None) => break,
                Err(_) => tracing::warn!(?patience, "no snapshot arrived: nothing is detected while no collector reports"),
            },
        }
    }
    let _nobody_listens = stop.send(true).is_err();
    if let Some(keeper) = keeper {
        keeper.await.context("the collector's keeper failed")?;
    }
    let _engine_has_ended = inputs.send(Input::Shutdown).is_err();
    let sinks = tokio::task::spawn_blocking(move || engine.join()).await.context("cannot wait for the engine")?;
    let sinks = sinks.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    tokio::task::spawn_blocking(move || sinks.finish()).await.context("cannot wait for the sinks")
}

impl Collector {
    /// How long to wait for a snapshot before saying that none comes.
    fn patience(&self) -> Duration {
        let own =
            parse_interval(&self.interval).and_then(|micros| u64::try_from(micros).ok()).map(Duration::from_micros);
        let interval = own.filter(|_| self.program.is_some()).unwrap_or(Duration::from_secs(30));
        (interval * 3).max(Duration::from_secs(10))
    }
}

/// The engine: one batch after the other until the end. Gives the sinks back.
fn engine(mut agent: Agent, inputs: &mpsc::Receiver<Input>, sinks: Sinks) -> Sinks {
    while let Ok(Input::Batch(delivery)) = inputs.recv() {
        let batch = match SnapshotBatch::from_payload(delivery.payload.clone()) {
            Ok(batch) => batch,
            Err(error) => {
                tracing::warn!(%error, "a batch that is none was refused");
                delivery.refuse(&error.to_string());
                continue;
            }
        };
        match agent.take(&batch) {
            Ok(Taken::New { processes, alerts }) => {
                tracing::debug!(sequence = batch.sequence, processes, alerts, "snapshot committed");
                delivery.acknowledge();
                sinks.wake();
            }
            Ok(Taken::Known) => delivery.acknowledge(),
            Err(error) => {
                tracing::error!(%error, sequence = batch.sequence, "snapshot refused; nothing of it is stored");
                delivery.refuse(&error.to_string());
            }
        }
    }
    if let Err(error) = agent.end_run(now()) {
        tracing::warn!(%error, "the end of this run is not on record: `daemoneye-cli status` takes it for killed");
    }
    sinks
}

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The signals that ask to stop. One that comes while nobody waits for the next is kept.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    #[cfg(windows)]
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }

    #[cfg(windows)]
    async fn next(&mut self) -> &'static str {
        let _ = self.interrupt.recv().await;
        "interrupt"
    }
}
