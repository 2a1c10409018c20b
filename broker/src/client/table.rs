//! What a client's handles and its connection have in common: what is to be sent, and who waits for what.

use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, Semaphore, oneshot, watch};

use crate::alarm::Alarm;
use crate::client::outbox::{Outbox, Publication};
use crate::client::subscription::Inbox;
use crate::connection::{End, Outlet};
use crate::error::Error;
use crate::message::{Cancel, Fault, Message, Outcome, Welcome};
use crate::parcel::Draft;
use crate::seal::Seal;
use crate::topic::Topic;

/// Bytes of publications that may wait to be sent; one always may.
const UNSENT_BYTES_MAX: usize = 1 << 20;
/// Bytes of publications that may wait while there is no connection; one always may.
const OUTBOX_BYTES_MAX: usize = 16 << 20;

/// The state of a client.
#[derive(Debug)]
pub(super) struct Table {
    state: Mutex<State>,
    last_number: AtomicU64,
    /// There is something to send.
    pub(super) filled: Notify,
    /// There is room for publications.
    room: Notify,
    /// Requests that may yet be made.
    pub(super) credit: Semaphore,
    has_credit: AtomicBool,
    open: watch::Sender<bool>,
    /// The error for everything that comes after the end.
    pub(super) ended: watch::Sender<Option<Ended>>,
    pub(super) connection: AtomicU64,
    pub(super) shed: AtomicU64,
    /// It connects again.
    is_kept: bool,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) inboxes: HashMap<u64, Arc<Inbox>>,
    pub(super) subscribing: HashMap<u64, oneshot::Sender<Option<String>>>,
    pub(super) asking: HashMap<u64, Answer>,
    /// Goes before publications.
    control: VecDeque<Message>,
    outbox: Outbox,
    gathering: Option<Gathering>,
    /// The last topic that was found to be valid.
    topic: String,
    is_open: bool,
    is_closing: bool,
    has_ended: bool,
    /// What the connection is encrypted with, if it is.
    pub(super) seal: Option<Seal>,
    /// Counts the connections that were lost: what is about a delivery of one means nothing on the next.
    epoch: u64,
}

/// Publications wait for others to go with.
#[derive(Debug)]
struct Gathering {
    linger: Duration,
    /// When what is gathered has to go.
    until: Instant,
    /// It may go.
    is_ripe: bool,
}

/// Where the outcome of a request goes.
pub(super) type Answer = oneshot::Sender<Result<Outcome, Error>>;

/// Why there will be no connection any more.
#[derive(Clone, Debug)]
pub(super) enum Ended {
    Refused(Fault),
    Closed(String),
}

impl Table {
    /// Of a client whose publications become such a draft.
    pub(super) fn new(draft: Draft) -> Self {
        Self {
            state: Mutex::new(State::new(draft)),
            last_number: AtomicU64::new(0),
            filled: Notify::new(),
            room: Notify::new(),
            credit: Semaphore::new(0),
            has_credit: AtomicBool::new(false),
            open: watch::Sender::new(false),
            ended: watch::Sender::new(None),
            connection: AtomicU64::new(0),
            shed: AtomicU64::new(0),
            is_kept: false,
        }
    }

    /// Of a client that connects again.
    pub(super) fn kept(draft: Draft) -> Self {
        Self { is_kept: true, ..Self::new(draft) }
    }

    pub(super) fn number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nothing panics while it holds the table")
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    pub(super) fn closed_error(&self) -> Error {
        match self.ended.borrow().clone() {
            Some(Ended::Refused(fault)) => Error::Refused(fault),
            Some(Ended::Closed(reason)) => Error::Closed(reason),
            None => Error::Closed("it is about to close".to_owned()),
        }
    }

    pub(super) async fn opened(&self) -> Result<(), Error> {
        let (mut open, mut ended) = (self.open.subscribe(), self.ended.subscribe());
        tokio::select! {
            biased;
            _ = open.wait_for(|open| *open) => Ok(()),
            _ = ended.wait_for(Option::is_some) => Err(self.closed_error()),
        }
    }

    /// Sends what needs no room of its own, if there is a connection: what it is about ends with one.
    pub(super) fn control(&self, message: impl Into<Message>) {
        let mut state = self.lock();
        if state.is_open {
            state.control.push_back(message.into());
            drop(state);
            self.filled.notify_one();
        }
    }

    /// [`Table::control`] about what came by the connection that stood in `epoch`.
    pub(super) fn control_in(&self, epoch: u64, message: impl Into<Message>) {
        let mut state = self.lock();
        if state.is_open && state.epoch == epoch {
            state.control.push_back(message.into());
            drop(state);
            self.filled.notify_one();
        }
    }

