//! The running agent: connections, signals, the engine's thread and the collector, from start to end.

use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use daemoneye_broker::payload::{self, Ask, Knowledge};
use daemoneye_broker::{Broker, Client, Delivery, Event, Gap, Interest, Subscription, topic};
use daemoneye_dsl::status::{AgentRun, LedgerHealth};
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp};
use daemoneye_settings::Settings;
use daemoneye_storage::Retention;
use tokio::sync::watch::channel;
use tokio::time::{Instant, sleep_until};

use crate::agent::Agent;
use crate::answers::Answers;
use crate::audit::{self, Audit};
use crate::collector::Strangers;
use crate::engine::{self, Input, Window};
use crate::evaluation::Bounds;
use crate::ledger::{Book, Inflow, Ledger};
use crate::sealer::Sealer;
use crate::settings::InForce;
use crate::sinks::Sinks;
use crate::sinks::terminal::Form;
use crate::watch::{Files, Watch};
use crate::{collector, health, rules};

/// The answer to what was not foreseen.
const UNKNOWN: &str = "this agent does not know what is asked: it may be of another version";
/// Batches that may wait for the engine.
const INPUT_LEN: usize = 4;
/// How often a collector that was not started here is taken to report.
const FOREIGN_INTERVAL: Duration = Duration::from_secs(30);

/// Where the agent meets others.
pub(crate) struct Edges {
    /// The collector that is started; none where one is waited for.
    pub(crate) collector: Option<PathBuf>,
    /// The socket that it is told.
    pub(crate) socket: PathBuf,
    /// How alerts are printed.
    pub(crate) form: Form,
    /// What is said of this run.
    pub(crate) run: AgentRun,
    /// The ledger.
    pub(crate) book: Book,
    /// What goes into it.
    pub(crate) inflow: Inflow,
}

/// What a signal asks for.
pub(crate) enum Wish {
    /// To end; the signal's name.
    Stop(&'static str),
    /// To read settings and rules anew.
    #[cfg_attr(not(unix), expect(dead_code, reason = "only Unix has a signal for it"))]
    Reload,
}

/// What comes to the agent, from when this is opened on: until then whoever reports or asks is told that nobody listens.
pub(crate) struct Inbox {
    /// Its subscriptions end with it.
    client: Client,
    batches: Subscription,
    commands: Subscription,
}

impl Inbox {
    pub(crate) async fn open(broker: &Broker) -> anyhow::Result<Self> {
        let client = broker.client("agent")?;
        let batches = client.subscribe(&Interest::new(topic::ALL_EVENTS).answering()).await?;
        let commands = client.subscribe(&Interest::new(topic::control("agent")).answering()).await?;
        Ok(Self { client, batches, commands })
    }
}

/// Runs until a signal asks to stop or the engine fails.
pub(crate) async fn serve(
    broker: &Broker,
    agent: Agent,
    edges: Edges,
    mut settings: InForce,
    audit: Audit,
    Inbox { client: _open, mut batches, mut commands }: Inbox,
    (mut signals, mut watch): (Signals, Watch),
) -> anyhow::Result<()> {
    let (kept, book_felt) = channel(LedgerHealth::default());
    let ledger = Ledger::start(broker, edges.book, edges.inflow, audit.clone(), kept).await;
    let ledger = ledger.context("cannot start the ledger's thread")?;
    let runtime = tokio::runtime::Handle::current();
    let sinks =
        Sinks::start(agent.store(), edges.form, broker.client("alerts")?, runtime).context("cannot start the sinks")?;
    let sealer =
        Sealer::start(agent.store(), retention(settings.now()), audit.clone()).context("cannot start the sealer")?;
    let (shown, seen) = channel(None);
    let (well, felt) = channel(agent.health());
    let telling = tokio::spawn(health::tell(broker.client("health")?, edges.run, felt, book_felt));
    let window = Window { seen: shown, health: well };
    let answers = Answers::new((agent.store(), ledger.path()), broker.client("answers")?, seen, audit.clone());
    let (inputs, received) = mpsc::sync_channel(INPUT_LEN);
    let noting = audit.clone();
    let engine = std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine::run(agent, &received, sinks, &window, &noting))
        .context("cannot start the engine's thread")?;

