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
use tokio::time::{Instant, timeout};

use crate::allocator;
use crate::client::{self, Client};
use crate::connection::{self, End, Inlet, Outlet, SILENCE_SECS, UNPROVED_FRAME_LEN_MAX};
use crate::core::{ConnectionId, Core, Limits};
use crate::error::Error;
use crate::frame::FRAME_LEN_MAX;
use crate::gate::{Gate, Peer};
use crate::key::Key;
use crate::listener::{self, Access};
use crate::message::{Code, Fault, Message, check_name};
use crate::seal::Seal;
use crate::tree::Branch;
use crate::wire::Wire;

/// How long peers have to take what is queued for them at shutdown.
const DRAIN_SECS: u64 = 5;

/// How a broker is set up.
#[derive(Debug)]
pub struct Settings {
    /// Who may come in.
    pub gate: Gate,
    /// Who may do what.
    pub tree: &'static [Branch],
    /// What all together may take.
    pub limits: Limits,
    /// The group whose members the system lets open the socket besides its user, by number.
    pub group: Option<u32>,
}

/// Lets in processes that were started here.
#[derive(Clone, Debug)]
pub struct Door(Arc<Shared>);

impl Door {
    /// Lets in the process of this number as a collector, if it holds this key, until [`Door::forget`].
    pub fn expect(&self, pid: u32, key: Key) {
        self.0.lock().core.expect(pid, key);
    }

    /// Whether the process of this number is let in by a key of its own.
    pub fn is_expected(&self, pid: u32) -> bool {
        self.0.lock().core.is_expected(pid)
    }

    /// The process of this number is no more.
    pub fn forget(&self, pid: u32) {
        self.0.lock().core.forget(pid);
    }
}

/// A running broker. Dropping it ends it at once; [`Broker::shutdown`] lets it finish.
#[derive(Debug)]
pub struct Broker {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
    clock: JoinHandle<()>,
}

impl Broker {
    /// Listens at `path`. Needs a tokio runtime around it.
    pub fn bind(path: impl AsRef<Path>, settings: Settings) -> Result<Self, Error> {
        allocator::keep_what_is_freed();
        let Settings { gate, tree, limits, group } = settings;
        let path = path.as_ref();
        let listener = listener::listen(path, Access { group })?;
        let shared = Arc::new(Shared::new(Core::new(gate, tree, limits), limits));
        let accepting = tokio::spawn(listener::accept(listener, path.to_owned(), shared.clone()));
        let clock = tokio::spawn(shared.clone().keep_time());
        Ok(Self { shared, accepting, clock })
    }

    /// A client in this process: what it publishes and receives is not serialised. Needs a tokio runtime around it. An
    /// error only where nobody may be called so.
    pub fn client(&self, name: &str) -> Result<Client, Error> {
        check_name(name).map_err(Error::Invalid)?;
        let link =
            self.shared.connect(Peering { is_inside: true, ..Peering::default() }, |core| core.connect_local(name));
        let (client, ends) = client::local(link.id.number());
        tokio::spawn(async move {
            let mut taker = Taker(&link);
            tokio::select! {
                () = ends.run((&link, &mut taker)) => {}
                () = link.peer.cancelled.notified() => ends.end(End::There),
            }
        });
        Ok(client)
    }

    /// Where to say which processes were started here.
    pub fn door(&self) -> Door {
        Door(self.shared.clone())
    }

    /// Connections, those of this process included.
    pub fn connections_len(&self) -> usize {
        self.shared.peers_len()
    }

    /// Bytes that wait in all queues and with publishers.
    pub fn queued_bytes(&self) -> usize {
        self.shared.lock().core.queued_bytes()
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
        self.clock.abort();
        self.shared.lock().peers.values().for_each(|peer| peer.cancelled.notify_one());
    }
}

/// What the tasks of a broker have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) limits: Limits,
    began: Instant,
    /// A connection went.
    gone: Notify,
    /// The core has something to do sooner than whoever keeps the time knows.
    sooner: Arc<Notify>,
}

#[derive(Debug)]
struct State {
    core: Core,
    peers: BTreeMap<ConnectionId, Arc<Peering>>,
    sooner: Arc<Notify>,
}

/// How to reach the task of a connection.
#[derive(Debug, Default)]
struct Peering {
    /// There is something to take.
    output: Notify,
    /// It may hand in messages again.
    room: Notify,
    /// It is to close when nothing is left to take.
    is_closing: AtomicBool,
    /// It is to close now.
    cancelled: Notify,
    /// Its client is in this process.
    is_inside: bool,
}

/// A connection's place in the broker, given up when dropped.
struct Link {
    shared: Arc<Shared>,
    id: ConnectionId,
    peer: Arc<Peering>,
}

/// The side of a [`Link`] from which messages are taken.
struct Taker<'a>(&'a Link);

