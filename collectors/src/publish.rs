//! The life of `procmond`: connect, publish a snapshot at each interval, connect again.
//!
//! An agent that is being restarted or replaced comes back, so connecting is tried for ever.
//! Every snapshot is whole, so one that is lost is not sent again: the next one heals it, and the sequence number shows
//! the agent that something is missing. Collecting blocks, so it has a thread of its own, and signals and the end of
//! standard input are answered at once.

use std::convert::Infallible;
use std::io::{self, BufRead, Read};
use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use anyhow::Context;
use daemoneye_broker::{
    Backoff, Client, Credential, Encryption, Error, Identity, Key, Outcome, Role, SnapshotBatch, topic,
};
use daemoneye_collectors::redact::Redactor;
use daemoneye_collectors::{CollectError, Collector, Snapshot, processes};
use daemoneye_dsl::completeness::{Completeness, Scope};
use daemoneye_dsl::ipc;
use daemoneye_dsl::status::CollectorHealth;
use daemoneye_dsl::types::Timestamp;
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;
use tracing::{Instrument, debug, error, error_span, info, warn};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::once::summary;

/// What the agent is told we are.
const NAME: &str = "procmond";
/// How long the agent may take to store a snapshot before it counts as not taken.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes until told to stop.
pub(crate) fn run(
    (socket, key, encryption): (&Path, Credential, Encryption),
    redactor: Redactor,
    interval: Duration,
    exit_with_stdin: bool,
) -> anyhow::Result<()> {
    let publisher = Publisher::new(processes::here_redacting(redactor)?, interval);
    let identity = Identity { name: NAME.to_owned(), role: Role::Collector, key, encryption };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let stopped = runtime.block_on(async {
        let stop = stop(exit_with_stdin)?;
        tokio::select! {
            biased;
            why = stop => info!("stopping: {why}"),
            never = publisher.run(socket, &identity) => match never {},
        }
        Ok(())
    });
    // A snapshot may be in the making; nobody waits for it.
    runtime.shutdown_background();
    stopped
}

/// The key on the first line of standard input. Nothing after it is read yet: its end is waited for elsewhere.
pub(crate) fn given_key() -> anyhow::Result<Key> {
    let mut line = Zeroizing::new(String::new());
    let stdin = io::stdin().lock();
    stdin.take(256).read_line(&mut line).context("cannot read the key from standard input")?;
    Key::from_text(&line).context("standard input begins with no key: 64 hexadecimal digits and the end of the line")
}

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

struct Publisher<C> {
    /// At work on its thread while it is not here.
    collector: Option<C>,
    interval: Duration,
    source: String,
    sequence: u64,
    started: Timestamp,
    last_snapshot: Option<Timestamp>,
    /// Snapshots that the agent did not take, or not in time.
    not_taken: u64,
    /// What was last said about how complete snapshots are.
    told: Option<Completeness>,
}

