//! The running agent: whether it answers, for which its broker is asked for a handshake, and what it is told to do.

mod asking;
mod history;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use daemoneye_broker::message::Code;
use daemoneye_broker::payload::{Ask, Deed, Knowledge, LedgerDeed, Order, Wish};
use daemoneye_broker::{Bytes, Client, Credential, Encryption, Error, Identity, Interest, Outcome, Role, topic};
use daemoneye_dsl::status::{AgentHealth, AgentRun, CollectorHealth};
use daemoneye_dsl::untrusted::Untrusted;
use daemoneye_settings::paths::DataDir;
use daemoneye_settings::{Settings, choices};
use daemoneye_storage::{ReadStore, Report};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::Ending;
use crate::screen::{Mark, Screen};

pub(crate) use self::asking::{Answered, Asking, Reply, statement};
pub(crate) use self::history::History;

/// How long an agent that is well takes at most to answer.
pub(crate) const ANSWER: Duration = Duration::from_secs(1);
/// How long it may take to do what it is told: it finishes the snapshot that it is at.
const OBEYS: Duration = Duration::from_secs(30);
/// How long what it last said of itself may take to come.
const HEALTH: Duration = Duration::from_millis(50);
/// Collectors whose health is taken.
const COLLECTORS_MAX: usize = 64;
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
    /// It does not speak as this program does; what each speaks.
    OtherProtocol(String),
    /// Somebody listens and does not answer.
    Silent,
    /// It was asked, and did not say what came of it; why, as of somebody.
    Unanswered(String),
    /// It was asked, and did not do it; why, in words.
    Declined(String),
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
            Self::OtherProtocol(_) => "other_protocol",
            Self::Silent | Self::Unanswered(_) | Self::Declined(_) => "no_answer",
            Self::Failed(_) => "failed",
        }
    }

    /// A sentence why it did not do what it was told, or was not asked, with what to do.
    pub(crate) fn why(&self, door: &Door) -> String {
        let socket = door.socket.display();
        let why = match self {
            Self::NoSocket => format!("no agent runs: there is no socket {socket}"),
            Self::Deserted => format!("no agent runs: nobody listens at {socket}"),
            Self::Denied => format!("the agent cannot be asked: permission to use {socket} or its key is denied"),
            Self::Refused(why) => format!("the agent at {socket} lets this user not in: {why}"),
            Self::OtherProtocol(spoken) => {
                return format!("the agent and this program do not speak the same: {spoken}; {SAME_RELEASE}");
            }
            Self::Answers | Self::Silent => format!("the agent at {socket} does not answer"),
            Self::Unanswered(why) => format!("the agent at {socket} {why}"),
            Self::Declined(why) => return why.clone(),
            Self::Failed(why) => format!("the agent at {socket} cannot be asked: {why}"),
        };
        format!("{why}; `daemoneye-cli status` says what to do")
    }

    /// A sentence about an order that was not carried out, or has no answer. `undone` says what did not come about, where
    /// that is known; `look` is the command that shows it, where it is not: what the agent has begun it may finish when
    /// nobody waits any more.
    pub(crate) fn of_order(&self, door: &Door, undone: &str, look: &str) -> String {
        match self {
            Self::Unanswered(why) => {
                let socket = door.socket.display();
                format!(
                    "the agent at {socket} {why}, and may still have done it; `daemoneye-cli {look}` shows whether it did"
                )
            }
            _ => format!("{undone}: {}", self.why(door)),
        }
    }

    /// Says so; how the command ends.
    pub(crate) fn end_order(&self, door: &Door, undone: &str, look: &str, screen: &Screen) -> Ending {
        screen.say(Mark::Error, &self.of_order(door, undone, look));
        self.ending()
    }

    fn ending(&self) -> Ending {
        match self {
            Self::Unanswered(_) => Ending::Unknown,
            Self::Declined(_) => Ending::Refused,
            _ => Ending::Unreachable,
        }
    }
}

/// What to do where programs do not understand each other.
pub(crate) const SAME_RELEASE: &str = "install both from the same release, and restart the agent";

/// The way to the agent.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Where it listens.
    pub(crate) socket: PathBuf,
    /// The file with the key that it asks for.
    pub(crate) key: PathBuf,
    /// Whether to do without an agent that does not encrypt.
    pub(crate) encryption: Encryption,
}

impl Door {
    /// The way to the agent that ran last on this data, or would.
    pub(crate) fn of(run: Option<&AgentRun>, settings: &Settings, data: &DataDir) -> Self {
        let told = || settings.socket.clone().unwrap_or_else(|| data.socket());
        let socket = run.map_or_else(told, |run| PathBuf::from(&run.socket));
        let encryption = match settings.encryption {
            choices::Encryption::Off => Encryption::IfAsked,
            choices::Encryption::Required => Encryption::Required,
        };
        Self { key: settings.key_to(&socket), socket, encryption }
    }

    /// The same, as far as the store can be read.
    pub(crate) fn find(settings: &Settings, data: &DataDir) -> Self {
        let stored = ReadStore::open(data.events()).and_then(|store| store.read()?.run());
        Self::of(stored.ok().flatten().as_ref(), settings, data)
    }