    /// Makes a subscription known, and asks the broker for it now, or when there is a connection.
    pub(super) fn subscribe(
        &self,
        number: u64,
        inbox: &Arc<Inbox>,
    ) -> Result<oneshot::Receiver<Option<String>>, Error> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.lock();
        if self.has_ended() {
            return Err(self.closed_error());
        }
        inbox.begin(state.epoch);
        state.inboxes.insert(number, inbox.clone());
        state.subscribing.insert(number, answer);
        if state.is_open {
            state.control.push_back(inbox.subscribe(number).into());
            self.filled.notify_one();
        }
        Ok(answered)
    }

    /// Puts a publication where it will be sent from, once there is room.
    pub(super) async fn send(&self, publication: Publication<'_>) -> Result<(), Error> {
        self.send_asking(publication, &mut None).await
    }

    /// [`Table::send`] with whoever waits for the outcome: known from the moment that it may be sent, and no sooner.
    pub(super) async fn send_asking(
        &self,
        publication: Publication<'_>,
        answer: &mut Option<Answer>,
    ) -> Result<(), Error> {
        let cost = publication.cost();
        loop {
            let room = self.room.notified();
            {
                let mut state = self.lock();
                if state.has_ended {
                    return Err(self.closed_error());
                }
                state.check(publication.topic)?;
                let is_away = self.is_kept && !state.is_open;
                let max = if is_away { OUTBOX_BYTES_MAX } else { UNSENT_BYTES_MAX };
                if is_away {
                    self.shed(&mut state, max.saturating_sub(cost));
                }
                if state.outbox.is_empty() || state.outbox.bytes() + cost <= max {
                    let (was_empty, asks) = (state.outbox.is_empty(), answer.is_some());
                    if let Some(answer) = answer.take() {
                        state.asking.insert(publication.request, answer);
                    }
                    state.outbox.push(publication);
                    let goes = state.goes(was_empty, asks);
                    drop(state);
                    if goes {
                        self.filled.notify_one();
                    }
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// Nobody waits for the outcome of a request any more: it is not sent, or the broker is told.
    pub(super) fn cancel(&self, request: u64) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if state.asking.remove(&request).is_none() {
            return;
        }
        if state.outbox.remove(request) {
            drop(guard);
            self.room.notify_waiters();
        } else if state.is_open {
            state.control.push_back(Cancel { request }.into());
            drop(guard);
            self.filled.notify_one();
        }
    }

    /// From now on publications wait so long for others.
    pub(super) fn gather(&self, linger: Duration) {
        let mut state = self.lock();
        let gathering = state.gathering.get_or_insert(Gathering { linger, until: Instant::now(), is_ripe: false });
        gathering.linger = linger;
    }

    /// When what is gathered has to go, if there is something.
    fn due(&self) -> Option<Instant> {
        let state = self.lock();
        let gathering = state.gathering.as_ref().filter(|gathering| !gathering.is_ripe)?;
        (state.is_open && !state.outbox.is_empty()).then_some(gathering.until)
    }

    /// Lets go what is gathered.
    fn ripen(&self) {
        let mut guard = self.lock();
        let State { gathering: Some(gathering), outbox, .. } = &mut *guard else { return };
        gathering.is_ripe = !outbox.is_empty();
    }

    /// Lets the oldest publications give way until the others fit.
    fn shed(&self, state: &mut State, bytes_max: usize) {
        while state.outbox.bytes() > bytes_max
            && let Some(entry) = state.outbox.pop()
        {
            self.shed.fetch_add(1, Ordering::Relaxed);
            if let Some(answer) = state.asking.remove(&entry.request) {
                let gave_way = "it gave way to later ones while there was no connection".to_owned();
                let _given_up = answer.send(Err(Error::Closed(gave_way)));
            }
        }
    }

    /// Says something before the connection stands.
    pub(super) fn greet(&self, message: impl Into<Message>) {
        self.lock().control.push_back(message.into());
        self.filled.notify_one();
    }

    /// The connection stands: first of all the subscriptions are made anew.
    pub(super) fn open(&self, welcome: &Welcome) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.is_open = true;
        let subscribe = |(number, inbox): (&u64, &Arc<Inbox>)| inbox.subscribe(*number).into();
        state.control.extend(state.inboxes.iter().map(subscribe));
        self.connection.store(welcome.connection, Ordering::Release);
        if !self.has_credit.swap(true, Ordering::AcqRel) {
            self.credit.add_permits(welcome.credit.clamp(1, 1 << 16) as usize);
        }
        drop(guard);
        self.open.send_replace(true);
        self.filled.notify_one();
    }

    /// The connection is lost. What had been sent has no outcome; what had not waits for the next, if there is to be one.
    pub(super) fn lost(&self, end: &End) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.is_open = false;
        state.epoch += 1;
        state.seal = None;
        state.control.clear();
        self.connection.store(0, Ordering::Release);
        self.open.send_replace(false);
        let unsent: HashSet<u64> = state.outbox.requests().collect();
        let sent = state.asking.extract_if(|request, _| !unsent.contains(request));
        for (_, answer) in sent {
            let _given_up = answer.send(Err(Error::Closed(format!("{end}; what was asked may have been done"))));
        }
        state.inboxes.values().for_each(|inbox| inbox.lost(state.epoch));
        drop(guard);
        tracing::debug!(%end, "connection lost");
        self.room.notify_waiters();
    }

    /// Tells everyone who waits that nothing will come.
    pub(super) fn end(&self, ended: Ended) {
        let mut guard = self.lock();
        self.ended.send_replace(Some(ended));
        let state = mem::replace(&mut *guard, State { has_ended: true, ..State::new(Draft::plain()) });
        drop(guard);
        let unsent = state.outbox.len() as u64;
        self.shed.fetch_add(unsent, Ordering::Relaxed);
        if unsent > 0 {
            tracing::warn!(messages = unsent, "there is no connection any more: what waited to be sent is lost");
        }
        self.credit.close();
        self.room.notify_waiters();
        state.inboxes.values().for_each(|inbox| inbox.filled.notify_one());
    }

    /// Asks the connection to end once everything is sent.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.filled.notify_one();
    }

    pub(super) fn is_closing(&self) -> bool {
        self.lock().is_closing
    }
}

