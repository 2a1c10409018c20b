//! From a publisher to the queues of those who subscribed, and what waits between the two.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use crate::core::{Allowance, CREDIT, ConnectionId, Core, Presence};
use crate::message::{Code, Fault, Outcome, Published, WhenFull};
use crate::parcel::{Entry, Parcel};
use crate::routes::{Route, Target};

/// Bytes that may wait with a publisher before nothing more is taken in from it.
const HELD_BYTES_MAX: usize = 256 << 10;
/// Bytes that may wait after their publishers went away.
const LEFT_BYTES_MAX: usize = 16 << 20;
/// Messages that go to one member of a queue group together.
const GROUP_RUN_LEN: usize = 64;

/// What a publisher has to wait with.
#[derive(Debug)]
pub(super) struct Held {
    /// Those who have no room, with what they are to get.
    pending: Vec<Pending>,
    /// What comes after it.
    rest: VecDeque<Parcel>,
    rest_bytes: usize,
    /// When to look again at the latest.
    pub(super) until: Duration,
}

#[derive(Debug)]
struct Pending {
    target: Target,
    parcel: Parcel,
    publication: Option<u64>,
    /// When it is given up.
    until: Duration,
}

impl Held {
    pub(super) fn is_full(&self) -> bool {
        self.rest_bytes >= HELD_BYTES_MAX
    }

    /// Whether a subscription of this connection is waited for.
    pub(super) fn is_for(&self, id: ConnectionId) -> bool {
        self.pending.iter().any(|pending| pending.target.0 == id)
    }

    fn bytes(&self) -> usize {
        self.rest_bytes + self.pending.iter().map(|pending| pending.parcel.cost()).sum::<usize>()
    }

    fn push(&mut self, parcel: Parcel) {
        self.rest_bytes += parcel.cost();
        self.rest.push_back(parcel);
    }

    /// Takes out the message that asks under this number, before anybody has seen it; whether there was one.
    fn remove(&mut self, request: u64) -> bool {
        let asks = |parcel: &Parcel| parcel.entries().position(|entry| entry.request == request);
        let found = self.rest.iter().enumerate().find_map(|(n, parcel)| Some((n, asks(parcel)?)));
        let Some((n, at)) = found else { return false };
        let mut after = self.rest.remove(n).expect("it was found there");
        let before = after.split_to(at);
        let _withdrawn = after.pop();
        for parcel in [after, before].into_iter().filter(|parcel| !parcel.is_empty()) {
            self.rest.insert(n, parcel);
        }
        self.rest_bytes = self.rest.iter().map(Parcel::cost).sum();
        true
    }
}

impl Allowance {
    pub(super) fn new(per_sec: u32) -> Self {
        let per_sec = per_sec.max(1).into();
        Self { per_sec, messages: per_sec, at: Duration::ZERO }
    }

    /// Counts messages; how long their publisher has to wait.
    fn spend(&mut self, messages: usize, now: Duration) -> Duration {
        let earned = now.saturating_sub(self.at).as_secs_f64() * self.per_sec;
        self.at = now;
        #[expect(clippy::cast_precision_loss, reason = "a parcel is small")]
        let spent = messages as f64;
        self.messages = (self.messages + earned).min(self.per_sec) - spent;
        Duration::from_secs_f64((-self.messages / self.per_sec).max(0.0))
    }
}

impl Core {
    /// Takes in what a connection publishes.
    pub(super) fn publish(&mut self, from: ConnectionId, parcel: Parcel, now: Duration) -> Result<(), Fault> {
        let connection = self.connection(from);
        let wait = connection.allowance.as_mut().map_or(Duration::ZERO, |it| it.spend(parcel.len(), now));
        if let Some(held) = &mut connection.held {
            let cost = parcel.cost();
            held.push(parcel);
            if held.pending.is_empty() {
                held.until = held.until.max(now + wait);
            }
            self.queued_bytes += cost;
            return Ok(());
        }
        if wait.is_zero() {
            return self.publish_all(from, [parcel].into(), now);
        }
        self.hold(from, Vec::new(), [parcel].into(), now + wait);
        Ok(())
    }

