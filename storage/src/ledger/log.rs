//! The one who writes: appends, and signs what is on the disk.
//!
//! A checkpoint is signed over entries that an earlier transaction, or its own, makes durable, and is on the disk itself
//! before anybody is given it; where there is one over so many entries there is never another. So whatever fails and
//! whenever, two different roots are never handed out for one size. (An older copy of the file that is put back is
//! another matter: who holds a checkpoint that was handed out before sees it, see [`super::verify`].)

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;
use redb::{ReadableTable, ReadableTableMetadata, StorageBackend, WriteTransaction};

use super::blocks::BlockWriter;
use super::checkpoint::{Checkpoint, SignedCheckpoint};
use super::entry::{encode, refusal};
use super::fenced;
use super::hash::{Blake3, Digest};
use super::head::Head;
use super::key::{self, SigningKey};
use super::nodes::NodeWriter;
use super::note::{PublicKey, SIGNATURES_MAX};
use super::tables::{BLOCKS, CHECKPOINTS, KEYS, LEDGER, META, NODES, ORIGINS};
use super::view::{LedgerView, origin};
use crate::Error;
use crate::file::File;
use crate::memory::Memory;
use crate::tables::Tables;

/// Origins of events that are remembered, outboxes not counted among those that are forgotten: the one that was heard
/// longest ago makes room.
pub const ORIGINS_MAX: u64 = 4096;
/// What the origin of an outbox begins with: such an origin is never forgotten.
pub const OUTBOX: &str = "outbox/";

/// The ledger, open for writing: one at a time on a file.
///
/// After the disk failed once, redb answers everything with an error until the file is opened again:
/// [`Ledger::recover`].
pub struct Ledger {
    file: File,
    keys: Mutex<Keys>,
}

/// The secret keys.
struct Keys {
    /// The ledger's; none in memory.
    ledger: Option<PathBuf>,
    current: SigningKey,
    /// What a rotation has not yet put in its place, where there are no files.
    next: Option<SigningKey>,
}

/// What became of events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The entries that they are now.
    pub entries: Range<u64>,
    /// Events that were in before, and are not again.
    pub repeated: u64,
}

