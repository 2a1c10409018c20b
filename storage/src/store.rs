//! The event store, to write or beside the writer.

use std::path::Path;

use daemoneye_dsl::completeness::Completeness;
use redb::{ReadTransaction, StorageBackend, TableError, WriteTransaction};

use crate::Error;
use crate::file::{File, Kind, ReadFile};
use crate::guard::guarded;
use crate::memory::Memory;
use crate::outbox;
use crate::reader::{Each, Reader, Scan, StoredProcess};
use crate::retention::{self, Dropped, Retention, Step};
use crate::samples;
use crate::seal::{self, Draft, Sealed};
use crate::tables::{self, FORMAT, FORMAT_KEY, LAYOUT_KEY, META};
use crate::transaction::Transaction;
use crate::unreadable;
use crate::view::{Live, View};

/// What tells the event store from other files.
const EVENTS: Kind = Kind { cache_len_max: 20 << 20, create: tables::create, check };

/// The store, open for writing: one at a time on a file.
///
/// After the disk failed once, redb answers everything with an error until the file is opened again:
/// [`Store::recover`].
pub struct Store {
    file: File,
}

/// The store as another process reads it while it is being written.
pub struct ReadStore {
    file: ReadFile,
}

impl Store {
    /// Opens the store at `path`, creating it (readable for its owner only) if nothing is there. Repairs it if its last
    /// writer was killed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { file: File::open(path.as_ref(), EVENTS)? })
    }

    /// A store that is gone with the last handle: for tests.
    pub fn in_memory() -> Result<Self, Error> {
        let file = Memory::default();
        Self::on_each(move || file.open_again())
    }

    /// The store on any storage that supports locks, which cannot be opened again.
    #[cfg(test)]
    pub(crate) fn on(backend: impl StorageBackend) -> Result<Self, Error> {
        let backend = std::sync::Mutex::new(Some(backend));
        Self::on_each(move || backend.lock().expect("nobody panics").take().expect("it is opened once"))
    }

    /// The store on any storage that supports locks, of which `handle` gives handles.
    pub(crate) fn on_each<B: StorageBackend>(handle: impl Fn() -> B + Send + Sync + 'static) -> Result<Self, Error> {
        Ok(Self { file: File::on_each(handle, EVENTS)? })
    }

    /// After [`Error::Full`] or another failure of the disk: closes the file, which is opened again, and repaired, when
    /// it is next asked for. What was committed is there; transactions and views of before answer with errors.
    pub fn recover(&self) {
        self.file.recover();
    }

    /// Begins a transaction; waits while another one is open.
    pub fn begin(&self) -> Result<Transaction, Error> {
        Ok(Transaction::new(self.file.writing()?))
    }

    /// The state as last committed.
    pub fn read(&self) -> Result<View, Error> {
        Ok(View::new(self.reading()?))
    }

    /// Seals what was recorded into a segment, or makes one of several, or a longer stretch of samples of short ones, if
    /// enough of them came together (or, with `all`, any block that is left): one step; ask again until there is nothing
    /// to do. Rows are read and written without holding up whoever records; only the exchange at the end is a
    /// transaction. One caller at a time.
    pub fn seal(&self, all: bool) -> Result<Option<Sealed>, Error> {
        self.seal_within(&seal::Bounds::USUAL, all)
    }

    pub(crate) fn seal_within(&self, bounds: &seal::Bounds, all: bool) -> Result<Option<Sealed>, Error> {
        if let Some(draft) = guarded(|| seal::draft(&self.reading()?, bounds, all))? {
            return self.exchange(draft).map(Some);
        }
        let draft = guarded(|| samples::draft(&self.reading()?, bounds.stretches))?;
        draft.map(|draft| self.write(|txn| samples::exchange(txn, &draft))).transpose()
    }

    /// Drops what is not to be kept, from one segment, or seals what has waited long in blocks: one step, as
    /// [`Store::seal`]; nothing if there is nothing to do.
    pub fn keep(&self, retention: Retention) -> Result<Option<Dropped>, Error> {
        if guarded(|| retention::blocks_wait(&self.reading()?))? {
            self.seal(true)?;
        }
        // Where all of the file is not too much, nobody has to count what of it is in use.
        let fits = self.file_len()?.is_some_and(|len| len <= retention.bytes);
        let retention = if fits { Retention { bytes: u64::MAX, ..retention } } else { retention };
        loop {
            match guarded(|| retention::next(&self.reading()?, retention))? {
                None => return Ok(None),
                Some(Step::Versions(draft)) => {
                    let dropped = draft.dropped;
                    self.exchange(draft)?;
                    return Ok(dropped);
                }
                Some(Step::Samples(expired)) => {
                    self.write(|txn| retention::expire(txn, &expired))?;
                    return Ok(Some(expired.dropped));
                }
                Some(Step::Unreadable(part)) => self.write(|txn| unreadable::met(txn, part))?,
            }
        }
    }

    /// Bytes of the file; nothing of a store in memory.
    pub fn file_len(&self) -> Result<Option<u64>, Error> {
        self.file.len()
    }

    /// Gives what is free in the file back to the disk. Nobody can record or begin to read meanwhile: they wait. Fails
    /// with [`Error::Busy`] while somebody reads.
    pub fn compact(&self) -> Result<(), Error> {
        self.file.compact()
    }

    pub(crate) fn reading(&self) -> Result<ReadTransaction, Error> {
        self.file.reading()
    }

    pub(crate) fn exchange(&self, draft: Draft) -> Result<Sealed, Error> {
        self.write(|txn| seal::exchange(txn, draft))
    }

    pub(crate) fn write<T>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
        self.file.write(write)
    }

    /// Gives the events of this store another origin, those that wait too: where the ledger has numbers that this store
    /// has not given yet, it is an older copy, and its numbers would be taken for those.
    pub fn renew_origin(&self) -> Result<(), Error> {
        self.write(outbox::renew)
    }

    /// [`View::live`] of the state as last committed.
    pub fn live(&self) -> Result<Option<Live>, Error> {
        self.read()?.live()
    }

    /// [`View::deliveries`] of the state as last committed.
    pub fn deliveries(&self) -> Result<Vec<u64>, Error> {
        self.read()?.deliveries()
    }

    /// Takes alerts that every sink has out of the outbox, in a transaction of its own.
    pub fn delivered(&self, alert_ids: &[u64]) -> Result<(), Error> {
        let mut txn = self.begin()?;
        alert_ids.iter().try_for_each(|id| txn.dequeue_delivery(*id))?;
        txn.commit()
    }
}

