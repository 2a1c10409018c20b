//! Our broker and its clients, each a process of its own with one thread for its tasks.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;
use daemoneye_broker::{
    Broker, Client, Credential, Encryption, Event, Gap, Gate, Identity, Interest, Key, Limits, Outcome, Role, Settings,
    Subscription, tree,
};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Runtime};

use crate::bus::child::{self, ready, tell};
use crate::bus::load::{Load, Source, TOPIC, Tally};

/// What the broker's own process answers.
pub const INNER: &str = "bench.inner";
/// What another process answers.
pub const OUTER: &str = "bench.outer";

/// How long anybody waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where a broker of this folder listens.
fn socket(folder: &Path) -> PathBuf {
    folder.join("broker.sock")
}

fn key(folder: &Path) -> anyhow::Result<Key> {
    Ok(Key::load_or_create(&folder.join("key"))?)
}

fn runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

async fn client(folder: &Path) -> anyhow::Result<Client> {
    let identity = Identity {
        name: "bench".to_owned(),
        role: Role::Operator,
        key: Credential::Installation(key(folder)?),
        encryption: Encryption::IfAsked,
    };
    Ok(Client::connect(socket(folder), &identity).await?)
}

/// A broker whose queues hold at most so many bytes, and which answers what is asked under [`INNER`].
pub fn serve(folder: &Path, queued_bytes: usize, set_up: fn(Gate) -> Gate) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let settings = Settings {
            gate: set_up(Gate::new(key(folder)?, None)),
            tree: tree::OPEN,
            limits: Limits { queued_bytes, ..Limits::default() },
            group: None,
        };
        let broker = Broker::bind(socket(folder), settings)?;
        let inner = broker.client("inner")?;
        let questions = inner.subscribe(&Interest::new(INNER).answering()).await?;
        child::serve()?;
        reply(questions).await;
        bail!("the broker ended")
    })
}

/// Sends back what comes.
async fn reply(mut questions: Subscription) {
    while let Some(question) = questions.message().await {
        let payload = question.payload.clone();
        question.reply(payload);
    }
}

/// Answers what is asked under [`OUTER`].
pub fn answer(folder: &Path) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = client(folder).await?;
        let questions = client.subscribe(&Interest::new(OUTER).answering()).await?;
        child::serve()?;
        reply(questions).await;
        Ok(())
    })
}

/// Asks under a topic, one question after the other; the times that they took.
pub fn ask(folder: &Path, topic: &str, load: Load) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = client(folder).await?;
        let (mut source, mut tally) = (Source::new(load), Tally::new(load));
        ready()?;
        while let Some(message) = source.message() {
            match client.request(topic, Bytes::copy_from_slice(message), PATIENCE).await? {
                Outcome::Accepted(reply) => tally.take(&reply),
                other => bail!("`{topic}` was not answered: {other:?}"),
            };
        }
        let told = tally.told();
        tell(&[told.came, told.p50, told.p99])
    })
}

/// Publishes a load.
pub fn publish(folder: &Path, load: Load) -> anyhow::Result<()> {
    if load.per_sec > 0 {
        return publish_at_pace(folder, load);
    }
    runtime()?.block_on(async {
        let client = client(folder).await?;
        ready()?;
        let mut source = Source::new(load);
        while let Some(message) = source.message() {
            client.publish(TOPIC, Bytes::copy_from_slice(message)).await?;
        }
        let began = source.began();
        confirm(&client).await?;
        tell(&[began])
    })
}

