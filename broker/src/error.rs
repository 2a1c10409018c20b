//! What can go wrong, by what a caller would do about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::message::Fault;

/// A failure of the broker or of a client.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The path cannot name a socket.
    #[error("socket path {} has {len} bytes, at most {max} are possible; choose a shorter one", path.display())]
    PathTooLong {
        /// The path that was given.
        path: PathBuf,
        /// Its length.
        len: usize,
        /// The longest that the system takes.
        max: usize,
    },
    /// Another broker lives.
    #[error("another broker already listens at {}; stop its agent, or name another socket", path.display())]
    InUse {
        /// Where it listens.
        path: PathBuf,
    },
    /// Something is at the path that a broker must not delete.
    #[error("cannot listen at {}: the file there is not a socket; move it away, or name another path", path.display())]
    NotASocket {
        /// The path that was given.
        path: PathBuf,
    },
    /// The system refuses to listen.
    #[error("cannot listen at {}: {source}; name a socket in a folder of yours", path.display())]
    Listen {
        /// The path that was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key to the broker cannot be read or made.
    #[error("cannot use the key in {}: {source}; run as the agent's user, or name its data directory", path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No broker answers there now; one may later.
    #[error("cannot connect to the broker at {}: {source}; start the agent, or name its socket", path.display())]
    Connect {
        /// The path that was given.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A topic, pattern, name or payload that no broker takes. The text quotes what was given.
    #[error("{0}")]
    Invalid(String),
    /// One side broke the protocol or met a limit; the text is of our making or was made printable.
    #[error("refused by the broker: {0}")]
    Refused(Fault),
    /// The connection is gone.
    #[error("the connection to the broker is closed: {0}")]
    Closed(String),
    /// No answer came in time. What was asked for may still happen.
    #[error("no answer from the broker within {0:?}")]
    TimedOut(Duration),
}
