//! What goes over a bus: numbered messages of one size, as fast as they are taken or at a pace.

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, ensure};

use nix::time::{ClockId, clock_gettime};

/// The topic of everything that is measured.
pub const TOPIC: &str = "bench.load";

/// Bytes of a message's number and moment.
const HEAD_LEN: usize = 16;

/// Some messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub messages: u64,
    /// Bytes of each.
    pub len: usize,
    /// How many a second; 0 for as many as are taken.
    pub per_sec: u64,
    /// How long a message may wait for others to go with, in microseconds; 0 where each goes at once.
    pub linger_micros: u64,
}

/// As an argument of a process.
impl std::fmt::Display for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { messages, len, per_sec, linger_micros } = self;
        write!(f, "{messages},{len},{per_sec},{linger_micros}")
    }
}

impl FromStr for Load {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let numbers: Vec<u64> =
            text.split(',').map(str::parse).collect::<Result<_, _>>().context("a load's numbers")?;
        let [messages, len, per_sec, linger_micros] = numbers[..] else { anyhow::bail!("`{text}` is no load") };
        let len = usize::try_from(len)?;
        ensure!(len >= HEAD_LEN, "a message of {len} bytes cannot carry its number");
        Ok(Self { messages, len, per_sec, linger_micros })
    }
}

/// Nanoseconds of the clock that all processes of a machine share.
pub fn now() -> u64 {
    let time = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Unix has this clock"));
    u64::try_from(time.as_nanos()).expect("the machine has not run for centuries")
}

/// A load's messages, one after the other in the same memory, each when it is due.
#[derive(Debug)]
pub struct Source {
    load: Load,
    began: u64,
    next: u64,
    message: Vec<u8>,
}

impl Source {
    /// Begins now.
    pub fn new(load: Load) -> Self {
        // Timers are as exact as the system can make them, for every bus.
        nix::sys::prctl::set_timerslack(1).expect("a thread may set its own slack");
        Self { load, began: now(), next: 0, message: vec![b'x'; load.len] }
    }

    /// When it began.
    pub fn began(&self) -> u64 {
        self.began
    }

    /// The next message, once it is due, which this waits for; none where that was the last.
    pub fn message(&mut self) -> Option<&[u8]> {
        let wait = self.early_nanos();
        if wait > 0 {
            std::thread::sleep(Duration::from_nanos(wait));
        }
        self.message_if_due()
    }

    /// The next message, if it is due.
    pub fn message_if_due(&mut self) -> Option<&[u8]> {
        if self.is_done() || self.early_nanos() > 0 {
            return None;
        }
        let at = if self.load.per_sec > 0 { now() } else { 0 };
        self.message[..8].copy_from_slice(&self.next.to_le_bytes());
        self.message[8..HEAD_LEN].copy_from_slice(&at.to_le_bytes());
        self.next += 1;
        Some(&self.message)
    }

    /// Whether there was the last message.
    pub fn is_done(&self) -> bool {
        self.next == self.load.messages
    }

    /// How long before the next message is due this is.
    fn early_nanos(&self) -> u64 {
        let due = (self.next * 1_000_000_000).checked_div(self.load.per_sec);
        due.map_or(0, |due| (self.began + due).saturating_sub(now()))
    }
}

/// What a subscriber got of a load.
#[derive(Debug)]
pub struct Tally {
    load: Load,
    next: u64,
    /// Messages that were missing or out of order.
    amiss: u64,
    /// How long each was on its way, where that is timed.
    nanos: Vec<u64>,
    last: u64,
}

/// A [`Tally`] at its end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Told {
    /// Messages that came as they should.
    pub came: u64,
    /// When the last of them came.
    pub last: u64,
    /// What half of them took at most, in nanoseconds.
    pub p50: u64,
    /// What 99 in a hundred took at most.
    pub p99: u64,
}

impl Tally {
    /// Nothing yet.
    pub fn new(load: Load) -> Self {
        let timed = if load.per_sec == 0 { 0 } else { load.messages };
        let nanos = Vec::with_capacity(usize::try_from(timed).expect("a load fits in memory"));
        Self { load, next: 0, amiss: 0, nanos, last: 0 }
    }

    /// Counts a message; whether more are to come.
    pub fn take(&mut self, message: &[u8]) -> bool {
        let head =
            |at: usize| message.get(at..at + 8).map(|bytes| u64::from_le_bytes(bytes.try_into().expect("eight")));
        if message.len() != self.load.len || head(0) != Some(self.next) {
            self.amiss += 1;
        }
        self.next += 1;
        if self.load.per_sec > 0 {
            self.nanos.push(now().saturating_sub(head(8).unwrap_or(0)));
        }
        let is_last = self.next == self.load.messages;
        if is_last {
            self.last = now();
        }
        !is_last
    }

    /// What came of it.
    pub fn told(mut self) -> Told {
        self.nanos.sort_unstable();
        let rank = |percent: usize| {
            let rank = (self.nanos.len() * percent).div_ceil(100).max(1);
            self.nanos.get(rank - 1).copied().unwrap_or(0)
        };
        Told { came: self.next - self.amiss, last: self.last, p50: rank(50), p99: rank(99) }
    }
}
