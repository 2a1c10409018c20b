//! The rows of the table that the benchmark fills.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::bus::child::{Role, Running, cpu, memory};
use crate::bus::load::Load;
use crate::bus::{ours, peers};
use crate::measure::{Verdict, number};

/// What the queues of our broker may hold while speed is measured.
const QUEUED_BYTES: usize = 256 << 20;
/// The same while memory is.
const QUEUED_BYTES_STALLED: usize = 64 << 20;
/// What a hundred connections are in the midst of writing, 128 KiB each, and what the system's allocator keeps.
const SLACK_BYTES: u64 = 24 << 20;

/// How often and how much.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rounds, of which the median counts.
    pub rounds: usize,
    /// What the usual number of messages is divided by.
    pub divisor: u64,
}

/// A bus that is running.
struct Bus {
    name: &'static str,
    /// What a client is told to reach it.
    address: String,
    pid: u32,
    _running: Alive,
}

#[expect(dead_code, reason = "held until the bus is to end")]
enum Alive {
    Role(Role),
    Peer(Running),
}

impl Bus {
    fn ours(folder: &Path, queued_bytes: usize) -> anyhow::Result<Self> {
        Self::start(folder, &queued_bytes.to_string(), &[])
    }

    /// Ours, which asks its clients to encrypt.
    fn encrypted(folder: &Path, queued_bytes: usize) -> anyhow::Result<Self> {
        Self::start(folder, &queued_bytes.to_string(), &["encrypted"])
    }

    fn start(folder: &Path, queued_bytes: &str, how: &[&str]) -> anyhow::Result<Self> {
        let address = text(folder)?.to_owned();
        let role = Role::start(&[&["broker", &address, queued_bytes], how].concat())?;
        Ok(Self { name: "ours", address, pid: role.pid(), _running: Alive::Role(role) })
    }

    fn nats() -> anyhow::Result<Option<Self>> {
        Ok(peers::nats()?.map(|(running, port)| Self {
            name: "nats",
            address: port.to_string(),
            pid: running.pid(),
            _running: Alive::Peer(running),
        }))
    }

    fn redis(folder: &Path) -> anyhow::Result<Option<Self>> {
        let Some((running, path)) = peers::redis(folder)? else { return Ok(None) };
        let address = text(&path)?.to_owned();
        Ok(Some(Self { name: "redis", address, pid: running.pid(), _running: Alive::Peer(running) }))
    }

    /// Sends a load to so many subscribers, each a process.
    fn carry(&self, load: Load, subscribers: usize) -> anyhow::Result<Carried> {
        let load_text = load.to_string();
        let start = |role: &str| Role::start(&[role, self.name, &self.address, &load_text]);
        let mut taking: Vec<_> = (0..subscribers).map(|_| start("subscribe")).collect::<Result<_, _>>()?;
        taking.iter_mut().try_for_each(Role::go)?;
        let mut publisher = start("publish")?;
        let before = cpu(self.pid)?;
        publisher.go()?;
        let [began] = publisher.numbers()?;
        let mut carried = Carried::default();
        for subscriber in &mut taking {
            let [came, last, p50, p99] = subscriber.numbers()?;
            ensure!(came == load.messages, "{}: {came} of {} messages came in order", self.name, load.messages);
            let took = Duration::from_nanos(last.saturating_sub(began));
            carried.took = carried.took.max(took);
            carried.p50 = carried.p50.max(p50);
            carried.p99 = carried.p99.max(p99);
        }
        carried.percent = 100.0 * cpu(self.pid)?.saturating_sub(before).as_secs_f64() / carried.took.as_secs_f64();
        Ok(carried)
    }
}

/// How a load went; of several subscribers the slowest.
#[derive(Clone, Copy, Debug, Default)]
struct Carried {
    took: Duration,
    p50: u64,
    p99: u64,
    /// Of one core, that the bus took.
    percent: f64,
}