impl Ledger {
    /// Opens the ledger at `path`, creating it and its key if nothing is there. Repairs it if its last writer was killed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::beside(fenced(|| File::open(path.as_ref(), LEDGER))?, path.as_ref())
    }

    /// The ledger in `file`, whose keys are beside `path`.
    pub(crate) fn beside(file: File, path: &Path) -> Result<Self, Error> {
        let current = match SigningKey::load(&key::secret_path(path))? {
            Some(key) => key,
            None if has_no_key(&file)? => {
                let key = SigningKey::generate()?;
                key.save(&key::secret_path(path))?;
                key
            }
            None => return Err(key::missing(&key::secret_path(path))),
        };
        Self::with(file, Keys { ledger: Some(path.to_owned()), current, next: None })
    }

    /// A ledger that is gone with the last handle: for tests.
    pub fn in_memory() -> Result<Self, Error> {
        let file = Memory::default();
        Self::on_each(move || file.open_again(), SigningKey::generate()?)
    }

    /// The ledger on any storage that supports locks, of which `handle` gives handles.
    pub(crate) fn on_each<B: StorageBackend>(
        handle: impl Fn() -> B + Send + Sync + 'static,
        key: SigningKey,
    ) -> Result<Self, Error> {
        let file = fenced(|| File::on_each(handle, LEDGER))?;
        Self::with(file, Keys { ledger: None, current: key, next: None })
    }

    fn with(file: File, keys: Keys) -> Result<Self, Error> {
        let ledger = Self { file, keys: Mutex::new(keys) };
        ledger.settled().map(drop)?;
        Ok(ledger)
    }

    /// After [`Error::Full`] or another failure of the disk: closes the file, which is opened again, and repaired, when
    /// it is next asked for. What was committed is there.
    pub fn recover(&self) {
        self.file.recover();
    }

    /// The state as last committed.
    pub fn read(&self) -> Result<LedgerView, Error> {
        fenced(|| Ok(LedgerView::new(self.file.reading()?)))
    }

    /// Appends events in one transaction, which is on the disk when this returns. An event whose number is not above the
    /// highest of its origin is in already, and passed over. `now` is when; a clock that went back is not followed.
    pub fn append(&self, events: &[Event], now: Timestamp) -> Result<Appended, Error> {
        if let Some(refused) = events.iter().find_map(refusal) {
            return Err(Error::Refused(refused));
        }
        if events.iter().any(|event| event.action == Action::KeyRotated) {
            return Err(Error::Refused("a key is rotated by the ledger itself; ask it to".to_owned()));
        }
        fenced(|| {
            let txn = self.file.writing()?;
            let appended = append(&txn, events, now)?;
            if appended.entries.is_empty() {
                txn.abort()?;
            } else {
                txn.commit()?;
            }
            Ok(appended)
        })
    }

    /// Signs the entries that are there; nothing if there are none or they are signed already. The checkpoint is on the
    /// disk when this returns.
    pub fn checkpoint(&self, now: Timestamp) -> Result<Option<SignedCheckpoint>, Error> {
        let keys = self.settled()?;
        fenced(|| {
            let size = Head::read(&self.file.reading()?.table(META)?)?.tree.size();
            if size == 0 || self.file.reading()?.table(CHECKPOINTS)?.get(size)?.is_some() {
                return Ok(None);
            }
            self.file.write(|txn| sign(txn, &[&keys.current], now)).map(Some)
        })
    }

    /// Lets a new key sign from here on. The entry that says so, and the checkpoint over it by both keys, are on the disk
    /// when this returns.
    pub fn rotate(&self, now: Timestamp) -> Result<SignedCheckpoint, Error> {
        let mut keys = self.settled()?;
        let next = SigningKey::generate()?;
        keys.prepare(&next)?;
        let signed = fenced(|| {
            self.file.write(|txn| {
                let name = origin(txn)?;
                let (from, to) = (keys.current.public(&name).to_string(), next.public(&name).to_string());
                let number = txn.table(KEYS)?.len()?;
                let event = Event {
                    id: EventId { origin: name, number },
                    at: now,
                    actor: Actor { name: "agent".to_owned(), ..Actor::default() },
                    action: Action::KeyRotated,
                    subject: to.clone(),
                    payload: serde_json::json!({ "from": from, "to": to }).to_string(),
                };
                let entry = append(txn, &[event], now)?.entries.start;
                txn.open_table(KEYS)?.insert(entry, to.as_str())?;
                sign(txn, &[&keys.current, &next], now)
            })
        });
        drop(keys);
        // What was committed decides, also where that is not known.
        let settled = self.settled();
        let signed = signed?;
        settled.map(|_| signed)
    }

    /// Keeps the cosignatures of witnesses on a checkpoint that this ledger signed; says how many were new. What is not
    /// one of these witnesses' is passed over. Where there is no room for all, none is kept.
    pub fn cosign(&self, checkpoint: &SignedCheckpoint, witnesses: &[PublicKey]) -> Result<usize, Error> {
        let size = checkpoint.checkpoint().size;
        fenced(|| {
            self.file.write(|txn| {
                let mut table = txn.open_table(CHECKPOINTS)?;
                let stored = table.get(size)?.and_then(|note| SignedCheckpoint::parse(note.value()).ok());
                let stored = stored.filter(|stored| stored.checkpoint() == checkpoint.checkpoint());
                let mut stored = stored.ok_or_else(|| {
                    Error::Refused(format!(
                        "the ledger did not sign that checkpoint over {size} entries; `audit checkpoint` writes what it did"
                    ))
                })?;
                let text = checkpoint.note().text();
                let is_good = |it: &&super::note::Signature| witnesses.iter().any(|witness| witness.signed(text, it));
                let good = || checkpoint.note().signatures().iter().filter(is_good);
                let added = good().filter(|signature| stored.note_mut().add((*signature).clone())).count();
                if !good().all(|signature| stored.note().signatures().contains(signature)) {
                    return Err(Error::Refused(format!(
                        "the checkpoint over {size} entries has no room for more than {SIGNATURES_MAX} signatures; \
                         have a newer one cosigned"
                    )));
                }
                table.insert(size, stored.note().to_string().as_str())?;
                Ok(added)
            })
        })
    }

    /// The highest number of an origin that is in; nothing of one that was never heard, or forgotten.
    pub fn last_of(&self, origin: &str) -> Result<Option<u64>, Error> {
        fenced(|| Ok(self.file.reading()?.table(ORIGINS)?.get(origin)?.map(|last| last.value().0)))
    }

    /// The keys, with the one as current that the ledger names last. Finishes what a rotation had begun.
    fn settled(&self) -> Result<MutexGuard<'_, Keys>, Error> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let txn = fenced(|| self.file.reading())?;
        let name = fenced(|| origin(&txn))?;
        let named = fenced(|| Ok(txn.table(KEYS)?.last()?.map(|(_, key)| key.value().to_owned())))?;
        let Some(named) = named else {
            let public = keys.current.public(&name);
            fenced(|| {
                self.file.write(|txn| {
                    txn.open_table(KEYS)?.insert(0, public.to_string().as_str())?;
                    Ok(())
                })
            })?;
            keys.publish(&public)?;
            return Ok(keys);
        };
        keys.take_up(&name, &named)?;
        Ok(keys)
    }
}

impl Keys {
    /// Keeps the key that a rotation is about to name.
    fn prepare(&mut self, next: &SigningKey) -> Result<(), Error> {
        match &self.ledger {
            Some(ledger) => next.save(&key::next_path(ledger)),
            None => {
                self.next = Some(next.clone());
                Ok(())
            }
        }
    }

    fn publish(&self, key: &PublicKey) -> Result<(), Error> {
        self.ledger.as_ref().map_or(Ok(()), |ledger| key::publish(key, &key::public_path(ledger)))
    }

