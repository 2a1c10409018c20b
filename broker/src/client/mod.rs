//! A client, of a broker in another process or in this one.
//!
//! One task reads and never waits for the program: what a program has not taken waits in the broker, but for a window
//! of each subscription. What a client sends is bounded too: a publication waits until there is room for it, while
//! answers, which are fewer than what the broker sends, go out at once.
//!
//! A client that is kept connected ([`Client::keep`]) subscribes anew after each loss of its connection, and each
//! subscription gets [`Gap::Away`] there: what was published meanwhile is not known. What it publishes meanwhile waits,
//! and the oldest gives way when there is too much of it ([`Client::shed`] counts). A request that had been sent when
//! the connection was lost ends with an error, and is not sent again: it may have been obeyed. So an acknowledged
//! message is never doubled or out of order.

mod outbox;
mod session;
mod subscription;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::outbox::Publication;
pub(crate) use self::session::local;
pub use self::subscription::{Delivery, Event, Gap, Interest, Subscription};
use self::table::Table;
use crate::backoff::Backoff;
use crate::connection::HANDSHAKE_SECS;
use crate::error::Error;
use crate::key::{Key, KeyKind};
use crate::message::{Code, Fault, Outcome, PAYLOAD_LEN_MAX, check_name};
use crate::parcel::Draft;
use crate::topic::Topic;
use crate::tree::Role;

/// How long the broker may take to answer anything but a request.
const ANSWER: Duration = Duration::from_secs(HANDSHAKE_SECS);

/// Who a client is, and how it proves it.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it wants to be allowed.
    pub role: Role,
    /// The key that it shows.
    pub key: Credential,
    /// Whether it is content with a connection in the clear.
    pub encryption: Encryption,
}

/// What a client says to encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encryption {
    /// As the broker wants it.
    #[default]
    IfAsked,
    /// There is no connection without.
    Required,
}

/// A client's key.
#[derive(Clone, Debug)]
pub enum Credential {
    /// That of the installation, read from this file for each connection.
    File(PathBuf),
    /// That of the installation.
    Installation(Key),
    /// Given to this process when it was started.
    Spawned(Key),
}

impl Credential {
    fn kind(&self) -> KeyKind {
        match self {
            Self::File(_) | Self::Installation(_) => KeyKind::Installation,
            Self::Spawned(_) => KeyKind::Spawn,
        }
    }

    fn key(&self) -> Result<Key, Error> {
        match self {
            Self::File(path) => Key::load(path),
            Self::Installation(key) | Self::Spawned(key) => Ok(key.clone()),
        }
    }
}

/// A connection to a broker. Clones share it; it closes when the last of them and of their subscriptions is dropped.
#[derive(Clone, Debug)]
pub struct Client(Arc<Handle>);

