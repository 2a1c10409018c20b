//! What can go wrong with the event store or the ledger, by what the caller can do about it.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use arrow_schema::ArrowError;
use redb::{CommitError, CompactionError, DatabaseError, StorageError, TableError, TransactionError};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there to read.
    #[error("nothing is stored at {}: it is created when the agent first runs; check the path", .0.display())]
    NotFound(PathBuf),
    /// The file's permissions forbid it.
    #[error("cannot open {}: permission denied; run as its owner or as root", .0.display())]
    Denied(PathBuf),
    /// Another process writes to it.
    #[error("{} is in use by another writer; stop the agent that has it open", .0.display())]
    Locked(PathBuf),
    /// Its writer was killed; only a writer can bring it back.
    #[error("{} was not closed cleanly; start the agent once, which repairs it", .0.display())]
    NeedsRepair(PathBuf),
    /// Somebody reads it, and what is to be done needs it alone.
    #[error("the file is being read; try again when nobody reads it")]
    Busy,
    /// Not a store, or not one that this version can read.
    #[error("{} {why}; move it away or name another path", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// A part that was asked for by name is damaged. (Scans set damaged blocks aside and go on.)
    #[error("the event store is damaged: {0}; move it away and restart the agent, which begins a new one")]
    Damaged(String),
    /// The ledger's own entries, nodes or notes contradict each other.
    #[error("the ledger is damaged: {0}; keep its file as evidence, move it away, and the agent begins a new one")]
    Ledger(String),
    /// What somebody gave as a checkpoint, a proof or a key is none.
    #[error("this is no {what}: {why}; give one as `daemoneye-cli audit` writes it")]
    Malformed {
        /// What it was to be.
        what: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// The disk is full; nothing of the transaction was stored.
    #[error("the disk that holds the data directory is full; free space there")]
    Full,
    /// The rows or the question contradict the store or the catalog; nothing was stored.
    #[error("refused: {0}")]
    Refused(String),
    /// Any other failure while opening.
    #[error("cannot open {}: {cause}; check the disk, or name another path", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What failed.
        cause: Box<redb::Error>,
    },
    /// Any other failure of the storage.
    #[error("the storage failed: {0}; check the disk that holds the data directory, then restart the agent")]
    Storage(Box<redb::Error>),
}

/// Room that the system does not give.
fn is_full(error: &std::io::Error) -> bool {
    // The limit on the size of a process's files is one too.
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

impl Error {
    /// Whether the disk is full or failed: [`crate::Store::recover`] helps once it is well again.
    pub fn is_of_the_disk(&self) -> bool {
        matches!(self, Self::Full | Self::Storage(_))
    }

    /// Damage to the ledger.
    pub(crate) fn damaged_ledger(why: String) -> Self {
        Self::Ledger(why)
    }

    /// What the storage said, where it said it of the ledger.
    pub(crate) fn of_ledger(self) -> Self {
        match self {
            Self::Damaged(why) => Self::Ledger(why),
            other => other,
        }
    }

    /// What opening the file at `path` ran into.
    pub(crate) fn opening(path: &Path, error: DatabaseError) -> Self {
        let owned = path.to_owned();
        match error {
            DatabaseError::DatabaseAlreadyOpen => Self::Locked(owned),
            DatabaseError::RepairAborted => Self::NeedsRepair(owned),
            DatabaseError::UpgradeRequired(version) => {
                Self::Foreign { path: owned, why: format!("has the old redb file format {version}") }
            }
            DatabaseError::Storage(StorageError::Io(error)) => Self::opening_io(path, error),
            DatabaseError::Storage(StorageError::Corrupted(detail)) => {
                Self::Foreign { path: owned, why: format!("is damaged ({detail})") }
            }
            other => Self::Open { path: owned, cause: Box::new(other.into()) },
        }
    }

    /// What the operating system said about opening the file at `path`.
    pub(crate) fn opening_io(path: &Path, error: std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound(path),
            ErrorKind::PermissionDenied => Self::Denied(path),
            ErrorKind::IsADirectory => Self::Foreign { path, why: "is a directory".to_owned() },
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                Self::Foreign { path, why: "is not a file of this program".to_owned() }
            }
            _ if is_full(&error) => Self::Full,
            _ => Self::Open { path, cause: Box::new(error.into()) },
        }
    }
}

impl From<redb::Error> for Error {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) if is_full(&error) => Self::Full,
            redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Self::Damaged("its file ends before its last page".to_owned())
            }
            redb::Error::Corrupted(detail) => Self::Damaged(detail),
            other => Self::Storage(Box::new(other)),
        }
    }
}

impl From<CompactionError> for Error {
    fn from(error: CompactionError) -> Self {
        match error {
            CompactionError::TransactionInProgress => Self::Busy,
            other => redb::Error::from(other).into(),
        }
    }
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<TransactionError> for Error {
    fn from(error: TransactionError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<CommitError> for Error {
    fn from(error: CommitError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<ArrowError> for Error {
    fn from(error: ArrowError) -> Self {
        Self::Damaged(error.to_string())
    }
}
