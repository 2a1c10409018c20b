//! A redb file of this crate, open to write or beside the writer.
//!
//! The mode is `SingleWriter`: other processes read while one writes, every commit has two phases and is on the disk
//! before it returns. After the disk failed once, redb answers everything with an error until the file is opened again:
//! [`File::recover`].

use std::fs::OpenOptions;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use redb::{
    Builder, ConcurrencyMode, Database, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    WriteTransaction,
};

use crate::Error;
use crate::guard::guarded;

/// Memory that redb may use for pages of a file that is only read; without a budget it takes a gibibyte.
const READ_CACHE_LEN_MAX: usize = 32 << 20;

/// What tells one kind of file from another.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// Memory that redb may use for its pages while it is open to write: the agent's, for as long as it runs.
    pub(crate) cache_len_max: usize,
    /// Makes the tables of a new file.
    pub(crate) create: fn(&WriteTransaction) -> Result<(), Error>,
    /// Whether the file at the path is one of this kind, of this version.
    pub(crate) check: fn(&ReadTransaction, &Path) -> Result<(), Error>,
}

/// A file, open for writing: one at a time on a path.
pub(crate) struct File {
    /// None in memory.
    path: Option<PathBuf>,
    open: Box<dyn Fn() -> Result<Database, Error> + Send + Sync>,
    /// None from [`File::recover`] on, until somebody asks.
    db: RwLock<Option<Database>>,
}

/// A file as another process reads it while it is being written.
pub(crate) struct ReadFile {
    db: ReadOnlyDatabase,
}

impl File {
    /// Opens the file at `path`, creating it (readable for its owner only) if nothing is there. Repairs it if its last
    /// writer was killed.
    pub(crate) fn open(path: &Path, kind: Kind) -> Result<Self, Error> {
        if !path.try_exists().map_err(|error| Error::opening_io(path, error))? {
            create(path, kind)?;
        }
        Self::open_file(path, kind)
    }

    fn open_file(path: &Path, kind: Kind) -> Result<Self, Error> {
        let (kept, path) = (path.to_owned(), path.to_owned());
        Self::opened(Some(kept), move || {
            checked(
                builder(kind.cache_len_max).create(&path).map_err(|error| Error::opening(&path, error))?,
                &path,
                kind,
            )
        })
    }

    /// A file on any storage that supports locks, of which `handle` gives handles.
    pub(crate) fn on_each<B: StorageBackend>(
        handle: impl Fn() -> B + Send + Sync + 'static,
        kind: Kind,
    ) -> Result<Self, Error> {
        let path = Path::new("memory");
        Self::opened(None, move || {
            let created = builder(kind.cache_len_max).create_with_backend(handle());
            checked(created.map_err(|error| Error::opening(path, error))?, path, kind)
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
    pub(crate) fn recover(&self) {
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

    /// Bytes of the file; nothing of one in memory.
    pub(crate) fn len(&self) -> Result<Option<u64>, Error> {
        let len = |path: &PathBuf| Ok(std::fs::metadata(path).map_err(|error| Error::opening_io(path, error))?.len());
        self.path.as_ref().map(len).transpose()
    }

    /// Gives what is free in the file back to the disk. Nobody can record or begin to read meanwhile: they wait. Fails
    /// with [`Error::Busy`] while somebody reads.
    pub(crate) fn compact(&self) -> Result<(), Error> {
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
    pub(crate) fn writing(&self) -> Result<WriteTransaction, Error> {
        let mut txn = self.with(|db| Ok(db.begin_write()?))?;
        txn.set_quick_repair(true);
        Ok(txn)
    }

    /// A transaction of its own, which leaves nothing where `write` fails.
    pub(crate) fn write<T>(&self, write: impl FnOnce(&WriteTransaction) -> Result<T, Error>) -> Result<T, Error> {
        let txn = self.writing()?;
        let written = guarded(|| write(&txn))?;
        txn.commit()?;
        Ok(written)
    }
}

impl ReadFile {
    /// Opens the file at `path` beside its writer, if there is one. After a writer was killed this fails with
    /// [`Error::NeedsRepair`] until a writer has opened the file again.
    pub(crate) fn open(path: &Path, kind: &Kind) -> Result<Self, Error> {
        guarded(|| {
            Self::with(
                builder(READ_CACHE_LEN_MAX).open_read_only(path).map_err(|error| Error::opening(path, error))?,
                path,
                kind,
            )
        })
    }

    /// A file on any storage that supports locks.
    #[cfg(test)]
    pub(crate) fn on(backend: impl StorageBackend, kind: &Kind) -> Result<Self, Error> {
        let path = Path::new("memory");
        let open = || {
            builder(READ_CACHE_LEN_MAX)
                .open_read_only_with_backend(backend)
                .map_err(|error| Error::opening(path, error))
        };
        guarded(|| Self::with(open()?, path, kind))
    }

    fn with(db: ReadOnlyDatabase, path: &Path, kind: &Kind) -> Result<Self, Error> {
        (kind.check)(&db.begin_read()?, path)?;
        Ok(Self { db })
    }

    pub(crate) fn reading(&self) -> Result<ReadTransaction, Error> {
        Ok(self.db.begin_read()?)
    }
}

fn builder(cache_len_max: usize) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_len_max).set_concurrency_mode(ConcurrencyMode::SingleWriter);
    builder
}

fn checked(db: Database, path: &Path, kind: Kind) -> Result<Database, Error> {
    let read = db.begin_read()?;
    if read.list_tables()?.next().is_some() {
        (kind.check)(&read, path)?;
    } else {
        let txn = db.begin_write()?;
        (kind.create)(&txn)?;
        txn.commit()?;
    }
    Ok(db)
}

/// Makes a new file beside `path` and moves it there when it is whole: redb cannot open one whose creation was
/// interrupted. Its owner alone can read it, from the first byte.
fn create(path: &Path, kind: Kind) -> Result<(), Error> {
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
    drop(File::open_file(aside, kind)?);
    std::fs::rename(aside, path).map_err(failed)?;
    sync_folder(path).map_err(failed)
}

/// Makes the file's name as durable as its content.
#[cfg(unix)]
pub(crate) fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be synced.
#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "the form of the other platforms")]
pub(crate) fn sync_folder(_path: &Path) -> std::io::Result<()> {
    Ok(())
}