/// Closes the connection when dropped.
#[derive(Debug)]
struct Handle(Arc<Table>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Client {
    fn new(table: &Arc<Table>) -> Self {
        Self(Arc::new(Handle(table.clone())))
    }

    /// Connects to the broker that listens at `path`; ends when the connection does.
    pub async fn connect(path: impl AsRef<Path>, identity: &Identity) -> Result<Self, Error> {
        check_name(&identity.name).map_err(Error::Invalid)?;
        let table = Arc::new(Table::new(Draft::encoded()));
        let client = Self::new(&table);
        let connecting = session::connect(table, path.as_ref(), identity);
        timeout(ANSWER, connecting).await.map_err(|_| Error::TimedOut(ANSWER))??;
        Ok(client)
    }

    /// Connects as soon as a broker listens at `path`, and again whenever the connection is lost, until it is closed or
    /// the broker says that it never will.
    pub fn keep(path: impl AsRef<Path>, identity: Identity, backoff: Backoff) -> Result<Self, Error> {
        check_name(&identity.name).map_err(Error::Invalid)?;
        let table = Arc::new(Table::kept(Draft::encoded()));
        let client = Self::new(&table);
        tokio::spawn(session::keep(table, path.as_ref().to_owned(), identity, backoff));
        Ok(client)
    }

    /// From now on what is published may wait so long, from microseconds to milliseconds, for more to go with: so a
    /// stream of small messages wakes the broker and its subscribers less often. A request goes at once, with all before
    /// it, and so does what has become much.
    #[must_use]
    pub fn gathering(self, linger: Duration) -> Self {
        self.table().gather(linger);
        self
    }

    /// Subscribes. Once this returns, nothing published afterwards is missed. A client that is kept connected gets the
    /// broker's answer when it is connected.
    pub async fn subscribe(&self, interest: &Interest) -> Result<Subscription, Error> {
        Subscription::open(self.clone(), interest).await
    }

    /// Publishes without asking what becomes of it. Waits while there is no room to send.
    pub async fn publish(&self, topic: &str, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.table().send(publication(topic, payload.into())?).await
    }

    /// Publishes what subscribers to come are to get as well, until the next of this topic; an empty payload ends that.
    pub async fn publish_retained(&self, topic: &str, payload: impl Into<Bytes>) -> Result<(), Error> {
        self.table().send(Publication { retain: true, ..publication(topic, payload.into())? }).await
    }

    /// Publishes and waits for what the subscribers that answer say. After a time-out, or when this is dropped, whoever
    /// has not answered learns that nobody waits any more; it may have been obeyed all the same.
    pub async fn request(&self, topic: &str, payload: impl Into<Bytes>, patience: Duration) -> Result<Outcome, Error> {
        Topic::check(topic)?;
        let publication = publication(topic, payload.into())?;
        timeout(patience, self.ask(publication)).await.map_err(|_| Error::TimedOut(patience))?
    }

    async fn ask(&self, publication: Publication<'_>) -> Result<Outcome, Error> {
        let table = self.table();
        let _credit = table.credit.acquire().await.map_err(|_| table.closed_error())?;
        let request = table.number();
        let (answer, answered) = oneshot::channel();
        let mut question = Question { table, request, is_open: true };
        table.send_asking(Publication { request, ..publication }, &mut Some(answer)).await?;
        let outcome = answered.await.map_err(|_| table.closed_error())?;
        question.is_open = false;
        outcome
    }

    /// Sends what waits to be sent, then closes the connection, for clones and subscriptions too. Where there is none at
    /// present, what waits is lost. Gives what [`Client::shed`] says then.
    pub async fn close(self) -> u64 {
        self.table().close();
        self.closed().await;
        self.shed()
    }

    /// Resolves when the connection is gone for good, and says why.
    pub async fn closed(&self) -> Error {
        let mut ended = self.table().ended.subscribe();
        let _value = ended.wait_for(Option::is_some).await;
        self.table().closed_error()
    }

    /// Resolves when the connection stands.
    pub async fn connected(&self) -> Result<(), Error> {
        self.table().opened().await
    }

    /// The broker's number for the connection; 0 while there is none.
    pub fn connection(&self) -> u64 {
        self.table().connection.load(Ordering::Acquire)
    }

    /// Messages that were published and never sent: they gave way to later ones while there was no connection, or there
    /// was none any more.
    pub fn shed(&self) -> u64 {
        self.table().shed.load(Ordering::Relaxed)
    }

    fn table(&self) -> &Table {
        &self.0.0
    }
}

fn publication(topic: &str, payload: Bytes) -> Result<Publication<'_>, Error> {
    let len = payload.len();
    if len > PAYLOAD_LEN_MAX {
        return Err(Error::Invalid(format!("payload of {len} bytes, at most {PAYLOAD_LEN_MAX} are allowed")));
    }
    Ok(Publication { topic, payload, request: 0, retain: false })
}

/// A request whose outcome is waited for.
struct Question<'a> {
    table: &'a Table,
    request: u64,
    is_open: bool,
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        if self.is_open {
            self.table.cancel(self.request);
        }
    }
}

/// A broker's refusal that a subscription gets.
fn refusal(reason: String) -> Error {
    Error::Refused(Fault::new(Code::Denied, reason).printable())
}
