//! Why a plan could not be carried out.

use std::time::Duration;

/// An evaluation that ended without an answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store could not be read.
    #[error(transparent)]
    Storage(#[from] daemoneye_storage::Error),
    /// An operation would give, or hold, more rows than it may.
    #[error("{operation} would take more than {limit} rows: make its conditions narrower")]
    TooManyRows {
        /// Which one, as `explain` names it.
        operation: &'static str,
        /// The bound.
        limit: usize,
    },
    /// An AUTO JOIN, for which nobody answers yet.
    #[error("{0} cannot be asked for rows yet: write JOIN instead of AUTO JOIN")]
    NobodyAnswers(&'static str),
    /// An operation took longer than any rule may.
    #[error("{operation} was stopped after {limit:?}: make its conditions narrower")]
    TooSlow {
        /// Which one.
        operation: &'static str,
        /// The bound.
        limit: Duration,
    },
    /// Whoever asked does not wait for the answer any more.
    #[error("nobody waits for the answer any more")]
    Unwanted,
    /// An operation that several rules share failed.
    #[error(transparent)]
    Shared(std::sync::Arc<Error>),
    /// The catalog's table is not one that this reader knows.
    #[error("{0}")]
    NoTable(String),
}

impl Error {
    /// Whether it was stopped because it took too long.
    pub fn is_slow(&self) -> bool {
        match self {
            Self::TooSlow { .. } => true,
            Self::Shared(error) => error.is_slow(),
            _ => false,
        }
    }

    /// Whether the store could not be read, which is no rule's fault.
    pub fn is_storage(&self) -> bool {
        match self {
            Self::Storage(_) => true,
            Self::Shared(error) => error.is_storage(),
            _ => false,
        }
    }
}