    let (orders, told) = channel(Some(settings.orders(&edges.socket)));
    let spawns = edges.collector.is_some();
    let keeper =
        edges.collector.map(|program| tokio::spawn(collector::keep(program, broker.door(), told, audit.clone())));
    let (door, mut strangers) = (broker.door(), Strangers::default());
    let (mut heard, mut looked) = (Instant::now(), Instant::now());
    loop {
        let patience = patience(spawns.then(|| settings.now().collector.interval));
        let pause = settings.now().rules.watch;
        let input = tokio::select! {
            wish = signals.next() => match wish {
                Wish::Stop(name) => {
                    tracing::info!(signal = name, "stopping");
                    break;
                }
                Wish::Reload => {
                    let noting = audit.clone();
                    let (after, files, input) = tokio::task::spawn_blocking(move || reload(settings, &noting))
                        .await
                        .context("cannot wait for the settings to be read")?;
                    settings = after;
                    if let Some(files) = files {
                        watch = Watch::new(files);
                    }
                    sealer.keep(retention(settings.now()));
                    collector::tell(&orders, settings.orders(&edges.socket));
                    input
                }
            },
            delivery = batches.recv() => match delivery {
                Some(Event::Message(delivery)) => {
                    heard = Instant::now();
                    strangers.note(&delivery, &door, &audit);
                    Some(Input::Batch(delivery))
                }
                // Their publisher was told; their numbers are missing from the next that comes, which says so.
                Some(Event::Gap(Gap::Dropped(batches))) => {
                    tracing::warn!(batches, "the engine is behind: snapshots were refused");
                    None
                }
                Some(Event::Gap(Gap::Away)) => None,
                None => break,
            },
            asked = commands.message() => match asked {
                Some(delivery) => obey(delivery, &answers, &settings, &audit),
                None => break,
            },
            () = sleep_until(heard + patience) => {
                heard = Instant::now();
                tracing::warn!(?patience, "no snapshot arrived: nothing is detected while no collector reports");
                None
            }
            () = sleep_until(looked + pause), if !pause.is_zero() => {
                let looking = tokio::task::spawn_blocking(|| look(settings, watch));
                let input;
                (settings, watch, input) = looking.await.context("cannot wait for the rules to be looked at")?;
                looked = Instant::now();
                input
            }
        };
        let Some(input) = input else { continue };
        // The engine takes one input after the other; while it is behind, deliveries wait in the broker's bounded
        // queue and the collector waits for their acknowledgement.
        let inputs = inputs.clone();
        let handed = tokio::task::spawn_blocking(move || inputs.send(input).is_ok());
        if !handed.await.unwrap_or(false) {
            break;
        }
    }
    let _nobody_listens = orders.send(None).is_err();
    if let Some(keeper) = keeper {
        keeper.await.context("the collector's keeper failed")?;
    }
    let _engine_has_ended = inputs.send(Input::Shutdown).is_err();
    let ending = move || {
        let (agent, sinks) = engine.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        end(&agent, sealer, sinks);
    };
    tokio::task::spawn_blocking(ending).await.context("the engine failed")?;
    ledger.finish().await;
    telling.await.context("cannot wait for the last that is said of this agent")
}

/// Ends what works beside the engine; that the agent has stopped is the last that is put on record.
fn end(agent: &Agent, sealer: Sealer, sinks: Sinks) {
    sealer.finish();
    sinks.finish();
    if let Err(error) = agent.end_run(now()) {
        tracing::warn!(%error, "the end of this run is not on record: `daemoneye-cli status` takes it for killed");
    }
}

