//! What the benchmark does when it has started itself: the arguments say which role it has.

use std::path::Path;

use anyhow::bail;
use daemoneye_broker::Gate;

use crate::bus::child::{ready, tell};
use crate::bus::load::{Load, Source, Tally};
use crate::bus::{bare, nats, ours, redis};

/// Plays the role that the arguments name.
pub fn play(arguments: &[String]) -> anyhow::Result<()> {
    let words: Vec<_> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["broker", folder, queued_bytes] => ours::serve(Path::new(folder), queued_bytes.parse()?, |gate| gate),
        ["broker", folder, queued_bytes, "encrypted"] => {
            ours::serve(Path::new(folder), queued_bytes.parse()?, Gate::encrypted)
        }
        ["publish", "ours", folder, load] => ours::publish(Path::new(folder), load.parse()?),
        ["subscribe", "ours", folder, load] => ours::subscribe(Path::new(folder), load.parse()?),
        ["publish", "nats", port, load] => publish_nats(port.parse()?, load.parse()?),
        ["subscribe", "nats", port, load] => subscribe_nats(port.parse()?, load.parse()?),
        ["publish", "redis", path, load] => publish_redis(Path::new(path), load.parse()?),
        ["subscribe", "redis", path, load] => subscribe_redis(Path::new(path), load.parse()?),
        ["answer", folder] => ours::answer(Path::new(folder)),
        ["ask", folder, topic, load] => ours::ask(Path::new(folder), topic, load.parse()?),
        ["echo", path, load] => bare::echo(Path::new(path), None, load.parse()?),
        ["echo", path, beyond, load] => bare::echo(Path::new(path), Some(Path::new(beyond)), load.parse()?),
        ["ask-bare", path, load] => bare::ask(Path::new(path), load.parse()?),
        ["crowd", folder, first, len, load] => {
            ours::crowd(Path::new(folder), (first.parse()?, len.parse()?), load.parse()?)
        }
        ["flood", folder, shared, own_len, own] => {
            ours::flood(Path::new(folder), shared.parse()?, own_len.parse()?, own.parse()?)
        }
        _ => bail!("no role is called `{}`", words.join(" ")),
    }
}

fn publish_nats(port: u16, load: Load) -> anyhow::Result<()> {
    let mut client = nats::Client::connect(port)?;
    ready()?;
    let mut source = Source::new(load);
    while let Some(message) = source.message() {
        client.publish(message)?;
        if load.per_sec > 0 {
            client.flush()?;
        }
    }
    client.confirm()?;
    tell(&[source.began()])
}

fn subscribe_nats(port: u16, load: Load) -> anyhow::Result<()> {
    let mut client = nats::Client::connect(port)?;
    client.subscribe()?;
    let mut tally = Tally::new(load);
    ready()?;
    while tally.take(client.message()?) {}
    let told = tally.told();
    tell(&[told.came, told.last, told.p50, told.p99])
}

fn publish_redis(path: &Path, load: Load) -> anyhow::Result<()> {
    let mut client = redis::Client::connect(path)?;
    client.ignore_answers()?;
    ready()?;
    let mut source = Source::new(load);
    while let Some(message) = source.message() {
        client.publish(message)?;
    }
    tell(&[source.began()])
}

fn subscribe_redis(path: &Path, load: Load) -> anyhow::Result<()> {
    let mut client = redis::Client::connect(path)?;
    client.subscribe()?;
    let mut tally = Tally::new(load);
    ready()?;
    while tally.take(client.message()?) {}
    let told = tally.told();
    tell(&[told.came, told.last, told.p50, told.p99])
}