impl Shared {
    fn new(core: Core, limits: Limits) -> Self {
        let sooner = Arc::new(Notify::new());
        let state = Mutex::new(State { core, peers: BTreeMap::new(), sooner: sooner.clone() });
        Self { state, limits, began: Instant::now(), gone: Notify::new(), sooner }
    }

    /// Serves a connection from another process.
    pub(crate) fn admit(self: &Arc<Self>, stream: Stream) {
        let peer = listener::peer(&stream);
        let link = self.connect(Peering::default(), |core| core.connect(peer, self.began.elapsed()));
        tokio::spawn(async move {
            let mut taker = Taker(&link);
            let end = match Wire::new(stream) {
                Ok(wire) => tokio::select! {
                    end = connection::run(wire.halves(), &link, &mut taker) => end,
                    () = link.peer.cancelled.notified() => End::Here,
                },
                Err(error) => error.into(),
            };
            link.report(&end);
        });
    }

    /// Puts on record that somebody was turned away.
    pub(crate) fn refuse(&self, peer: Peer, reason: &str) {
        let now = self.began.elapsed();
        let mut state = self.lock();
        state.core.note_peer("connection_refused", peer, String::new(), reason, now);
        state.wake();
    }

    fn peers_len(&self) -> usize {
        self.lock().peers.len()
    }

    /// Connections from other processes.
    pub(crate) fn outside_len(&self) -> usize {
        self.lock().peers.values().filter(|peer| !peer.is_inside).count()
    }

    fn connect(self: &Arc<Self>, peer: Peering, connect: impl FnOnce(&mut Core) -> ConnectionId) -> Link {
        let peer = Arc::new(peer);
        let mut state = self.lock();
        let id = connect(&mut state.core);
        state.peers.insert(id, peer.clone());
        state.wake();
        Link { shared: self.clone(), id, peer }
    }

    /// Calls the core when what it put off is due.
    async fn keep_time(self: Arc<Self>) {
        loop {
            let due = {
                let mut state = self.lock();
                let due = state.core.expire(self.began.elapsed());
                state.wake();
                due
            };
            let wait = due.map_or(Duration::MAX, |due| due.saturating_sub(self.began.elapsed()));
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.sooner.notified() => {}
            }
        }
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
            if let Some(peer) = self.peers.get(&id) {
                peer.output.notify_one();
                peer.room.notify_one();
            }
        }
        if self.core.is_due_sooner() {
            self.sooner.notify_one();
        }
    }
}

impl Link {
    fn report(&self, end: &End) {
        let now = self.shared.began.elapsed();
        let mut state = self.shared.lock();
        if let End::Found(fault) = end {
            state.core.blame(self.id, fault, now);
            state.wake();
        }
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
        let now = self.shared.began.elapsed();
        let mut state = self.shared.lock();
        state.core.disconnect(self.id, now);
        state.peers.remove(&self.id);
        state.wake();
        self.shared.gone.notify_one();
    }
}

impl Inlet for Link {
    fn receive(&self, message: Message) -> Result<(), Fault> {
        let now = self.shared.began.elapsed();
        let mut state = self.shared.lock();
        let received = state.core.receive(self.id, message, now);
        state.wake();
        received
    }

    fn frame_len_max(&self) -> usize {
        if self.shared.lock().core.is_proved(self.id) { FRAME_LEN_MAX } else { UNPROVED_FRAME_LEN_MAX }
    }

    fn seal(&self) -> Option<Seal> {
        self.shared.lock().core.seal(self.id)
    }

    async fn room(&self) -> Result<(), Fault> {
        loop {
            let (is_held, is_unread) = {
                let core = &self.shared.lock().core;
                (core.is_held(self.id), core.is_unread(self.id))
            };
            let room = self.peer.room.notified();
            match (is_held, is_unread) {
                (false, _) => return Ok(()),
                // What it published waits for others, as long as they may make it wait.
                (true, false) => room.await,
                (true, true) => timeout(Duration::from_secs(SILENCE_SECS), room).await.map_err(|_| {
                    Fault::new(Code::Silence, format!("replies were not read for {SILENCE_SECS} seconds"))
                })?,
            }
        }
    }
}

impl Outlet for Taker<'_> {
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(message) = self.try_next() {
                return Some(message);
            }
            if self.0.peer.is_closing.load(Ordering::Acquire) && self.0.shared.lock().core.is_drained(self.0.id) {
                return None;
            }
            self.0.peer.output.notified().await;
        }
    }

    fn seal(&self) -> Option<Seal> {
        Inlet::seal(self.0)
    }

    fn try_next(&mut self) -> Option<Message> {
        let Link { shared, id, peer } = self.0;
        let now = shared.began.elapsed();
        let mut state = shared.lock();
        let was_held = state.core.is_held(*id);
        let message = state.core.take(*id, now);
        if was_held {
            peer.room.notify_one();
        }
        state.wake();
        message
    }
}
