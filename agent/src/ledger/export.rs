//! The file to which checkpoints are appended, and what its last one says of the ledger.
//!
//! Signed notes, each followed by an empty line, the newest last. It is best kept on another host: then whoever owns this
//! one cannot make it fit a ledger that was changed. So it may be slow or gone for a while, and has a thread of its own;
//! of several checkpoints that wait the newest stays, which is over all that the others are.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemoneye_storage::Error;
use daemoneye_storage::ledger::{LedgerView, NOTE_LEN_MAX, SignedCheckpoint};

/// How long it leaves a file alone that cannot be written.
const RETRY: Duration = Duration::from_secs(10);
/// How long the last checkpoint may take when the agent stops.
const END_TIME: Duration = Duration::from_secs(2);

/// The thread that appends.
pub(super) struct Exporter {
    wake: SyncSender<()>,
    slot: Arc<Slot>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Slot {
    /// The newest that is not in the file.
    waiting: Mutex<Option<String>>,
    /// Why it is not.
    error: Mutex<Option<String>>,
    /// The last that the file had at the start.
    known: Mutex<Option<io::Result<SignedCheckpoint>>>,
}

impl Exporter {
    pub(super) fn start(path: PathBuf) -> io::Result<Self> {
        let (wake, woken) = sync_channel(1);
        let slot = Arc::<Slot>::default();
        let own = slot.clone();
        let thread = std::thread::Builder::new().name("export".to_owned()).spawn(move || own.run(&path, &woken))?;
        Ok(Self { wake, slot, thread })
    }

    /// Hands a checkpoint over. Never waits.
    pub(super) fn export(&self, note: &str) {
        *lock(&self.slot.waiting) = Some(note.to_owned());
        let _already_awake = self.wake.try_send(());
    }

    /// Why the newest checkpoint is not in the file.
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
            tracing::warn!("the last checkpoint is not exported: its file cannot be written in time");
        }
    }
}

impl Slot {
    fn run(&self, path: &Path, woken: &Receiver<()>) {
        *lock(&self.known) = last(path).transpose();
        loop {
            let is_over = matches!(woken.recv_timeout(RETRY), Err(RecvTimeoutError::Disconnected));
            let note = lock(&self.waiting).take();
            if let Some(note) = note {
                let why = append(path, &note).err().map(|error| {
                    lock(&self.waiting).get_or_insert(note);
                    format!("cannot export checkpoints to {}: {error}", path.display())
                });
                let before = std::mem::replace(&mut *lock(&self.error), why.clone());
                if let Some(why) = why.filter(|why| before.as_ref() != Some(why)) {
                    tracing::error!("{why}; it is tried again");
                }
            }
            if is_over {
                return;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a checkpoint to the end, durably.
fn append(path: &Path, note: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{note}\n").as_bytes())?;
    file.sync_data()
}

/// How a checkpoint that was exported contradicts a ledger; nothing where it does not.
pub(super) fn contradiction(known: io::Result<SignedCheckpoint>, ledger: &LedgerView) -> Result<Option<String>, Error> {
    let signed = match known {
        Ok(signed) => signed,
        Err(error) => return Ok(Some(format!("the exported checkpoints cannot be read: {error}"))),
    };
    let (known, size, origin) = (signed.checkpoint(), ledger.size()?, ledger.origin()?);
    let at = known.time().map(|at| format!(" of {}", at.rfc3339())).unwrap_or_default();
    let checkpoint = format!("the exported checkpoint{at} over {} entries", known.size);
    Ok(if known.origin != origin {
        Some(format!("{checkpoint} is of another ledger, {}: this one, {origin}, took its place", known.origin))
    } else if known.size > size {
        Some(format!("{checkpoint}: there are {size}, entries were cut off or an older copy was put back"))
    } else if ledger.root(known.size)? != Some(known.root) {
        Some(format!("{checkpoint} has another root than these entries: they were changed"))
    } else {
        None
    })
}

/// The last checkpoint in the file.
fn last(path: &Path) -> io::Result<Option<SignedCheckpoint>> {
    let mut file = match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let len = file.metadata()?.len();
    file.seek(SeekFrom::Start(len.saturating_sub(NOTE_LEN_MAX as u64)))?;
    let mut end = Vec::new();
    file.take(NOTE_LEN_MAX as u64).read_to_end(&mut end)?;
    let end = String::from_utf8_lossy(&end);
    // A note has an empty line of its own, between its text and its signatures.
    let mut parts = end.trim_end_matches('\n').rsplit("\n\n");
    let (Some(signatures), Some(text)) = (parts.next(), parts.next()) else { return Ok(None) };
    let note = format!("{}\n\n{signatures}\n", text.trim_start_matches('\n'));
    SignedCheckpoint::parse(&note).map(Some).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::audit::{Action, Actor, EventId, Fact};
    use daemoneye_dsl::types::Timestamp;
    use daemoneye_storage::ledger::Ledger;
    use serde_json::json;

    use super::*;

    fn grow(ledger: &Ledger, subjects: &[&str]) -> String {
        let events: Vec<_> = subjects.iter().zip(ledger.read().unwrap().size().unwrap() + 1..).collect();
        let event = |(subject, number): (&&str, u64)| {
            let fact = Fact::new(Timestamp(0), Actor::default(), Action::AlertRaised, subject, &json!({}));
            fact.numbered(EventId { origin: "o".to_owned(), number })
        };
        ledger.append(&events.into_iter().map(event).collect::<Vec<_>>(), Timestamp(0)).unwrap();
        ledger.checkpoint(Timestamp(0)).unwrap().unwrap().note().to_string()
    }

    #[test]
    fn a_ledger_that_was_cut_changed_or_replaced_contradicts_what_was_exported() {
        let dir = tempfile::tempdir().unwrap();
        let (path, exported) = (dir.path().join("l.redb"), dir.path().join("exported"));
        let found = |ledger: &Ledger| {
            let known = last(&exported).transpose();
            known.and_then(|known| contradiction(known, &ledger.read().unwrap()).unwrap())
        };
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(found(&ledger), None);
        append(&exported, &grow(&ledger, &["a"])).unwrap();
        drop(ledger);
        std::fs::copy(&path, dir.path().join("older")).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        append(&exported, &grow(&ledger, &["b", "c"])).unwrap();
        assert_eq!(found(&ledger), None);
        grow(&ledger, &["d"]);
        assert_eq!(found(&ledger), None, "it is a beginning of it");
        drop(ledger);
        std::fs::copy(dir.path().join("older"), &path).unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert!(found(&ledger).unwrap().contains("over 3 entries: there are 1"), "{:?}", found(&ledger));
        grow(&ledger, &["x", "y"]);
        assert!(found(&ledger).unwrap().contains("another root"), "{:?}", found(&ledger));
        let other = Ledger::in_memory().unwrap();
        assert!(found(&other).unwrap().contains("another ledger"), "{:?}", found(&other));
        std::fs::write(&exported, "\n\nnonsense\n\n\u{1b}").unwrap();
        assert!(found(&other).unwrap().contains("cannot be read"));
    }
}
