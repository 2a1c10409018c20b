//! The thread that looks after the store beside the engine, slower than it could: seals what was recorded, drops what is
//! not to be kept, gives back what is free.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemoneye_storage::{Cause, Dropped, Error, Kept, Retention, Store};

use crate::audit::Audit;
use crate::compactor::Compactor;
use crate::serve;

/// How often it looks whether there is something to seal.
const PERIOD: Duration = Duration::from_secs(5);
/// How often it looks whether there is something to drop.
const KEEP_PERIOD: Duration = Duration::from_mins(1);
/// After a step it rests this many times as long as the step took: at most a fifth of a core.
const REST: u32 = 4;

/// The thread that seals and drops.
pub(crate) struct Sealer {
    /// What is to be kept from now on; the thread ends when it is closed.
    orders: Sender<Retention>,
    thread: JoinHandle<()>,
}

impl Sealer {
    pub(crate) fn start(store: Arc<Store>, retention: Retention, audit: Audit) -> std::io::Result<Self> {
        let (orders, told) = channel();
        let work = Work { store, audit, retention, looked: None, compactor: Compactor::default() };
        let thread = std::thread::Builder::new().name("sealer".to_owned()).spawn(move || work.run(&told))?;
        Ok(Self { orders, thread })
    }

    /// From now on keeps this.
    pub(crate) fn keep(&self, retention: Retention) {
        let _it_panicked = self.orders.send(retention).is_err();
    }

    /// Waits for the step at hand, which is a transaction or none.
    pub(crate) fn finish(self) {
        drop(self.orders);
        if self.thread.join().is_err() {
            tracing::error!("sealing panicked; nothing is lost, and the next start goes on");
        }
    }
}

struct Work {
    store: Arc<Store>,
    audit: Audit,
    retention: Retention,
    /// When it last found nothing to drop.
    looked: Option<Instant>,
    compactor: Compactor,
}

impl Work {
    fn run(mut self, told: &Receiver<Retention>) {
        let mut rest = PERIOD;
        loop {
            match told.recv_timeout(rest) {
                Ok(retention) => {
                    self.looked = self.looked.filter(|_| retention == self.retention);
                    self.retention = retention;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let began = Instant::now();
                    rest = match self.step() {
                        Ok(true) => began.elapsed() * REST,
                        Ok(false) if self.compactor.waits() => PERIOD / 7,
                        Ok(false) => PERIOD,
                        Err(error) => {
                            if error.is_of_the_disk() {
                                self.store.recover();
                            }
                            tracing::warn!(%error, "what was recorded is not sealed, nor dropped; it stays readable, and this is tried again");
                            PERIOD
                        }
                    };
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Whether there was something to do.
    fn step(&mut self) -> Result<bool, Error> {
        if let Some(sealed) = self.store.seal(false)? {
            tracing::debug!(sealed.rows, sealed.bytes, sealed.parts, "sealed");
            return Ok(true);
        }
        if self.looked.is_some_and(|looked| looked.elapsed() < KEEP_PERIOD) {
            self.compactor.step(&self.store, self.retention.bytes, serve::now())?;
            return Ok(false);
        }
        match self.store.keep(self.retention)? {
            Some(dropped) => {
                log(&dropped);
                self.audit.wake();
                Ok(true)
            }
            None => {
                self.looked = Some(Instant::now());
                Ok(false)
            }
        }
    }
}

fn log(Dropped { of, rows, bytes, from, to, cause, .. }: &Dropped) {
    let setting = match cause {
        Cause::Age => "retention.days",
        Cause::Size => "retention.bytes",
    };
    let (from, to) = (from.rfc3339(), to.rfc3339());
    match of {
        Kept::Versions => tracing::info!(rows, bytes, from, to, setting, "history dropped"),
        Kept::Samples => tracing::info!(rows, bytes, from, to, setting, "samples dropped"),
    }
}