/// Sees to what an operator asks; gives what the engine is to do, if anything.
fn obey(delivery: Delivery, answers: &Answers, settings: &InForce, audit: &Audit) -> Option<Input> {
    let refuse = |delivery: Delivery, why: &str| {
        audit.note(audit::refused(now(), &delivery, &serde_json::Value::Null, why));
        delivery.refuse(why);
    };
    match Ask::from_payload(delivery.payload.clone()).map(|ask| ask.wish) {
        Ok(Some(payload::Wish::Order(order))) => return Some(Input::Order(order, delivery)),
        Ok(Some(payload::Wish::Statement(statement))) => answers.answer(statement, settings.now().limits, delivery),
        Ok(Some(payload::Wish::Ledger(order))) => audit.order(order, delivery),
        Ok(Some(payload::Wish::AlertsAfter(turn))) => answers.alerts_after(turn, delivery),
        Ok(Some(payload::Wish::Knowledge(what))) => match Knowledge::try_from(what) {
            Ok(Knowledge::Report) => answers.report(delivery),
            Ok(Knowledge::Settings) => delivery.reply(settings.to_json().to_string()),
            Err(_) => refuse(delivery, UNKNOWN),
        },
        Ok(None) => refuse(delivery, UNKNOWN),
        Err(error) => refuse(delivery, &error.to_string()),
    }
    None
}

/// Reads settings and rules anew; gives what the engine is to take up, if anything, with the files that it is from.
fn reload(mut settings: InForce, audit: &Audit) -> (InForce, Option<Files>, Option<Input>) {
    tracing::info!(signal = "SIGHUP", "reading settings and rules again");
    let changed = match settings.reload() {
        Ok(changed) => changed,
        Err(problems) => {
            audit.note(audit::settings_refused(now(), &problems));
            return (settings, None, None);
        }
    };
    if !changed.is_empty() {
        audit.note(audit::in_force(now(), &serde_json::json!({"changed": changed})));
    }
    let files = Files::below(&settings.rule_paths());
    let input = load(&settings);
    (settings, Some(files), Some(input))
}

/// Looks whether the files of rules have changed; gives what the engine is to take up, if anything.
fn look(settings: InForce, mut watch: Watch) -> (InForce, Watch, Option<Input>) {
    let changed = watch.look(Files::below(&settings.rule_paths()));
    let input = changed.then(|| {
        tracing::info!("files changed: reading rules again");
        load(&settings)
    });
    (settings, watch, input)
}

fn load(settings: &InForce) -> Input {
    let loaded = rules::load(&settings.rule_paths(), settings.now().limits);
    loaded.report(settings.drawing());
    Input::Reload { loaded, bounds: Bounds::of(settings.now()), sampled: settings.now().samples.interval, at: now() }
}

/// What the settings let the store keep.
fn retention(settings: &Settings) -> Retention {
    const DAY: i64 = 24 * 60 * 60 * MICROS_PER_SEC;
    let days = i64::try_from(settings.retention.days).unwrap_or(i64::MAX);
    Retention { age_micros: days.saturating_mul(DAY), bytes: settings.retention.bytes as u64 }
}

/// How long to wait for a snapshot before saying that none comes.
fn patience(own_interval: Option<Duration>) -> Duration {
    (own_interval.unwrap_or(FOREIGN_INTERVAL) * 3).max(Duration::from_secs(10))
}

/// The present.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The signals that ask for something. One that comes while nobody waits for the next is kept.
pub(crate) struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hang_up: tokio::signal::unix::Signal,
    /// Standard error was a terminal at start.
    #[cfg(unix)]
    has_terminal: bool,
    #[cfg(windows)]
    interrupt: tokio::signal::windows::CtrlC,
}

impl Signals {
    #[cfg(unix)]
    pub(crate) fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            has_terminal: std::io::IsTerminal::is_terminal(&std::io::stderr()),
        })
    }

    #[cfg(windows)]
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: tokio::signal::windows::ctrl_c()? })
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Wish::Stop("SIGINT"),
            // The system sends it too when the terminal goes away, and who closes a terminal means to end what runs in it.
            _ = self.hang_up.recv() => {
                let gone = self.has_terminal && std::fs::File::open("/dev/tty").is_err();
                if gone { Wish::Stop("SIGHUP") } else { Wish::Reload }
            }
        }
    }

    #[cfg(windows)]
    async fn next(&mut self) -> Wish {
        let _ = self.interrupt.recv().await;
        Wish::Stop("interrupt")
    }
}