impl<C: Collector + Send + 'static> Publisher<C> {
    fn new(collector: C, interval: Duration) -> Self {
        Self {
            collector: Some(collector),
            interval,
            source: Uuid::new_v4().to_string(),
            sequence: 0,
            started: now(),
            last_snapshot: None,
            not_taken: 0,
            told: None,
        }
    }

    async fn run(mut self, socket: &Path, identity: &Identity) -> Infallible {
        let mut backoff = Backoff::default();
        loop {
            let lost = match Client::connect(socket, identity).await {
                Ok(client) => {
                    info!("connected to the agent");
                    self.serve(&client, &mut backoff).await
                }
                Err(error) => error,
            };
            let delay = backoff.next_delay();
            let retry_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            warn!(retry_ms, "{lost}");
            tokio::time::sleep(delay).await;
        }
    }

    /// Publishes at once and then at each interval, until the connection is gone. Only an answer, not the connection
    /// alone, shows that the next attempt need not wait: an agent may accept and then hang up each time.
    async fn serve(&mut self, client: &Client, backoff: &mut Backoff) -> Error {
        let mut ticks = tokio::time::interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut closed = pin!(client.closed());
        loop {
            tokio::select! {
                biased;
                why = &mut closed => return why,
                _ = ticks.tick() => {}
            }
            match self.cycle(client).await {
                Ok(()) => backoff.reset(),
                Err(why) => return why,
            }
        }
    }

    /// One snapshot. An error is one of the connection; what else goes wrong is logged, and the next cycle tries anew.
    async fn cycle(&mut self, client: &Client) -> Result<(), Error> {
        self.sequence += 1;
        // At the gravest level, so that the span is there whatever is logged.
        let span = error_span!("snapshot", source = self.source, sequence = self.sequence);
        self.snapshot(client).instrument(span).await?;
        client.publish_retained(&topic::health(NAME), self.health()).await
    }

    /// How it is, for whoever asks the broker.
    fn health(&self) -> Vec<u8> {
        let health = CollectorHealth {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.started,
            interval_micros: self.interval_micros(),
            last_snapshot: self.last_snapshot,
            snapshots: self.sequence,
            not_taken: self.not_taken,
        };
        serde_json::to_vec(&health).expect("health is JSON")
    }

    fn interval_micros(&self) -> i64 {
        i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX)
    }

    async fn snapshot(&mut self, client: &Client) -> Result<(), Error> {
        let snapshot = match self.collect().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                error!(%error, "no snapshot");
                return Ok(());
            }
        };
        self.tell_completeness(&snapshot);
        let rows = snapshot.rows.num_rows();
        let topic = topic::events(snapshot.table);
        let payload = self.batch(&snapshot).to_payload();
        let snapshot_time = snapshot.time;
        drop(snapshot);
        let bytes = payload.len();
        debug!(rows, bytes, topic, "snapshot published");
        self.last_snapshot = Some(snapshot_time);
        let outcome = client.request(&topic, payload, PATIENCE).await;
        self.not_taken += u64::from(!matches!(outcome, Ok(Outcome::Accepted(_))));
        match outcome {
            Ok(Outcome::Accepted(_)) => debug!("snapshot accepted"),
            Ok(Outcome::Nobody) => warn!(topic, "nobody takes snapshots"),
            Ok(Outcome::Refused(reason)) => warn!(reason, "snapshot refused"),
            Ok(Outcome::Lost(reason)) => warn!(reason, "whether the snapshot was taken is not known"),
            Err(error @ (Error::TimedOut(_) | Error::Invalid(_))) => warn!(bytes, %error, "snapshot not taken"),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn collect(&mut self) -> Result<Snapshot, CollectError> {
        let mut collector = self.collector.take().expect("one snapshot is made at a time");
        let work = tokio::task::spawn_blocking(move || {
            let snapshot = collector.collect(now());
            (collector, snapshot)
        });
        let (collector, snapshot) = work.await.expect("collectors do not panic");
        self.collector = Some(collector);
        snapshot
    }

    fn batch(&self, snapshot: &Snapshot) -> SnapshotBatch {
        SnapshotBatch {
            source: self.source.clone(),
            sequence: self.sequence,
            table: snapshot.table.to_owned(),
            collected_at: snapshot.time.0,
            scope_visible: snapshot.completeness.scope == Scope::Visible,
            reasons: reasons(&snapshot.completeness),
            rows: ipc::encode(&snapshot.rows).into(),
            pid: std::process::id(),
            interval_micros: self.interval_micros(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Says how complete snapshots are when that changes.
    fn tell_completeness(&mut self, snapshot: &Snapshot) {
        if self.told.as_ref() != Some(&snapshot.completeness) {
            info!("{}", summary(snapshot));
            self.told = Some(snapshot.completeness.clone());
        }
    }
}

/// The names that the reasons have in JSON.
fn reasons(completeness: &Completeness) -> Vec<String> {
    let json = completeness.to_json();
    let names = json["reasons"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Resolves, with the reason, when it is time to stop. Signals are taken from the moment that this returns.
fn stop(exit_with_stdin: bool) -> anyhow::Result<impl Future<Output = &'static str>> {
    let signal = signal()?;
    let (at_end, stdin_ended) = oneshot::channel();
    let idle = if exit_with_stdin {
        std::thread::Builder::new()
            .name("stdin".to_owned())
            .spawn(move || {
                drain(io::stdin().lock());
                let _stopped_already = at_end.send(());
            })
            .context("cannot watch standard input")?;
        None
    } else {
        Some(at_end)
    };
    Ok(async move {
        let _never_ends = idle;
        tokio::select! {
            why = signal => why,
            _ = stdin_ended => "standard input is closed",
        }
    })
}

/// Reads to the end, whatever it says.
fn drain(mut input: impl Read) {
    let mut buffer = [0; 256];
    loop {
        match input.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

#[cfg(unix)]
fn signal() -> anyhow::Result<impl Future<Output = &'static str>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot take SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot take SIGTERM")?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        }
    })
}

#[cfg(not(unix))]
fn signal() -> anyhow::Result<impl Future<Output = &'static str>> {
    Ok(async {
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => "Ctrl-C cannot be taken",
        }
    })
}
