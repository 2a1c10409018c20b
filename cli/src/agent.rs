//! Whether an agent runs: its broker is asked for a handshake.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use daemoneye_broker::{Client, Error};
use tokio::runtime::Builder;
use tokio::time::timeout;

/// How long an agent that is well takes at most to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);
/// What the agent is told we are.
const NAME: &str = "daemoneye-cli";

/// What came of knocking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reached {
    /// The agent answers.
    Answers,
    /// There is no socket.
    NoSocket,
    /// There is one, and nobody listens.
    Deserted,
    /// This user may not knock.
    Denied,
    /// Somebody listens and does not answer.
    Silent,
    /// Anything else, in words.
    Failed(String),
}

impl Reached {
    /// The word in JSON.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Answers => "running",
            Self::NoSocket => "no_socket",
            Self::Deserted => "refused",
            Self::Denied => "no_permission",
            Self::Silent => "no_answer",
            Self::Failed(_) => "failed",
        }
    }
}

/// Knocks at the socket.
pub(crate) fn reach(socket: &Path) -> Reached {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Reached::Failed(error.to_string()),
    };
    match runtime.block_on(async { timeout(ANSWER, Client::connect(socket, NAME)).await }) {
        Ok(Ok(_client)) => Reached::Answers,
        Err(_) | Ok(Err(Error::TimedOut(_))) => Reached::Silent,
        Ok(Err(Error::Connect { source, .. })) => match source.kind() {
            ErrorKind::NotFound => Reached::NoSocket,
            ErrorKind::ConnectionRefused => Reached::Deserted,
            ErrorKind::PermissionDenied => Reached::Denied,
            // A socket that takes no further connections: whoever listens does nothing.
            ErrorKind::WouldBlock => Reached::Silent,
            _ => Reached::Failed(source.to_string()),
        },
        Ok(Err(error)) => Reached::Failed(error.to_string()),
    }
}