/// One thread, as other publishers have, woken by a timer of the system: those of tasks know no less than a millisecond.
fn publish_at_pace(folder: &Path, load: Load) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut client = client(folder).await?;
        if load.linger_micros > 0 {
            client = client.gathering(Duration::from_micros(load.linger_micros));
        }
        ready()?;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        let mut source = Source::new(load);
        let period = Duration::from_secs(1) / u32::try_from(load.per_sec)?;
        timer.set(Expiration::Interval(TimeSpec::from_duration(period)), TimerSetTimeFlags::empty())?;
        #[expect(
            deprecated,
            reason = "what replaces it is unsafe; the descriptor is open for as long as it is watched"
        )]
        let ticks = AsyncFd::with_interest(OwnedFd::from(timer), tokio::io::Interest::READABLE)?;
        let began = source.began();
        let mut count = [0; size_of::<u64>()];
        while !source.is_done() {
            let mut ready = ticks.readable().await?;
            let _or_early = ready.try_io(|timer| Ok(nix::unistd::read(timer, &mut count)?));
            while let Some(message) = source.message_if_due() {
                client.publish(TOPIC, Bytes::copy_from_slice(message)).await?;
            }
        }
        confirm(&client).await?;
        tell(&[began])
    })
}

/// Takes a load, which waits for it.
pub fn subscribe(folder: &Path, load: Load) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = client(folder).await?;
        let mut subscription = client.subscribe(&Interest::new(TOPIC).blocking(PATIENCE)).await?;
        let mut tally = Tally::new(load);
        ready()?;
        loop {
            match subscription.recv().await.context("the broker ended")? {
                Event::Message(message) if tally.take(&message.payload) => {}
                Event::Message(_) => break,
                Event::Gap(gap) => bail!("{gap:?} where nothing may be dropped"),
            }
        }
        let told = tally.told();
        tell(&[told.came, told.last, told.p50, told.p99])
    })
}

/// What each of a crowd gets alone.
pub fn own(member: u64) -> String {
    format!("own.{member}")
}

/// So many clients from this number on that take a load, and then nothing any more. Tells how many messages came to
/// all, and how many they were told to be missing.
pub fn crowd(folder: &Path, (first, len): (u64, u64), load: Load) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let mut members = Vec::new();
        for member in first..first + len {
            let client = client(folder).await?;
            let own = client.subscribe(&Interest::new(own(member))).await?;
            let shared = client.subscribe(&Interest::new(TOPIC)).await?;
            members.push((client, own, shared));
        }
        ready()?;
        let taking: Vec<_> = members
            .into_iter()
            .map(|(client, own, mut shared)| {
                tokio::spawn(async move {
                    let (mut came, mut gaps) = (0_u64, 0);
                    while came + gaps < load.messages {
                        match shared.recv().await {
                            Some(Event::Message(_)) => came += 1,
                            Some(Event::Gap(Gap::Dropped(messages))) => gaps += messages,
                            Some(Event::Gap(Gap::Away)) | None => break,
                        }
                    }
                    (came, gaps, client, own, shared)
                })
            })
            .collect();
        let (mut came, mut gaps, mut alive) = (0, 0, Vec::new());
        for member in taking {
            let (its_came, its_gaps, client, own, shared) = member.await?;
            (came, gaps) = (came + its_came, gaps + its_gaps);
            alive.push((client, own, shared));
        }
        tell(&[came, gaps])?;
        // Its thread sleeps here: nothing of what comes is read.
        std::io::stdin().read_line(&mut String::new())?;
        drop(alive);
        Ok(())
    })
}

/// Publishes a load to everybody, waits for the word, and then another to each member of a crowd.
pub fn flood(folder: &Path, shared: Load, own_len: u64, own_load: Load) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let client = client(folder).await?;
        ready()?;
        send(&client, TOPIC, shared).await?;
        tell(&[shared.messages])?;
        std::io::stdin().read_line(&mut String::new())?;
        for member in 0..own_len {
            send(&client, &own(member), own_load).await?;
        }
        tell(&[own_len * own_load.messages])
    })
}

/// Publishes, and returns when the broker has seen to it.
async fn send(client: &Client, topic: &str, load: Load) -> anyhow::Result<()> {
    let mut source = Source::new(load);
    while let Some(message) = source.message() {
        client.publish(topic, Bytes::copy_from_slice(message)).await?;
    }
    confirm(client).await
}

/// Returns when the broker has seen to everything before.
async fn confirm(client: &Client) -> anyhow::Result<()> {
    let outcome = client.request("bench.end", Bytes::new(), PATIENCE).await?;
    ensure!(outcome == Outcome::Nobody, "nobody answers `bench.end`, but it was {outcome:?}");
    Ok(())
}
