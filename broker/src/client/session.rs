//! A client's connection: the handshake, what comes in, and connecting again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard};

use interprocess::local_socket::tokio::Stream;
use tokio::time::timeout;

use crate::allocator;
use crate::backoff::Backoff;
use crate::client::table::{ClientOutlet, Ended, Table};
use crate::client::{ANSWER, Client, Encryption, Identity};
use crate::connection::{self, End, Inlet, UNPROVED_FRAME_LEN_MAX};
use crate::core::CREDIT;
use crate::error::Error;
use crate::frame::FRAME_LEN_MAX;
use crate::key::{Key, Side, nonce};
use crate::listener;
use crate::message::{Challenge, Code, Fault, Hello, Message, PROTOCOL_MAX, PROTOCOL_MIN, Pong, Proof, Welcome};
use crate::parcel::Draft;
use crate::seal::{self, Seal};
use crate::wire::Wire;

/// Connects once; the connection goes on in a task of its own.
pub(super) async fn connect(table: Arc<Table>, path: &Path, identity: &Identity) -> Result<(), Error> {
    let stream = listener::connect(path).await?;
    let greeting = Greeting::new(identity)?;
    let shared = table.clone();
    tokio::spawn(async move {
        let end = run(&shared, stream, greeting).await;
        shared.lost(&end);
        shared.end(end.into());
    });
    table.opened().await
}

/// Connects again and again.
pub(super) async fn keep(table: Arc<Table>, path: PathBuf, identity: Identity, mut backoff: Backoff) {
    let mut warned = None;
    while !table.is_closing() {
        let (error, needs_somebody) = match attempt(&table, &path, &identity).await {
            Ok((end, was_open)) => {
                if was_open {
                    backoff.reset();
                }
                match end {
                    End::Told(fault) if !may_pass(&fault) => return table.end(Ended::Refused(fault)),
                    End::Here => break,
                    end => (end.to_string(), matches!(&end, End::Found(fault) if !may_pass(fault))),
                }
            }
            Err(error) if is_for_good(&error) => return table.end(Ended::Closed(error.to_string())),
            Err(error) => (error.to_string(), matches!(error, Error::KeyFile { .. })),
        };
        let delay = backoff.next_delay();
        // Whoever listens there does not hold our key, or we have none: it goes on until somebody sees to it.
        if needs_somebody && warned.as_ref() != Some(&error) {
            tracing::warn!(error, path = %path.display(), "cannot connect, and goes on trying");
            warned = Some(error);
        } else {
            tracing::debug!(error, ?delay, "connecting again");
        }
        // Whatever else there is to send has to wait.
        let closing = async {
            while !table.is_closing() {
                table.filled.notified().await;
            }
        };
        let _in_peace = timeout(delay, closing).await;
    }
    table.end(Ended::Closed("this side closed it".to_owned()));
}

/// One connection from its beginning to its end; whether it stood.
async fn attempt(table: &Arc<Table>, path: &Path, identity: &Identity) -> Result<(End, bool), Error> {
    let stream = timeout(ANSWER, listener::connect(path)).await.map_err(|_| Error::TimedOut(ANSWER))??;
    let end = run(table, stream, Greeting::new(identity)?).await;
    let stood = table.connection.load(std::sync::atomic::Ordering::Acquire) != 0;
    table.lost(&end);
    Ok((end, stood))
}

/// Whether another attempt may end otherwise.
fn may_pass(fault: &Fault) -> bool {
    !matches!(fault.code(), Code::Denied | Code::Version)
}

fn is_for_good(error: &Error) -> bool {
    matches!(error, Error::PathTooLong { .. } | Error::Invalid(_))
}

impl From<End> for Ended {
    fn from(end: End) -> Self {
        match end {
            End::Told(fault) => Self::Refused(fault),
            // Whichever side noticed.
            End::Found(fault) if fault.code() == Code::Version => Self::Refused(fault),
            other => Self::Closed(other.to_string()),
        }
    }
}

/// What is said first, and the key to prove it with.
struct Greeting {
    hello: Hello,
    key: Key,
    encryption: Encryption,
}

impl Greeting {
    fn new(identity: &Identity) -> Result<Self, Error> {
        let Identity { name, role, key, encryption } = identity;
        let hello = Hello {
            protocol_min: PROTOCOL_MIN,
            protocol_max: PROTOCOL_MAX,
            name: name.clone(),
            role: (*role).into(),
            nonce: nonce()?,
            key: key.kind().into(),
            can_seal: true,
        };
        Ok(Self { hello, key: key.key()?, encryption: *encryption })
    }
}

async fn run(table: &Table, stream: Stream, greeting: Greeting) -> End {
    allocator::keep_what_is_freed();
    let wire = match Wire::new(stream) {
        Ok(wire) => wire,
        Err(error) => return error.into(),
    };
    table.greet(greeting.hello.clone());
    let inlet = ClientInlet { table, greeting: Mutex::new(Some(greeting)) };
    connection::run(wire.halves(), &inlet, &mut ClientOutlet::new(table)).await
}