impl ReadStore {
    /// Opens the store at `path` beside its writer, if there is one. After a writer was killed this fails with
    /// [`Error::NeedsRepair`] until a writer has opened the file again.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Ok(Self { file: ReadFile::open(path.as_ref(), &EVENTS)? })
    }

    /// The store on any storage that supports locks.
    #[cfg(test)]
    pub(crate) fn on(backend: impl StorageBackend) -> Result<Self, Error> {
        Ok(Self { file: ReadFile::on(backend, &EVENTS)? })
    }

    /// The state as last committed, for several questions about the same moment.
    pub fn read(&self) -> Result<View, Error> {
        Ok(View::new(self.file.reading()?))
    }
}

/// Each question sees the state as last committed.
impl Reader for ReadStore {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        self.read()?.visit(scan, each)
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        self.read()?.process(proc_id)
    }
}

/// Whether the file is a store of this version.
fn check(read: &ReadTransaction, path: &Path) -> Result<(), Error> {
    let foreign = |why: String| Error::Foreign { path: path.to_owned(), why };
    let meta = match read.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(foreign("is a redb file but not an event store".to_owned())),
    };
    let number = |key| Ok::<_, Error>(meta.get(key)?.map(|number| number.value()));
    match number(FORMAT_KEY)? {
        Some(FORMAT) if number(LAYOUT_KEY)? == Some(tables::layout()) => Ok(()),
        Some(FORMAT) => Err(foreign("was written by a version whose tables have other columns".to_owned())),
        Some(format) => Err(foreign(format!("has format {format}, and this version reads {FORMAT}"))),
        None => Err(foreign("is a redb file but not an event store".to_owned())),
    }
}
