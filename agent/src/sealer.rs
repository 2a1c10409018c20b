//! The thread that seals what was recorded, beside the engine and slower than it could.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemoneye_storage::Store;

/// How often it looks whether there is something to seal.
const PERIOD: Duration = Duration::from_secs(5);
/// After a step it rests this many times as long as the step took: at most a fifth of a core.
const REST: u32 = 4;

/// The thread that seals.
pub(crate) struct Sealer {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Sealer {
    pub(crate) fn start(store: Arc<Store>) -> std::io::Result<Self> {
        let (stop, stopped) = channel();
        let thread = std::thread::Builder::new().name("sealer".to_owned()).spawn(move || run(&store, &stopped))?;
        Ok(Self { stop, thread })
    }

    /// Waits for the step at hand, which is a transaction or none.
    pub(crate) fn finish(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("sealing panicked; nothing is lost, and the next start goes on");
        }
    }
}

fn run(store: &Store, stopped: &Receiver<()>) {
    let mut rest = PERIOD;
    while stopped.recv_timeout(rest) == Err(RecvTimeoutError::Timeout) {
        let began = Instant::now();
        rest = match store.seal(false) {
            Ok(Some(sealed)) => {
                tracing::debug!(sealed.rows, sealed.bytes, sealed.parts, "segment sealed");
                began.elapsed() * REST
            }
            Ok(None) => PERIOD,
            Err(error) => {
                tracing::warn!(%error, "cannot seal what was recorded; it stays readable, and this is tried again");
                PERIOD
            }
        };
    }
}
