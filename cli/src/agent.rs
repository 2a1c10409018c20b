//! The running agent: whether it answers, for which its broker is asked for a handshake, and what it is told to do.

use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::pin;
use std::time::Duration;

use anyhow::bail;
use daemoneye_broker::message::Code;
use daemoneye_broker::payload::{Ask, Order, Statement, Told, Wish};
use daemoneye_broker::{Bytes, Client, Credential, Error, Event, Identity, Interest, Outcome, Role, topic};
use daemoneye_dsl::status::AgentRun;
use daemoneye_dsl::untrusted::Untrusted;
use daemoneye_settings::Settings;
use daemoneye_settings::paths::DataDir;
use daemoneye_storage::ReadStore;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long an agent that is well takes at most to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);
/// A statement bounds itself.
const AS_LONG_AS_IT_TAKES: Duration = Duration::from_hours(48);
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

    /// The same, as far as the store can be read.
    pub(crate) fn find(settings: &Settings, data: &DataDir) -> Self {
        let stored = ReadStore::open(data.events()).and_then(|store| store.read()?.run());
        Self::of(stored.ok().flatten().as_ref(), settings, data)
    }

    async fn connect(&self) -> Result<Client, Error> {
        let key = Credential::File(self.key.clone());
        Client::connect(&self.socket, &Identity { name: NAME.to_owned(), role: Role::Operator, key }).await
    }
}

/// The agent's ear, for one statement.
pub(crate) struct Asking {
    /// Has a thread of its own: the connection lives on while nobody reads what we print.
    runtime: Runtime,
    client: Client,
}

impl Asking {
    /// Connects.
    pub(crate) fn open(door: &Door) -> Result<Self, Reached> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(|error| Reached::Failed(error.to_string()))?;
        let connected = runtime.block_on(async { timeout(ANSWER, door.connect()).await });
        let client = connected.unwrap_or(Err(Error::TimedOut(ANSWER))).map_err(unreached)?;
        Ok(Self { runtime, client })
    }

    /// Asks a statement; hands over its rows in parts, as they come and until told to stop. The next part is made when
    /// the last was handed over.
    pub(crate) fn ask(
        &self,
        statement: &Statement,
        each: &mut dyn FnMut(Bytes) -> anyhow::Result<ControlFlow<()>>,
    ) -> anyhow::Result<Told> {
        self.runtime.block_on(async {
            let rows_to = topic::reply(self.client.connection(), 1);
            let mut parts = self.client.subscribe(&Interest::new(rows_to.as_str()).answering()).await?;
            let ask = Ask::from(Wish::Statement(Statement { rows_to, ..statement.clone() })).to_payload();
            let control = topic::control("agent");
            let mut asked = pin!(self.client.request(&control, ask, AS_LONG_AS_IT_TAKES));
            let outcome = loop {
                tokio::select! {
                    biased;
                    part = parts.recv() => match part {
                        Some(Event::Message(part)) => match each(part.payload.clone())? {
                            ControlFlow::Continue(()) => part.acknowledge(),
                            ControlFlow::Break(()) => part.refuse("no more is wanted"),
                        },
                        Some(Event::Gap(_)) => bail!("rows of the answer were lost on the way; ask again"),
                        None => return Err(self.client.closed().await.into()),
                    },
                    outcome = &mut asked => break outcome?,
                }
            };
            match outcome {
                Outcome::Accepted(told) => Ok(Told::from_payload(told)?),
                Outcome::Refused(why) => {
                    bail!("the agent did not answer: {}; with --live this program does", Untrusted(&why).terminal())
                }
                Outcome::Nobody => bail!("the agent takes no questions yet: try again, or with --live"),
            }
        })
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
        let ask = Ask::from(Wish::Order(order.clone()));
        let told = client.request(&topic, ask.to_payload(), OBEYS).await;
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
