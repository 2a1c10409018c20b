//! The running agent: whether it answers, for which its broker is asked for a handshake, and what it is told to do.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use daemoneye_broker::message::Code;
use daemoneye_broker::payload::Order;
use daemoneye_broker::{Client, Credential, Error, Identity, Outcome, Role, topic};
use daemoneye_dsl::status::AgentRun;
use daemoneye_settings::Settings;
use daemoneye_settings::paths::DataDir;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// How long an agent that is well takes at most to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);
/// How long it may take to do what it is told: it finishes the snapshot that it is at.
const OBEYS: Duration = Duration::from_secs(30);
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
    /// It lets nobody in who shows what this user can show; why, in words.
    Refused(String),
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
            Self::Denied | Self::Refused(_) => "no_permission",
            Self::Silent => "no_answer",
            Self::Failed(_) => "failed",
        }
    }
}

/// The way to the agent.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// The file with the key that it asks for.
    pub(crate) key: PathBuf,
}

impl Door {
    /// The way to the agent that ran last on this data, or would.
    pub(crate) fn of(run: Option<&AgentRun>, settings: &Settings, data: &DataDir) -> Self {
        let told = || settings.socket.clone().unwrap_or_else(|| data.socket());
        let socket = run.map_or_else(told, |run| PathBuf::from(&run.socket));
        Self { key: settings.key_to(&socket), socket }
    }

    async fn connect(&self) -> Result<Client, Error> {
        let key = Credential::File(self.key.clone());
        Client::connect(&self.socket, &Identity { name: NAME.to_owned(), role: Role::Operator, key }).await
    }
}

/// Knocks at the socket.
pub(crate) fn reach(door: &Door) -> Reached {
    connected(door, async |_client| Ok(())).err().unwrap_or(Reached::Answers)
}

/// Tells the agent to do something; gives what it says to that.
pub(crate) fn order(door: &Door, order: &Order) -> Result<Outcome, Reached> {
    connected(door, async |client| {
        let topic = topic::control("agent");
        let told = client.request(&topic, order.to_payload(), OBEYS).await;
        told.map_err(|error| match error {
            Error::TimedOut(_) => Reached::Silent,
            other => Reached::Failed(other.to_string()),
        })
    })
}

fn connected<T>(door: &Door, talk: impl AsyncFnOnce(Client) -> Result<T, Reached>) -> Result<T, Reached> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Reached::Failed(error.to_string()))?;
    runtime.block_on(async {
        let client = timeout(ANSWER, door.connect()).await;
        talk(client.unwrap_or(Err(Error::TimedOut(ANSWER))).map_err(unreached)?).await
    })
}

fn unreached(error: Error) -> Reached {
    match error {
        Error::TimedOut(_) => Reached::Silent,
        Error::Connect { source, .. } => match source.kind() {
            ErrorKind::NotFound => Reached::NoSocket,
            ErrorKind::ConnectionRefused => Reached::Deserted,
            ErrorKind::PermissionDenied => Reached::Denied,
            // A socket that takes no further connections: whoever listens does nothing.
            ErrorKind::WouldBlock => Reached::Silent,
            _ => Reached::Failed(source.to_string()),
        },
        Error::KeyFile { ref source, .. } if source.kind() == ErrorKind::PermissionDenied => Reached::Denied,
        Error::Refused(fault) if fault.code() == Code::Denied => Reached::Refused(fault.to_string()),
        other => Reached::Failed(other.to_string()),
    }
}
