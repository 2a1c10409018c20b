//! The broker as the agent embeds it: one [`Core`] behind a lock, and a task for each connection.
//!
//! The lock is held for one message at a time and never across a wait. A connection takes its messages out of the
//! core when its stream has room for them, so nothing queues anywhere else.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use interprocess::local_socket::tokio::Stream;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::client::{self, Client};
use crate::connection::{self, End, Inlet, Outlet};
use crate::core::{ConnectionId, Core};
use crate::error::Error;
use crate::listener;
use crate::message::{Fault, Message};

/// How long peers have to take what is queued for them at shutdown.
const DRAIN_SECS: u64 = 5;

/// A running broker. Dropping it ends it at once; [`Broker::shutdown`] lets it finish.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Broker {
    /// Listens at `path`, with a socket file that only this user can open. Needs a tokio runtime around it.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let listener = listener::listen(path)?;
        let shared = Arc::new(Shared::default());
        let accepting = tokio::spawn(listener::accept(listener, path.to_owned(), shared.clone()));
        Ok(Self { shared, accepting })
    }

    /// A client in this process: what it publishes and receives is not serialised. Needs a tokio runtime around it.
    pub fn client(&self, name: &str) -> Client {
        let (client, client_inlet, mut client_outlet) = client::open(name);
        let link = self.shared.connect();
        tokio::spawn(async move {
            let mut taker = Taker(&link);
            let end = tokio::select! {
                end = connection::run_local((&client_inlet, &mut client_outlet), (&link, &mut taker)) => end,
                () = link.peer.cancelled.notified() => End::There,
            };
            client_inlet.end(&end);
        });
        client
    }

    /// Stops accepting, removes the socket file, refuses publications whose outcome is open, gives every connection a
    /// few seconds to take what is queued for it, and closes it.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        let _aborted = (&mut self.accepting).await;
        self.shared.shut();
        if timeout(Duration::from_secs(DRAIN_SECS), self.shared.emptied()).await.is_err() {
            let connections = self.shared.peers_len();
            tracing::warn!(connections, "closing connections that do not take their messages");
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.accepting.abort();
        self.shared.lock().peers.values().for_each(|peer| peer.cancelled.notify_one());
    }
}

/// What the tasks of a broker have in common.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    state: Mutex<State>,
    /// A connection went.
    gone: Notify,
}

#[derive(Debug, Default)]
struct State {
    core: Core,
    peers: BTreeMap<ConnectionId, Arc<Peer>>,
}

/// How to reach the task of a connection.
#[derive(Debug, Default)]
struct Peer {
    /// There is something to take.
    output: Notify,
    /// Replies were taken.
    room: Notify,
    /// It is to close when nothing is left to take.
    is_closing: AtomicBool,
    /// It is to close now.
    cancelled: Notify,
}

/// A connection's place in the broker, given up when dropped.
struct Link {
    shared: Arc<Shared>,
    id: ConnectionId,
    peer: Arc<Peer>,
}

/// The side of a [`Link`] from which messages are taken.
struct Taker<'a>(&'a Link);

impl Shared {
    /// Serves a connection from another process.
    pub(crate) fn admit(self: &Arc<Self>, stream: Stream) {
        let link = self.connect();
        tokio::spawn(async move {
            let mut taker = Taker(&link);
            let end = tokio::select! {
                end = connection::run(&stream, &stream, &link, &mut taker) => end,
                () = link.peer.cancelled.notified() => End::Here,
            };
            link.report(&end);
        });
    }

    pub(crate) fn peers_len(&self) -> usize {
        self.lock().peers.len()
    }

    fn connect(self: &Arc<Self>) -> Link {
        let peer = Arc::new(Peer::default());
        let mut state = self.lock();
        let id = state.core.connect();
        state.peers.insert(id, peer.clone());
        Link { shared: self.clone(), id, peer }
    }

    fn shut(&self) {
        let mut state = self.lock();
        state.core.shut();
        for peer in state.peers.values() {
            peer.is_closing.store(true, Ordering::Release);
            peer.output.notify_one();
        }
    }

    async fn emptied(&self) {
        while self.peers_len() > 0 {
            self.gone.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the core")
    }
}

impl State {
    fn wake(&mut self) {
        for id in self.core.woken() {
            self.peers[&id].output.notify_one();
        }
    }
}

impl Link {
    fn report(&self, end: &End) {
        let state = self.shared.lock();
        let client = state.core.name(self.id).unwrap_or("unnamed");
        match end {
            End::Found(fault) => tracing::warn!(client, %fault, "closing the connection of a client at fault"),
            // Its text is the peer's; our log is not its place.
            End::Told(_) => tracing::warn!(client, "the client found a fault and closed its connection"),
            End::Here | End::There | End::Stream(_) => tracing::debug!(client, %end, "connection closed"),
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.core.disconnect(self.id);
        state.peers.remove(&self.id);
        state.wake();
        self.shared.gone.notify_one();
    }
}

impl Inlet for Link {
    fn receive(&self, message: Message) -> Result<(), Fault> {
        let mut state = self.shared.lock();
        let received = state.core.receive(self.id, message);
        state.wake();
        received
    }

    async fn room(&self) {
        while self.shared.lock().core.is_backlogged(self.id) {
            self.peer.room.notified().await;
        }
    }
}

impl Outlet for Taker<'_> {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.try_next() {
                return Some(message);
            }
            if self.0.peer.is_closing.load(Ordering::Acquire) {
                return None;
            }
            self.0.peer.output.notified().await;
        }
    }

    fn try_next(&mut self) -> Option<Message> {
        let Link { shared, id, peer } = self.0;
        let mut state = shared.lock();
        let was_backlogged = state.core.is_backlogged(*id);
        let message = state.core.take(*id);
        if was_backlogged {
            peer.room.notify_one();
        }
        message
    }
}