    /// Makes the key that the ledger names the current one.
    fn take_up(&mut self, name: &str, named: &str) -> Result<(), Error> {
        let is_named = |key: &SigningKey| key.public(name).to_string() == named;
        let waiting = match &self.ledger {
            Some(ledger) => SigningKey::load(&key::next_path(ledger))?,
            None => self.next.take(),
        };
        if let Some(next) = waiting {
            let (ledger, is_next) = (self.ledger.as_deref(), is_named(&next));
            if let Some(ledger) = ledger {
                key::finish_rotation(ledger, is_next)?;
            }
            if is_next {
                self.current = next;
            }
        }
        if !is_named(&self.current) {
            let id = named.chars().take(128).collect::<String>();
            return Err(Error::Refused(format!(
                "the key beside the ledger is not the one that signs it, {id:?}; restore that one, or move the ledger away"
            )));
        }
        let is_published = self.ledger.as_ref().is_none_or(|ledger| {
            fs::read_to_string(key::public_path(ledger)).is_ok_and(|public| public.trim_end() == named)
        });
        if is_published { Ok(()) } else { self.publish(&self.current.public(name)) }
    }
}

fn has_no_key(file: &File) -> Result<bool, Error> {
    fenced(|| Ok(file.reading()?.table(KEYS)?.is_empty()?))
}

/// Adds what is new of events to the transaction.
fn append(txn: &WriteTransaction, events: &[Event], now: Timestamp) -> Result<Appended, Error> {
    let mut meta = txn.open_table(META)?;
    let mut head = Head::read(&meta)?;
    let first = head.tree.size();
    let mut origins = txn.open_table(ORIGINS)?;
    let (mut blocks_table, mut nodes_table) = (txn.open_table(BLOCKS)?, txn.open_table(NODES)?);
    let (mut blocks, mut nodes) = (BlockWriter::after(&blocks_table, first)?, NodeWriter::default());
    let mut last: HashMap<&str, Option<(u64, u64)>> = HashMap::new();
    let (mut repeated, mut bytes) = (0, Vec::new());
    head.recorded = head.recorded.max(now);
    for event in events {
        let EventId { origin, number } = &event.id;
        let last = match last.entry(origin) {
            Slot::Occupied(known) => known.into_mut(),
            Slot::Vacant(unknown) => unknown.insert(origins.get(origin.as_str())?.map(|last| last.value())),
        };
        if last.is_some_and(|(last, _)| *number <= last) {
            repeated += 1;
            continue;
        }
        let sequence = head.tree.size();
        *last = Some((*number, sequence));
        bytes.clear();
        encode(sequence, head.recorded, event, &mut bytes);
        blocks.push(&mut blocks_table, sequence, &bytes)?;
        let mut stored = Ok(());
        head.tree.push_node(0, Blake3::leaf(&bytes), |level, index, hash| {
            if stored.is_ok() {
                stored = nodes.push(&mut nodes_table, level, index, hash);
            }
        });
        stored?;
    }
    blocks.finish(&mut blocks_table)?;
    nodes.finish(&mut nodes_table)?;
    for (origin, last) in last {
        if let Some(last) = last.filter(|(_, sequence)| *sequence >= first) {
            origins.insert(origin, last)?;
        }
    }
    make_room(&mut origins)?;
    head.write(&mut meta)?;
    Ok(Appended { entries: first..head.tree.size(), repeated })
}

/// Forgets origins that were heard longest ago, a quarter of those that are possible.
fn make_room(origins: &mut redb::Table<'_, &'static str, (u64, u64)>) -> Result<(), Error> {
    if origins.len()? <= ORIGINS_MAX {
        return Ok(());
    }
    let mut runs = Vec::new();
    for stored in origins.iter()? {
        let (name, last) = stored?;
        if !name.value().starts_with(OUTBOX) {
            runs.push((last.value().1, name.value().to_owned()));
        }
    }
    runs.sort_unstable();
    for (_, name) in runs.into_iter().take(usize::try_from(ORIGINS_MAX / 4).expect("a small number")) {
        origins.remove(name.as_str())?;
    }
    if origins.len()? > ORIGINS_MAX {
        return Err(Error::Refused(format!("events came from more than {ORIGINS_MAX} outboxes; begin a new ledger")));
    }
    Ok(())
}

/// Signs all that is in the transaction.
fn sign(txn: &WriteTransaction, keys: &[&SigningKey], now: Timestamp) -> Result<SignedCheckpoint, Error> {
    let (name, head) = (origin(txn)?, Head::read(&txn.open_table(META)?)?);
    let checkpoint = Checkpoint::at(&name, head.tree.size(), head.tree.root(), now.max(head.recorded));
    let mut signed = SignedCheckpoint::unsigned(checkpoint);
    for key in keys {
        let signature = key.sign(&name, signed.note());
        signed.note_mut().add(signature);
    }
    txn.open_table(CHECKPOINTS)?.insert(head.tree.size(), signed.note().to_string().as_str())?;
    Ok(signed)
}
