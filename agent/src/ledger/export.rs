//! Checkpoints leave the host: to a file, to a webhook.
//!
//! Whoever takes them may be slow or gone for a while, so each has a thread of its own, which nobody waits for. Of several
//! that wait only the newest has to arrive, for it is over all that the others are over; beside it the newest with a
//! cosignature, which a later one does not have. What does not leave is tried again, at growing intervals.

mod file;
mod webhook;

use std::io;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemoneye_storage::ledger::SignedCheckpoint;

pub(super) use self::file::contradiction;
pub(crate) use self::webhook::Webhook;

/// How long it waits after the first failure; twice as long after each that follows.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// The longest that it waits.
const RETRY_MAX: Duration = Duration::from_mins(1);
/// How long the last checkpoint may take when the agent stops.
const END_TIME: Duration = Duration::from_secs(2);

/// Where checkpoints go.
pub(super) enum Place {
    /// To the end of this file.
    File(PathBuf),
    Webhook(Webhook),
}

/// The thread that has them leave.
pub(super) struct Exporter {
    wake: SyncSender<()>,
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    /// Why it waits.
    error: Mutex<Option<String>>,
    /// The last that the file had at the start.
    known: Mutex<Option<io::Result<SignedCheckpoint>>>,
}

/// What has not left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Waiting {
    cosigned: Option<String>,
    /// Leaves last: what a file ends with, and whoever takes them got last, is the newest.
    newest: Option<String>,
}

impl Waiting {
    /// Gives one after the other to who takes it; what is not taken stays.
    fn leave(&mut self, take: impl Fn(&str) -> Result<(), String>) -> Result<(), String> {
        for note in [&mut self.cosigned, &mut self.newest] {
            if let Some(waits) = note {
                take(waits)?;
                *note = None;
            }
        }
        Ok(())
    }

    /// What was not taken waits again, unless something newer came meanwhile.
    fn put_back(&mut self, tried: Self) {
        self.cosigned = self.cosigned.take().or(tried.cosigned);
        self.newest = self.newest.take().or(tried.newest);
    }
}

impl Exporter {
    pub(super) fn start(place: Place) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let slot = Arc::<Slot>::default();
        let own = slot.clone();
        let thread = std::thread::Builder::new().name("export".to_owned()).spawn(move || own.run(&place, &woken))?;
        Ok(Self { wake, slot, thread })
    }

    /// Hands the newest checkpoint over. Never waits.
    pub(super) fn export(&self, note: &str) {
        lock(&self.slot.waiting).newest = Some(note.to_owned());
        let _already_awake = self.wake.try_send(());
    }

    /// Hands over one that was cosigned since, and goes before the newest. Never waits.
    pub(super) fn export_cosigned(&self, note: &str) {
        lock(&self.slot.waiting).cosigned = Some(note.to_owned());
        let _already_awake = self.wake.try_send(());
    }

    /// Why the newest checkpoint has not left.
    pub(super) fn error(&self) -> Option<String> {
        lock(&self.slot.error).clone()
    }

    /// The last checkpoint that the file had at the start, or why it cannot be read; once it is known, and once.
    pub(super) fn known(&self) -> Option<io::Result<SignedCheckpoint>> {
        lock(&self.slot.known).take()
    }

    /// Lets the last one leave, for a while.
    pub(super) fn finish(self) {
        let Self { wake, thread, .. } = self;
        drop(wake);
        let began = Instant::now();
        while !thread.is_finished() && began.elapsed() < END_TIME {
            std::thread::sleep(Duration::from_millis(5));
        }
        if !thread.is_finished() {
            tracing::warn!("the last checkpoint is not exported: that takes too long");
        }
    }
}

impl Place {
    fn last(&self) -> io::Result<Option<SignedCheckpoint>> {
        match self {
            Self::File(path) => file::last(path),
            Self::Webhook(_) => Ok(None),
        }
    }

    fn take(&self, note: &str) -> Result<(), String> {
        let taken = match self {
            Self::File(path) => {
                file::append(path, note).map_err(|error| (path.display().to_string(), error.to_string()))
            }
            Self::Webhook(webhook) => webhook.post(note).map_err(|why| (webhook.url().to_owned(), why)),
        };
        taken.map_err(|(to, why)| format!("cannot export checkpoints to {to}: {why}"))
    }
}

impl Slot {
    fn run(&self, place: &Place, woken: &Receiver<()>) {
        *lock(&self.known) = place.last().transpose();
        let (mut failures, mut rests_until) = (0, Instant::now());
        loop {
            let rest = if failures > 0 { rests_until.saturating_duration_since(Instant::now()) } else { RETRY_MAX };
            let is_over = matches!(woken.recv_timeout(rest), Err(RecvTimeoutError::Disconnected));
            if is_over || failures == 0 || rests_until <= Instant::now() {
                match self.deliver(place) {
                    Ok(()) => failures = 0,
                    Err(()) => {
                        failures += 1;
                        rests_until = Instant::now() + pause(failures, getrandom::u32().unwrap_or(0));
                    }
                }
            }
            if is_over {
                return;
            }
        }
    }

    /// Has all that waits leave, or says once why it does not.
    fn deliver(&self, place: &Place) -> Result<(), ()> {
        let mut tried = std::mem::take(&mut *lock(&self.waiting));
        let done = tried.leave(|note| place.take(note));
        if done.is_err() {
            lock(&self.waiting).put_back(tried);
        }
        let why = done.err();
        let before = std::mem::replace(&mut *lock(&self.error), why.clone());
        match (&why, before) {
            (Some(why), before) if before.as_ref() != Some(why) => tracing::error!("{why}; it is tried again"),
            (None, Some(_)) => tracing::info!("checkpoints are exported again"),
            _ => (),
        }
        why.map_or(Ok(()), |_| Err(()))
    }
}

/// How long to wait after so many failures, one after the other. Many hosts whose webhook was gone must not all come back
/// at once, so up to half of it is left to chance.
fn pause(failures: u32, random: u32) -> Duration {
    let whole = RETRY_MIN.saturating_mul(1 << failures.saturating_sub(1).min(16)).min(RETRY_MAX);
    whole.mul_f64(0.5 + f64::from(random) / f64::from(u32::MAX) / 2.0)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_taken_waits_again_unless_something_newer_came() {
        let note = |text: &str| Some(text.to_owned());
        let mut tried = Waiting { cosigned: note("1"), newest: note("2") };
        tried.leave(|note| if note == "1" { Ok(()) } else { Err("gone".to_owned()) }).unwrap_err();
        assert_eq!(tried, Waiting { cosigned: None, newest: note("2") });
        let mut waiting = Waiting { cosigned: note("2"), newest: None };
        waiting.put_back(tried);
        assert_eq!(waiting, Waiting { cosigned: note("2"), newest: note("2") });
        waiting.put_back(Waiting { cosigned: note("0"), newest: note("1") });
        assert_eq!(waiting, Waiting { cosigned: note("2"), newest: note("2") });
    }

    #[test]
    fn pauses_grow_up_to_a_bound_and_are_not_the_same_for_all() {
        let seconds = |failures, random| pause(failures, random).as_secs_f64();
        let longest: Vec<_> = (1..=8).map(|failures| seconds(failures, u32::MAX)).collect();
        assert_eq!(longest, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]);
        assert_eq!((seconds(1, 0), seconds(u32::MAX, 0)), (0.5, 30.0));
    }
}