    async fn connect(&self) -> Result<Client, Error> {
        let key = Credential::File(self.key.clone());
        Client::connect(
            &self.socket,
            &Identity { name: NAME.to_owned(), role: Role::Operator, key, encryption: self.encryption },
        )
        .await
    }
}

/// What an agent that answers says of itself.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// How it is.
    pub(crate) agent: Option<AgentHealth>,
    /// How its collectors are, by their names.
    pub(crate) collectors: BTreeMap<String, CollectorHealth>,
    /// What its store says, or why it does not tell, where it was asked.
    pub(crate) report: Option<Result<Box<Report>, String>>,
}

/// Asks the agent how it is and, if wanted, what its store says.
pub(crate) fn look(door: &Door, wants_report: bool) -> Result<Heard, Reached> {
    connected(door, async |client| {
        let mut heard = Heard::default();
        // What it does not say is not known; that it answers is.
        let health = client.subscribe(&Interest::new(topic::ALL_HEALTH).retained()).await;
        if wants_report {
            heard.report = Some(match request(&client, Wish::Knowledge(Knowledge::Report.into())).await {
                Ok(report) => serde_json::from_slice(&report).map_err(|error| error.to_string()),
                Err(Reached::Declined(why)) => Err(why),
                Err(reached) => return Err(reached),
            });
        }
        let Ok(mut health) = health else { return Ok(heard) };
        // The last of each are on their way since the subscription stands.
        while let Ok(Some(said)) = timeout(HEALTH, health.message()).await {
            match said.topic().strip_prefix("health.") {
                Some("agent") => heard.agent = serde_json::from_slice(&said.payload).ok(),
                Some(name) => {
                    let known = serde_json::from_slice(&said.payload).ok().map(|health| (name.to_owned(), health));
                    heard.collectors.extend(known);
                }
                None => {}
            }
            if heard.collectors.len() >= COLLECTORS_MAX {
                break;
            }
        }
        Ok(heard)
    })
}

/// Tells the agent to do something; gives what it says to that.
pub(crate) fn order(door: &Door, deed: Deed) -> Result<Bytes, Reached> {
    connected(door, async |client| request(&client, Wish::Order(Order::from(deed))).await)
}

/// Tells the agent what to do with the ledger; gives what it says to that.
pub(crate) fn ledger_order(door: &Door, deed: LedgerDeed) -> Result<Bytes, Reached> {
    connected(door, async |client| request(&client, deed.into()).await)
}

/// Asks the agent what it knows of itself; the answer is JSON.
pub(crate) fn knowledge(door: &Door, what: Knowledge) -> Result<Bytes, Reached> {
    connected(door, async |client| request(&client, Wish::Knowledge(what.into())).await)
}

async fn request(client: &Client, wish: Wish) -> Result<Bytes, Reached> {
    let told = client.request(&topic::control("agent"), Ask::from(wish).to_payload(), OBEYS).await;
    answer(told.map_err(unanswered)?)
}

/// What it answers, where it does what it is asked.
fn answer(outcome: Outcome) -> Result<Bytes, Reached> {
    match outcome {
        Outcome::Accepted(told) => Ok(told),
        Outcome::Refused(why) => Err(Reached::Declined(Untrusted(&why).terminal().to_string())),
        Outcome::Lost(_) => Err(Reached::Unanswered(WENT_AWAY.to_owned())),
        Outcome::Nobody => {
            Err(Reached::Declined(format!("it takes no orders or questions yet: try again, or else {SAME_RELEASE}")))
        }
    }
}

/// What an agent did that was asked, and is no more.
const WENT_AWAY: &str = "went away before it answered";

/// Why something that was asked has no answer.
fn unanswered(error: Error) -> Reached {
    match error {
        Error::TimedOut(patience) => Reached::Unanswered(format!("did not answer within {} s", patience.as_secs())),
        Error::Closed(_) | Error::Refused(_) => Reached::Unanswered(WENT_AWAY.to_owned()),
        other => Reached::Failed(other.to_string()),
    }
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
        Error::Refused(fault) if fault.code() == Code::Version => Reached::OtherProtocol(fault.to_string()),
        Error::Refused(fault) if fault.code() == Code::Denied => Reached::Refused(fault.to_string()),
        other => Reached::Failed(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_that_outlasts_the_patience_may_still_be_done_and_one_that_was_never_told_is_not() {
        let door = Door { socket: "/run/s".into(), key: PathBuf::new(), encryption: Encryption::IfAsked };
        let reached = unanswered(Error::TimedOut(OBEYS));
        let expected = "the agent at /run/s did not answer within 30 s, and may still have done it; `daemoneye-cli status` \
                        shows whether it did";
        assert_eq!(reached.of_order(&door, "nothing was released", "status"), expected);
        assert_eq!(reached.ending(), Ending::Unknown);
        assert_eq!(answer(Outcome::Lost("it fell".to_owned())).unwrap_err().ending(), Ending::Unknown);
        assert_eq!(answer(Outcome::Refused("no such rule".to_owned())).unwrap_err().ending(), Ending::Refused);
        let unasked = Reached::Silent.of_order(&door, "nothing was released", "status");
        assert!(unasked.starts_with("nothing was released: the agent at "), "{unasked}");
        assert_eq!(Reached::Silent.ending(), Ending::Unreachable);
    }
}