/// A client in the broker's process, which is whoever it says, and its two ends.
pub(crate) fn local(connection: u64) -> (Client, LocalEnds) {
    let table = Arc::new(Table::new(Draft::plain()));
    table.open(&Welcome { connection, credit: CREDIT });
    (Client::new(&table), LocalEnds(table))
}

/// The connection's side of a client in the broker's process.
pub(crate) struct LocalEnds(Arc<Table>);

impl LocalEnds {
    pub(crate) async fn run(&self, broker: (&impl Inlet, &mut impl connection::Outlet)) {
        let inlet = ClientInlet { table: &self.0, greeting: Mutex::new(None) };
        let end = connection::run_local((&inlet, &mut ClientOutlet::new(&self.0)), broker).await;
        self.end(end);
    }

    pub(crate) fn end(&self, end: End) {
        self.0.lost(&end);
        self.0.end(end.into());
    }
}

/// The end of a client that takes in messages.
struct ClientInlet<'a> {
    table: &'a Table,
    /// What is not answered yet; none once the broker has proved that it holds the key, or where nobody asks.
    greeting: Mutex<Option<Greeting>>,
}

impl ClientInlet<'_> {
    /// The broker holds the key, so it is told that we do.
    fn prove(&self, challenge: &Challenge) -> Result<(), Fault> {
        let greeting = self.greeting().take();
        let Greeting { hello, key, encryption } =
            greeting.ok_or_else(|| Fault::new(Code::Protocol, "unexpected Challenge"))?;
        if challenge.protocol != PROTOCOL_MAX {
            return Err(Fault::new(Code::Version, format!("the broker chose protocol {}", challenge.protocol)));
        }
        if !key.holds(Side::Broker, (&hello, challenge), &[], &challenge.proof) {
            return Err(Fault::new(Code::Denied, "whoever listens at the socket does not hold the installation's key"));
        }
        if challenge.seal.is_empty() {
            if encryption == Encryption::Required {
                let text = "the agent does not encrypt connections, which the settings of this program require; set \
                            `encryption` to required for the agent too, and restart it";
                return Err(Fault::new(Code::Denied, text));
            }
            self.table.greet(Proof { proof: key.prove(Side::Client, &hello, challenge, &[]), ..Proof::default() });
            return Ok(());
        }
        let (second, seal, hash) = seal::answer(&key, &challenge.seal)?;
        self.table.lock().seal = Some(seal);
        self.table.greet(Proof { proof: key.prove(Side::Client, &hello, challenge, &hash), seal: second });
        Ok(())
    }

    fn greeting(&self) -> MutexGuard<'_, Option<Greeting>> {
        self.greeting.lock().expect("nothing panics while it holds a greeting")
    }
}

impl Inlet for ClientInlet<'_> {
    fn seal(&self) -> Option<Seal> {
        self.table.lock().seal.clone()
    }

    fn frame_len_max(&self) -> usize {
        if self.greeting().is_none() { FRAME_LEN_MAX } else { UNPROVED_FRAME_LEN_MAX }
    }

    fn receive(&self, message: Message) -> Result<(), Fault> {
        match message {
            Message::Challenge(challenge) => self.prove(&challenge)?,
            other if self.greeting().is_some() => {
                return Err(Fault::new(Code::Protocol, format!("{} before Challenge", other.name())));
            }
            Message::Welcome(welcome) => self.table.open(&welcome),
            Message::Deliver(body) => {
                let inbox = self.table.lock().inboxes.get(&body.head.subscription).cloned();
                // One that was dropped meanwhile is nobody's; the broker learns so and refuses what waits for it.
                if let Some(inbox) = inbox {
                    inbox.deliver(body)?;
                }
            }
            Message::Subscribed(body) => {
                let answer = self.table.lock().subscribing.remove(&body.subscription);
                match (answer, body.refused) {
                    (Some(answer), refused) => drop(answer.send(refused)),
                    (None, Some(reason)) => return Err(Fault::new(Code::Denied, reason).printable()),
                    (None, None) => {}
                }
            }
            Message::Published(body) => {
                let answer = self.table.lock().asking.remove(&body.request);
                if let Some(answer) = answer {
                    let _given_up = answer.send(Ok(body.into_outcome()?));
                }
            }
            Message::Cancelled(body) => {
                if let Some(inbox) = self.table.lock().inboxes.get(&body.subscription) {
                    inbox.cancel(body.number);
                }
            }
            Message::Ping(_) => self.table.control(Pong {}),
            Message::Pong(_) => {}
            other => return Err(Fault::new(Code::Protocol, format!("unexpected {}", other.name()))),
        }
        Ok(())
    }

    async fn room(&self) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