fn text(path: &Path) -> anyhow::Result<&str> {
    path.to_str().context("a folder whose name is no text")
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<_> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Messages a second to each subscriber, as many as go.
pub fn rates(sizes: Sizes, goals: &mut Verdict) -> anyhow::Result<Vec<String>> {
    let folder = TempDir::new()?;
    let ours = Bus::ours(folder.path(), QUEUED_BYTES)?;
    let nats = Bus::nats()?;
    let mut lines = Vec::new();
    for (len, subscribers, messages) in
        [(128, 1, 3_000_000), (128, 4, 1_200_000), (1024, 1, 1_000_000), (1024, 4, 400_000)]
    {
        let load = Load { messages: messages / sizes.divisor, len, per_sec: 0, linger_micros: 0 };
        let buses: Vec<_> = [Some(&ours), nats.as_ref()].into_iter().flatten().collect();
        let mut rates = vec![Vec::new(); buses.len()];
        for _ in 0..sizes.rounds {
            for (bus, rates) in buses.iter().zip(&mut rates) {
                let carried = bus.carry(load, subscribers)?;
                rates.push(number(usize::try_from(load.messages)?) / carried.took.as_secs_f64());
            }
        }
        let medians: Vec<_> = rates.into_iter().map(median).collect();
        let ours = medians[0];
        let beside = medians.get(1).map_or("nats-server is not installed".to_owned(), |nats| {
            let ratio = ours / nats;
            goals.expect(ratio >= 1.2, || format!("{len} B, 1 → {subscribers}: {ratio:.2} × nats-server"));
            format!("nats-server {nats:10.0}   {ratio:5.2} × (goal 1.2)")
        });
        lines.push(format!("{len:5} B, 1 → {subscribers}: {ours:10.0} msg/s each   {beside}"));
    }
    Ok(lines)
}

/// Ten thousand messages a second of 1 KiB to four subscribers: how late they are, and what the bus takes.
pub fn paced(sizes: Sizes, goals: &mut Verdict) -> anyhow::Result<Vec<String>> {
    let folder = TempDir::new()?;
    let ours = Bus::ours(folder.path(), QUEUED_BYTES)?;
    let (nats, redis) = (Bus::nats()?, Bus::redis(folder.path())?);
    let flushed = Load { messages: 40_000 / sizes.divisor, len: 1024, per_sec: 10_000, linger_micros: 0 };
    let batched = Load { linger_micros: LINGER_MICROS, ..flushed };
    let kinds: Vec<_> = [
        Some(("ours, batched", &ours, batched)),
        Some(("ours, each at once", &ours, flushed)),
        redis.as_ref().map(|redis| ("redis, each at once", redis, flushed)),
        nats.as_ref().map(|nats| ("nats, each at once", nats, flushed)),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut came = vec![Vec::new(); kinds.len()];
    for _ in 0..sizes.rounds {
        for ((_, bus, load), came) in kinds.iter().zip(&mut came) {
            came.push(bus.carry(*load, 4)?);
        }
    }
    let mut lines = Vec::new();
    let mut figures = Vec::new();
    for ((name, ..), came) in kinds.iter().zip(&came) {
        let micros = |of: fn(&Carried) -> u64| {
            median(came.iter().map(of).map(|nanos| Duration::from_nanos(nanos).as_secs_f64() * 1e6))
        };
        let (p50, p99) = (micros(|it| it.p50), micros(|it| it.p99));
        let percent = median(came.iter().map(|it| it.percent));
        lines.push(format!("{name:20} p50 {p50:6.0} µs   p99 {p99:6.0} µs   {percent:5.1} % of one core"));
        figures.push((*name, p99, percent));
    }
    let (_, p99, percent) = figures[0];
    goals.expect(p99 <= 1000.0, || format!("paced and batched: p99 {p99:.0} µs, the goal is 1,000"));
    goals.expect(percent <= 5.0, || format!("paced and batched: {percent:.1} % of one core, the goal is 5"));
    match figures.iter().find(|(name, ..)| name.starts_with("redis")) {
        Some((_, redis, _)) => {
            let ours = figures[1].1;
            goals.expect(ours <= *redis, || format!("paced: p99 {ours:.0} µs, redis-server's is {redis:.0}"));
        }
        None => lines.push("redis-server is not installed".to_owned()),
    }
    Ok(lines)
}

/// How long publications may wait for others.
const LINGER_MICROS: u64 = 800;

/// One question after the other.
pub fn round_trips(sizes: Sizes, goals: &mut Verdict) -> anyhow::Result<Vec<String>> {
    let folder = TempDir::new()?;
    let ours = Bus::ours(folder.path(), QUEUED_BYTES)?;
    // A pace that it never reaches, so that each is timed.
    let load = Load { messages: 20_000 / sizes.divisor, len: 128, per_sec: 1_000_000_000, linger_micros: 0 };
    let load_text = load.to_string();
    let mut lines = Vec::new();
    let _answering = Role::start(&["answer", &ours.address])?;
    for (name, topic, hops) in
        [("answered by the broker's process", ours::INNER, 2), ("answered by a third process", ours::OUTER, 3)]
    {
        let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
        for round in 0..sizes.rounds {
            of_ours.push(asked(Role::start(&["ask", &ours.address, topic, &load_text])?, load)?);
            let sockets: Vec<_> = (0..2).map(|end| folder.path().join(format!("{hops}{round}{end}"))).collect();
            let [near, far] = [text(&sockets[0])?, text(&sockets[1])?];
            let _processes = if hops == 2 {
                vec![Role::start(&["echo", near, &load_text])?.going()?]
            } else {
                let last = Role::start(&["echo", far, &load_text])?.going()?;
                vec![last, Role::start(&["echo", near, far, &load_text])?.going()?]
            };
            of_bare.push(asked(Role::start(&["ask-bare", near, &load_text])?, load)?);
        }
        let (ours, bare) = (median(of_ours), median(of_bare));
        let ratio = ours / bare;
        lines.push(format!("{name:34} p50 {ours:6.1} µs   bare sockets {bare:6.1} µs   {ratio:5.2} × (goal 1.6)"));
        goals.expect(ratio <= 1.6, || format!("a request {name}: {ratio:.2} × bare sockets"));
    }
    Ok(lines)
}

fn asked(mut role: Role, load: Load) -> anyhow::Result<f64> {
    role.go()?;
    let [came, p50, _] = role.numbers()?;
    ensure!(came == load.messages, "{came} of {} questions were answered in order", load.messages);
    Ok(Duration::from_nanos(p50).as_secs_f64() * 1e6)
}

/// Messages of 1 KiB as fast as they are taken, to one subscriber: encrypted, beside the same in the clear.
pub fn encrypted(sizes: Sizes) -> anyhow::Result<Vec<String>> {
    let folders = [TempDir::new()?, TempDir::new()?];
    let buses = [Bus::ours(folders[0].path(), QUEUED_BYTES)?, Bus::encrypted(folders[1].path(), QUEUED_BYTES)?];
    let load = Load { messages: 1_000_000 / sizes.divisor, len: 1024, per_sec: 0, linger_micros: 0 };
    let mut rates = [Vec::new(), Vec::new()];
    for _ in 0..sizes.rounds {
        for (bus, rates) in buses.iter().zip(&mut rates) {
            let carried = bus.carry(load, 1)?;
            rates.push(number(usize::try_from(load.messages)?) / carried.took.as_secs_f64());
        }
    }
    let [clear, encrypted] = rates.map(median);
    let ratio = encrypted / clear;
    Ok(vec![format!(" 1024 B, 1 → 1: {encrypted:10.0} msg/s   in the clear {clear:10.0}   {ratio:5.2} ×")])
}

/// A hundred connections, of which one is stopped, and then all.
pub fn stalled(sizes: Sizes) -> anyhow::Result<Vec<String>> {
    let folder = TempDir::new()?;
    let bus = Bus::ours(folder.path(), QUEUED_BYTES_STALLED)?;
    let shared = Load { messages: 40_000 / sizes.divisor, len: 1024, per_sec: 0, linger_micros: 0 };
    let own = Load { messages: 2_000, ..shared };
    let (shared_text, own_text) = (shared.to_string(), own.to_string());
    let mut crowd = Role::start(&["crowd", &bus.address, "0", "99", &shared_text])?;
    let lone = Role::start(&["crowd", &bus.address, "99", "1", &shared_text])?;
    let mut flood = Role::start(&["flood", &bus.address, &shared_text, "100", &own_text])?;
    let idle = memory(bus.pid, "VmRSS")?;
    stop(lone.pid())?;
    crowd.go()?;
    flood.go()?;
    let [_] = flood.numbers()?;
    let [came, gaps] = crowd.numbers()?;
    ensure!(came + gaps == 99 * shared.messages, "{came} came and {gaps} went missing, of 99 × {}", shared.messages);
    let one = memory(bus.pid, "VmHWM")?;
    stop(crowd.pid())?;
    flood.go()?;
    let [offered] = flood.numbers()?;
    let all = memory(bus.pid, "VmHWM")?;
    let mb = |bytes: u64| Duration::from_micros(bytes).as_secs_f64();
    // What one subscription may have waiting if it does not say.
    let room = u64::try_from(daemoneye_broker::Room::default().bytes)?;
    let limit = u64::try_from(QUEUED_BYTES_STALLED)?;
    ensure!(one <= idle + room + SLACK_BYTES, "{:.1} MB with one stalled, {:.1} idle", mb(one), mb(idle));
    ensure!(all <= idle + limit + SLACK_BYTES, "{:.1} MB with all stalled, {:.1} idle", mb(all), mb(idle));
    Ok(vec![
        format!("100 connections, idle              {:6.1} MB", mb(idle)),
        format!(
            "one stalled, {:6.1} MB sent to all   {:6.1} MB (its room is {:.1}); 99 got {came} and were told of {gaps} missing",
            mb(shared.messages * 1024),
            mb(one),
            mb(room)
        ),
        format!(
            "all stalled, {:6.1} MB sent         {:6.1} MB (the broker's limit is {:.1})",
            mb(offered * 1024),
            mb(all),
            mb(limit)
        ),
    ])
}

fn stop(pid: u32) -> anyhow::Result<()> {
    Ok(kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGSTOP)?)
}
