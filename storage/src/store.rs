//! Opening the store's file, to write or beside the writer.

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use daemoneye_dsl::completeness::Completeness;
use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    TableError, WriteTransaction,
};

use crate::Error;
use crate::guard::guarded;
use crate::memory::Memory;
use crate::outbox;
use crate::reader::{Each, Reader, Scan, StoredProcess};
use crate::retention::{self, Dropped, Retention, Step};
use crate::samples;
use crate::seal::{self, Draft, Sealed};
use crate::tables::{self, FORMAT, FORMAT_KEY, LAYOUT_KEY, META};
use crate::transaction::Transaction;
use crate::view::{Live, View};

/// Memory that redb may use for pages; without a budget it takes a gibibyte.
const CACHE_LEN_MAX: usize = 32 << 20;

/// The store, open for writing: one at a time on a file.
///
/// After the disk failed once, redb answers everything with an error until the file is opened again:
/// [`Store::recover`].
pub struct Store {
    /// None in memory.
    path: Option<PathBuf>,
    open: Box<dyn Fn() -> Result<Database, Error> + Send + Sync>,
    /// None from [`Store::recover`] on, until somebody asks.
    db: RwLock<Option<Database>>,
}

/// The store as another process reads it while it is being written.
pub struct ReadStore {
    db: ReadOnlyDatabase,
}

impl Store {
    /// Opens the store at `path`, creating it (readable for its owner only) if nothing is there. Repairs it if its last
    /// writer was killed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        if !path.try_exists().map_err(|error| Error::opening_io(path, error))? {
            create(path)?;
        }
        Self::open_file(path)
    }

    fn open_file(path: &Path) -> Result<Self, Error> {
        let (kept, path) = (path.to_owned(), path.to_owned());
        Self::opened(Some(kept), move || {
            Self::checked(builder().create(&path).map_err(|error| Error::opening(&path, error))?, &path)
        })
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
        let path = Path::new("memory");
        Self::opened(None, move || {
            let created = builder().create_with_backend(handle());
            Self::checked(created.map_err(|error| Error::opening(path, error))?, path)
        })
    }

    fn opened(
        path: Option<PathBuf>,
        open: impl Fn() -> Result<Database, Error> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let open = Box::new(move || guarded(&open));
        let db = RwLock::new(Some(open()?));
        Ok(Self { path, open, db })
    }

    /// After [`Error::Full`] or another failure of the disk: closes the file, which is opened again, and repaired, when
    /// it is next asked for. What was committed is there; transactions and views of before answer with errors.
    pub fn recover(&self) {
        *self.db.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn with<T>(&self, ask: impl FnOnce(&Database) -> Result<T, Error>) -> Result<T, Error> {
        if let Some(db) = &*self.db.read().unwrap_or_else(PoisonError::into_inner) {
            return ask(db);
        }
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        if db.is_none() {
            *db = Some((self.open)()?);
        }
        ask(db.as_ref().expect("it was opened"))
    }

    fn checked(db: Database, path: &Path) -> Result<Database, Error> {
        let read = db.begin_read()?;
        if read.list_tables()?.next().is_some() {
            check(&read, path)?;
        } else {
            let txn = db.begin_write()?;
            tables::create(&txn)?;
            txn.commit()?;
        }
        Ok(db)
    }

    /// Begins a transaction; waits while another one is open.
    pub fn begin(&self) -> Result<Transaction, Error> {
        Ok(Transaction::new(self.writing()?))
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
        match guarded(|| retention::next(&self.reading()?, retention))? {
            None => Ok(None),
            Some(Step::Versions(draft)) => {
                let dropped = draft.dropped;
                self.exchange(draft)?;
                Ok(dropped)
            }
            Some(Step::Samples(expired)) => {
                self.write(|txn| retention::expire(txn, &expired))?;
                Ok(Some(expired.dropped))
            }
        }
    }

    /// Bytes of the file; nothing of a store in memory.
    pub fn file_len(&self) -> Result<Option<u64>, Error> {
        let len = |path: &PathBuf| Ok(std::fs::metadata(path).map_err(|error| Error::opening_io(path, error))?.len());
        self.path.as_ref().map(len).transpose()
    }

    /// Gives what is free in the file back to the disk. Nobody can record or begin to read meanwhile: they wait. Fails
    /// with [`Error::Busy`] while somebody reads.
    pub fn compact(&self) -> Result<(), Error> {
        self.with(|_| Ok(()))?;
        let mut db = self.db.write().unwrap_or_else(PoisonError::into_inner);
        // Whoever found that the disk failed may have closed it in between.
        let Some(db) = db.as_mut() else { return Err(Error::Busy) };
        guarded(|| {
            loop {
                if !db.compact()? {
                    return Ok(());
                }
            }
        })
    }

    pub(crate) fn reading(&self) -> Result<ReadTransaction, Error> {
        self.with(|db| Ok(db.begin_read()?))
    }

    /// Which pages are free goes into each commit: after a crash the file is open at once, not when all of it was read.
    fn writing(&self) -> Result<WriteTransaction, Error> {
        let mut txn = self.with(|db| Ok(db.begin_write()?))?;
        txn.set_quick_repair(true);
        Ok(txn)
    }

    pub(crate) fn exchange(&self, draft: Draft) -> Result<Sealed, Error> {
        self.write(|txn| seal::exchange(txn, draft))
    }

    pub(crate) fn write<T>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
        let txn = self.writing()?;
        let written = guarded(|| write(&txn))?;
        txn.commit()?;
        Ok(written)
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
        let path = path.as_ref();
        guarded(|| Self::with(builder().open_read_only(path).map_err(|error| Error::opening(path, error))?, path))
    }

    /// The store on any storage that supports locks.
    #[cfg(test)]
    pub(crate) fn on(backend: impl StorageBackend) -> Result<Self, Error> {
        let path = Path::new("memory");
        let open = || builder().open_read_only_with_backend(backend).map_err(|error| Error::opening(path, error));
        guarded(|| Self::with(open()?, path))
    }

    fn with(db: ReadOnlyDatabase, path: &Path) -> Result<Self, Error> {
        check(&db.begin_read()?, path)?;
        Ok(Self { db })
    }

    /// The state as last committed, for several questions about the same moment.
    pub fn read(&self) -> Result<View, Error> {
        Ok(View::new(self.db.begin_read()?))
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

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_LEN_MAX).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

/// Makes a new store beside `path` and moves it there when it is whole: redb cannot open a file whose creation was
/// interrupted. Its owner alone can read it, from the first byte.
fn create(path: &Path) -> Result<(), Error> {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".new");
    let aside = Path::new(&aside);
    let failed = |error| Error::opening_io(path, error);
    match std::fs::remove_file(aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(aside).map_err(failed)?;
    drop(Store::open_file(aside)?);
    std::fs::rename(aside, path).map_err(failed)?;
    sync_folder(path).map_err(failed)
}

/// Makes the file's name as durable as its content.
#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be synced.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the form of the other platforms")]
fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
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