impl State {
    fn new(draft: Draft) -> Self {
        Self {
            inboxes: HashMap::new(),
            subscribing: HashMap::new(),
            asking: HashMap::new(),
            control: VecDeque::new(),
            outbox: Outbox::new(draft),
            gathering: None,
            topic: String::new(),
            is_open: false,
            is_closing: false,
            has_ended: false,
            seal: None,
            epoch: 0,
        }
    }

    /// Whether one can publish under a topic. Most publish under the same again and again.
    fn check(&mut self, topic: &str) -> Result<(), Error> {
        if self.topic != topic {
            Topic::check(topic)?;
            topic.clone_into(&mut self.topic);
        }
        Ok(())
    }

    fn next(&mut self) -> Option<Message> {
        if let Some(message) = self.control.pop_front() {
            return Some(message);
        }
        let may_go = self.is_closing || self.gathering.as_ref().is_none_or(|gathering| gathering.is_ripe);
        if !self.is_open || !may_go {
            return None;
        }
        let parcel = self.outbox.take();
        if let Some(gathering) = &mut self.gathering {
            gathering.is_ripe = !self.outbox.is_empty();
        }
        parcel.map(Message::Publish)
    }

    /// Whether a publication just added, the first or not, lets what waits go, of which nobody knows yet.
    fn goes(&mut self, is_first: bool, asks: bool) -> bool {
        let Some(gathering) = &mut self.gathering else { return is_first };
        if asks || self.outbox.has_full() {
            return !mem::replace(&mut gathering.is_ripe, true);
        }
        if is_first {
            gathering.until = Instant::now() + gathering.linger;
        }
        // Whoever sends sets an alarm for the first.
        is_first
    }

    /// Nothing more is to be sent.
    pub(super) fn is_done(&self) -> bool {
        self.is_closing && self.control.is_empty() && (self.outbox.is_empty() || !self.is_open)
    }
}

/// The end of a client that gives out messages.
pub(super) struct ClientOutlet<'a> {
    table: &'a Table,
    alarm: Alarm,
}

impl<'a> ClientOutlet<'a> {
    pub(super) fn new(table: &'a Table) -> Self {
        Self { table, alarm: Alarm::default() }
    }
}

impl Outlet for ClientOutlet<'_> {
    async fn next(&mut self) -> Option<Message> {
        loop {
            let filled = self.table.filled.notified();
            if let Some(message) = self.try_next() {
                return Some(message);
            }
            if self.table.lock().is_done() {
                return None;
            }
            let Some(due) = self.table.due() else {
                filled.await;
                continue;
            };
            tokio::select! {
                () = filled => {}
                () = self.alarm.rings(due) => self.table.ripen(),
            }
        }
    }

    fn seal(&self) -> Option<Seal> {
        self.table.lock().seal.clone()
    }

    fn try_next(&mut self) -> Option<Message> {
        let mut state = self.table.lock();
        let message = state.next();
        drop(state);
        if let Some(Message::Publish(_)) = &message {
            self.table.room.notify_waiters();
        }
        message
    }
}
