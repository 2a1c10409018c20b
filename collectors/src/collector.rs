//! What a collector is and what it gives.

use std::io;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::Timestamp;

/// A source of one table's rows.
pub trait Collector {
    /// Everything there is at this moment, as one snapshot that carries the time `now`.
    ///
    /// A process that cannot be read fully is still a row; an error means that there is no snapshot at all, because
    /// one with missing rows would look like exits.
    fn collect(&mut self, now: Timestamp) -> Result<Snapshot, CollectError>;
}

/// One collection cycle of one table.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// The table's name in the catalog.
    pub table: &'static str,
    /// When it was taken: the caller's `now`.
    pub time: Timestamp,
    /// The rows, in the table's layout.
    pub rows: RecordBatch,
    /// Whether permissions or bounds hide part of it.
    pub completeness: Completeness,
    /// Rows whose `accessible` is false.
    pub unreadable: u64,
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The system refused something that every snapshot needs, or ran out of what reading takes.
    #[error("cannot read {}: {cause}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said; part of the message.
        cause: io::Error,
    },
    /// There is no `/proc` where it should be.
    #[error("no process file system is mounted at {}", path.display())]
    NoProc {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the system that every snapshot needs does not hold what it should.
    #[error("cannot understand {}: {expected} is missing", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
}