    fn publish_all(&mut self, from: ConnectionId, mut rest: VecDeque<Parcel>, now: Duration) -> Result<(), Fault> {
        while let Some(mut parcel) = rest.pop_front() {
            while !parcel.is_empty() {
                let (route, len) = self.next_run(from, &parcel)?;
                let publisher = self.connection(from).stage.publisher().cloned();
                let run = parcel.split_to(len).compact().by(publisher);
                let mut pending = self.distribute(Some(from), &route, &run, now)?;
                if self.connection(from).presence == Presence::Forgotten {
                    pending.drain(..).for_each(|pending| self.decline(&pending));
                }
                if let Some(until) = pending.iter().map(|pending| pending.until).min() {
                    rest.push_front(parcel);
                    self.hold(from, pending, rest, until);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The first messages of a parcel that go the same way.
    fn next_run(&mut self, from: ConnectionId, parcel: &Parcel) -> Result<(std::sync::Arc<Route>, usize), Fault> {
        let Some(role) = self.connection(from).stage.publisher().map(|publisher| publisher.role) else {
            return Err(Fault::new(Code::Protocol, "not connected"));
        };
        let mut entries = parcel.entries();
        let Some(first) = entries.next() else { return Err(Fault::new(Code::Protocol, "an empty parcel")) };
        let invalid = |text| Fault::new(Code::Protocol, text);
        let route = self.routes.find(first.topic).map_err(invalid)?;
        if !route.publishers.contains(&role) {
            let text = format!("no {role} may publish under `{}`", route.topic.as_str());
            return Err(Fault::new(Code::Denied, text));
        }
        if first.request != 0 || first.retain {
            return Ok((route, 1));
        }
        let len_max = if route.groups.is_empty() { usize::MAX } else { GROUP_RUN_LEN };
        let (mut len, mut last) = (1, first.topic);
        for entry in entries {
            if len >= len_max || entry.request != 0 || entry.retain {
                break;
            }
            if entry.topic != last {
                let other = self.routes.find(entry.topic).map_err(invalid)?;
                if !other.goes_with(&route) {
                    break;
                }
                last = entry.topic;
            }
            len += 1;
        }
        Ok((route, len))
    }

    /// Queues messages for everyone who wants them; those who have no room and are waited for.
    fn distribute(
        &mut self,
        from: Option<ConnectionId>,
        route: &Route,
        run: &Parcel,
        now: Duration,
    ) -> Result<Vec<Pending>, Fault> {
        let first = run.entries().next().expect("a run has a message");
        let (request, retain) = (first.request, first.retain);
        if retain && !run.clone().pop().is_some_and(|entry| self.retained.keep(&entry)) {
            tracing::warn!(
                topic = route.topic.as_str(),
                "no room to retain a message; who comes later does not get it"
            );
        }
        let asker = from.filter(|from| request != 0 && self.connections[from].presence == Presence::There);
        let publication = match asker {
            None => None,
            Some(from) => match self.begin(from, request)? {
                Some(publication) => Some(publication),
                None => return Ok(Vec::new()),
            },
        };
        let mut pending = Vec::new();
        for target in route.targets.iter().copied() {
            self.offer_or_hold(target, run, publication, &mut pending, now);
        }
        for group in &route.groups {
            let target = self.member(group, run);
            self.offer_or_hold(target, run, publication, &mut pending, now);
        }
        if let Some(publication) = publication {
            self.conclude(publication);
        }
        Ok(pending)
    }

    /// A number for a publication that asks; none where it is refused at once.
    fn begin(&mut self, from: ConnectionId, request: u64) -> Result<Option<u64>, Fault> {
        let is_shut = self.is_shut;
        let asking = &self.connection(from).asking;
        if asking.contains_key(&request) {
            return Err(Fault::new(Code::Protocol, format!("request {request} exists already")));
        }
        let refused = if is_shut {
            Outcome::Refused(SHUTDOWN.to_owned())
        } else if asking.len() >= CREDIT as usize {
            Outcome::Refused(format!("{CREDIT} publications already wait for their outcome"))
        } else {
            return Ok(Some(self.ask(from, request)));
        };
        self.reply(from, Published::new(request, refused));
        Ok(None)
    }

    /// The member of a group whose turn it is, or the next that has room.
    fn member(&mut self, group: &[Target], run: &Parcel) -> Target {
        let turn = self.next_turn(group.len());
        let mut order = group[turn..].iter().chain(&group[..turn]).copied();
        let has_room = |(id, number): &Target| {
            let connection = &self.connections[id];
            !connection.is_ended && connection.subscriptions[number].fitting(run) == run.len()
        };
        order.clone().find(has_room).or_else(|| order.next()).expect("a group has members")
    }

    /// A number below `len`: evenly spread among the turns of one group, however those of others fall between them.
    fn next_turn(&mut self, len: usize) -> usize {
        self.last_turn = self.last_turn.wrapping_add(1);
        // The fraction of a multiple of the golden ratio, in the upper bits.
        let spread = self.last_turn.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from((u128::from(spread) * len as u128) >> 64).expect("below the length")
    }

    fn offer_or_hold(
        &mut self,
        target: Target,
        run: &Parcel,
        publication: Option<u64>,
        pending: &mut Vec<Pending>,
        now: Duration,
    ) {
        let Some(parcel) = self.offer(target, run.clone(), publication, now) else { return };
        let subscription = self.connections[&target.0].subscriptions.get(&target.1);
        let until = now + subscription.expect("who has no room exists").patience;
        if let Some(publication) = publication {
            self.asked.hold(publication, 1);
        }
        pending.push(Pending { target, parcel, publication, until });
    }

    /// Queues messages for one subscription. What it has no room for comes back where its publisher is to wait, and is
    /// counted otherwise.
    pub(super) fn offer(
        &mut self,
        target: Target,
        mut parcel: Parcel,
        publication: Option<u64>,
        now: Duration,
    ) -> Option<Parcel> {
        let (id, number) = target;
        let memory = self.limits.queued_bytes.saturating_sub(self.queued_bytes);
        let connection = self.connections.get_mut(&id).filter(|it| !it.is_ended)?;
        let subscription = connection.subscriptions.get_mut(&number)?;
        let publication = publication.filter(|_| subscription.answers());
        let (was_ready, before) = (subscription.is_ready(), subscription.queued_bytes());
        let within = parcel.cost() <= memory;
        let fitting = if within { subscription.fitting(&parcel) } else { 0 };
        let (mut refused, mut rest, mut is_slow) = (Vec::new(), None, false);
        if fitting == parcel.len() || (within && subscription.when_full == WhenFull::DropOldest) {
            let given = subscription.push(parcel, publication);
            refused = subscription.trim();
            publication.inspect(|publication| self.asked.wait_for(*publication, target, given));
        } else if subscription.when_full == WhenFull::Disconnect {
            is_slow = true;
            refused.extend(publication);
        } else {
            if fitting > 0 {
                subscription.push(parcel.split_to(fitting), None);
            }
            if subscription.when_full == WhenFull::Block && !subscription.is_stalled && within {
                rest = Some(parcel);
            } else {
                subscription.push_gap(parcel.len());
                refused.extend(publication);
            }
        }
        self.queued_bytes = self.queued_bytes + subscription.queued_bytes() - before;
        if !was_ready && subscription.is_ready() {
            connection.ready.push_back(number);
        }
        self.wake(id);
        for publication in refused {
            let name = self.name(id).unwrap_or("unnamed");
            self.refuse(publication, format!("the queue of subscriber `{name}` is full"));
        }
        if is_slow {
            self.end(id, Fault::new(Code::Slow, "a queue is full, and the subscription asked to be ended then"), now);
        }
        rest
    }

    /// Publishes what the broker itself has to say. Nobody waits for it.
    pub(super) fn distribute_own(&mut self, entry: Entry, now: Duration) {
        let Ok(route) = self.routes.find(&entry.topic) else { return };
        let run = Parcel::from(entry);
        for pending in self.distribute(None, &route, &run, now).unwrap_or_default() {
            self.decline(&pending);
        }
    }

    fn hold(&mut self, id: ConnectionId, pending: Vec<Pending>, rest: VecDeque<Parcel>, until: Duration) {
        for Pending { target: (connection, number), .. } in &pending {
            if let Some(subscription) = self.connection(*connection).subscriptions.get_mut(number) {
                subscription.awaited_by.insert(id);
            }
        }
        let rest_bytes = rest.iter().map(Parcel::cost).sum();
        let held = Held { pending, rest, rest_bytes, until };
        self.queued_bytes += held.bytes();
        self.connection(id).held = Some(held);
        self.holding.insert(id);
        self.call_by(until);
    }

    /// Nobody waits for the outcome of a request any more, wherever it is: who has it learns so, and who has no room for
    /// it or was not offered it yet does not get it. (A subscription that does not answer gets it all the same.)
    pub(super) fn withdraw(&mut self, from: ConnectionId, request: u64, now: Duration) {
        let publication = self.connection(from).asking.remove(&request);
        if let Some(publication) = publication {
            self.cancel(publication);
        }
        let Some(mut held) = self.connection(from).held.take() else { return };
        self.queued_bytes -= held.bytes();
        let waited = !held.pending.is_empty();
        match publication {
            Some(publication) => held.pending.retain(|Pending { target: (id, number), publication: of, .. }| {
                let subscription = self.connections.get(id).and_then(|it| it.subscriptions.get(number));
                *of != Some(publication) || subscription.is_some_and(|it| !it.answers())
            }),
            None => drop(held.remove(request)),
        }
        let goes_on = waited && held.pending.is_empty();
        if goes_on {
            held.until = now;
        }
        self.queued_bytes += held.bytes();
        self.connection(from).held = Some(held);
        if goes_on {
            self.resume(from, now);
        }
    }

    /// Whether what a publisher leaves may go on waiting: for room, and as long as others' that waits is not too much.
    pub(super) fn may_stay(&self, held: &Held) -> bool {
        let holding = self.holding.iter().filter_map(|id| self.connections.get(id));
        let left = holding.filter(|it| it.presence == Presence::Left).filter_map(|it| it.held.as_ref());
        !held.pending.is_empty() && held.bytes() + left.map(Held::bytes).sum::<usize>() <= LEFT_BYTES_MAX
    }

    /// Tries again what publishers wait with for one subscription.
    pub(super) fn resume_for(&mut self, (id, number): Target, now: Duration) {
        let subscription = self.connections.get_mut(&id).and_then(|it| it.subscriptions.get_mut(&number));
        let waiting = subscription.map(|it| mem::take(&mut it.awaited_by)).unwrap_or_default();
        for publisher in waiting {
            self.resume(publisher, now);
        }
    }

    /// Tries again what publishers wait with.
    pub(super) fn resume_all(&mut self, now: Duration) {
        for publisher in self.holding.clone() {
            self.resume(publisher, now);
        }
    }

    fn resume(&mut self, publisher: ConnectionId, now: Duration) {
        let connection = self.connections.get_mut(&publisher);
        let Some(connection) = connection else { return };
        let Some(held) = connection.held.take() else { return };
        self.queued_bytes -= held.bytes();
        let (presence, is_hasty) = (connection.presence, connection.presence == Presence::Forgotten);
        let is_for_the_clock = held.pending.is_empty() && !is_hasty;
        let mut pending = Vec::new();
        for mut each in held.pending {
            if now >= each.until {
                self.give_up(&each);
                self.concluded(each.publication);
                continue;
            }
            match self.offer(each.target, each.parcel, each.publication, now) {
                Some(parcel) if is_hasty => self.decline(&Pending { parcel, ..each }),
                Some(parcel) => {
                    each.parcel = parcel;
                    pending.push(each);
                }
                None => self.concluded(each.publication),
            }
        }
        let until = pending.iter().map(|pending| pending.until).min();
        if let Some(until) = until.or((is_for_the_clock && now < held.until).then_some(held.until)) {
            return self.hold(publisher, pending, held.rest, until);
        }
        self.holding.remove(&publisher);
        if let Err(fault) = self.publish_all(publisher, held.rest, now) {
            self.end(publisher, fault, now);
        }
        if presence == Presence::There {
            // Even if it was woken and has not taken since: it may have looked whether it is held before this.
            self.woken.push(publisher);
        } else if !self.holding.contains(&publisher) {
            self.connections.remove(&publisher);
        }
    }

    /// One of the subscriptions that a publication was held for has it, or never gets it.
    fn concluded(&mut self, publication: Option<u64>) {
        if let Some(publication) = publication {
            self.asked.hold(publication, -1);
            self.conclude(publication);
        }
    }

    /// A subscription that was waited for in vain goes without, and nobody waits for it again until it takes something.
    fn give_up(&mut self, pending: &Pending) {
        let (id, number) = pending.target;
        let connection = self.connections.get_mut(&id);
        if let Some(subscription) = connection.and_then(|it| it.subscriptions.get_mut(&number)) {
            subscription.is_stalled = true;
        }
        self.decline(pending);
    }

    /// A subscription without room goes without.
    fn decline(&mut self, pending: &Pending) {
        let (id, number) = pending.target;
        let Some(connection) = self.connections.get(&id) else { return };
        let Some(subscription) = connection.subscriptions.get(&number) else { return };
        let refused = pending.publication.filter(|_| subscription.answers());
        let name = connection.stage.name().unwrap_or("unnamed");
        let reason = format!("subscriber `{name}` had no room in time");
        self.miss(pending.target, pending.parcel.len());
        if let Some(publication) = refused {
            self.refuse(publication, reason);
        }
    }

    /// Counts messages that a subscription does not get.
    pub(super) fn miss(&mut self, (id, number): Target, messages: usize) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(subscription) = connection.subscriptions.get_mut(&number) else { return };
        let was_ready = subscription.is_ready();
        subscription.push_gap(messages);
        if !was_ready && subscription.is_ready() {
            connection.ready.push_back(number);
        }
        self.wake(id);
    }
}

/// Why nothing comes about any more.
pub(super) const SHUTDOWN: &str = "the broker is shutting down";
