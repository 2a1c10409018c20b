//! One subscription: its queue, and what it has still to answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::core::ConnectionId;
use crate::message::{Deliver, DeliverHead, WINDOW, WhenFull};
use crate::parcel::Parcel;
use crate::queue::{Item, Queue, Room};
use crate::topic::Pattern;

/// A subscription.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) pattern: Pattern,
    pub(super) group: Option<Arc<str>>,
    pub(super) when_full: WhenFull,
    pub(super) patience: Duration,
    /// Publishers that wait for room here.
    pub(super) awaited_by: BTreeSet<ConnectionId>,
    /// A publisher waited in vain, and nothing was taken since: no further one waits.
    pub(super) is_stalled: bool,
    room: Room,
    queue: Queue,
    /// The number of the next message that comes in, and of the first that waits.
    next: u64,
    first: u64,
    /// Messages to be answered by number, queued or sent: what they count for, and their publication where it asked.
    unanswered: Option<BTreeMap<u64, (usize, Option<u64>)>>,
    /// What of those was sent counts for.
    unanswered_sent: Room,
    /// What was sent and not taken by the program: the last message's number of each parcel, and what that counts for.
    in_flight: VecDeque<(u64, Room)>,
    in_flight_sum: Room,
}

const NOTHING: Room = Room { len: 0, bytes: 0 };

impl Subscription {
    pub(super) fn new(
        pattern: Pattern,
        group: Option<Arc<str>>,
        room: Room,
        (when_full, patience): (WhenFull, Duration),
        answers: bool,
    ) -> Self {
        Self {
            pattern,
            group,
            when_full,
            patience,
            awaited_by: BTreeSet::new(),
            is_stalled: false,
            room,
            queue: Queue::default(),
            next: 1,
            first: 1,
            unanswered: answers.then(BTreeMap::new),
            unanswered_sent: NOTHING,
            in_flight: VecDeque::new(),
            in_flight_sum: NOTHING,
        }
    }

    /// Whether each message is to be answered.
    pub(super) fn answers(&self) -> bool {
        self.unanswered.is_some()
    }

    pub(super) fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    pub(super) fn first_queued(&self) -> u64 {
        self.first
    }

    /// Nothing waits, not even a gap.
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Something waits, and may be sent.
    pub(super) fn is_ready(&self) -> bool {
        let Room { len, bytes } = self.in_flight_sum;
        !self.queue.is_empty() && len < WINDOW.len && bytes < WINDOW.bytes
    }

    /// The program has taken everything up to this message.
    pub(super) fn taken(&mut self, number: u64) {
        while let Some((_, cost)) = self.in_flight.pop_front_if(|(last, _)| *last <= number) {
            self.in_flight_sum = self.in_flight_sum - cost;
        }
    }

    /// How many of these messages there is room for.
    pub(super) fn fitting(&self, parcel: &Parcel) -> usize {
        self.queue.fitting(parcel, self.room, self.unanswered_sent)
    }

    /// Appends messages; the number of the first.
    pub(super) fn push(&mut self, parcel: Parcel, publication: Option<u64>) -> u64 {
        let first = self.next;
        if let Some(unanswered) = &mut self.unanswered {
            let costs = parcel.entries().map(|entry| (entry.cost(), publication));
            unanswered.extend((first..).zip(costs));
        }
        self.next += parcel.len() as u64;
        self.queue.push(parcel);
        first
    }

    pub(super) fn push_gap(&mut self, messages: usize) {
        self.queue.push_gap(messages as u64);
    }

    /// Lets the oldest give way to those just pushed; the publications that wait for them.
    pub(super) fn trim(&mut self) -> Vec<u64> {
        let room = self.room - self.unanswered_sent;
        let dropped = self.queue.trim(room);
        let numbers = self.first..self.first + dropped;
        self.first = numbers.end;
        numbers.filter_map(|number| self.forget(number)).collect()
    }

    /// What there is to take, which must be something.
    pub(super) fn take(&mut self, subscription: u64) -> Deliver {
        self.is_stalled = false;
        let mut head = DeliverHead { subscription, first: self.first, gap: 0 };
        let mut item = self.queue.pop();
        if let Some(Item::Gap(messages)) = item {
            head.gap = messages;
            item = self.queue.pop();
        }
        let Some(Item::Parcel(parcel)) = item else {
            return Deliver { head, parcel: Vec::new().into() };
        };
        let numbers = self.first..self.first + parcel.len() as u64;
        self.first = numbers.end;
        if let Some(unanswered) = &self.unanswered {
            let costs = unanswered.range(numbers).map(|(_, (cost, _))| Room { len: 1, bytes: *cost });
            self.unanswered_sent = costs.fold(self.unanswered_sent, |sum, cost| sum + cost);
        }
        let cost = Room { len: parcel.len(), bytes: parcel.cost() };
        self.in_flight.push_back((self.first - 1, cost));
        self.in_flight_sum = self.in_flight_sum + cost;
        Deliver { head, parcel }
    }

    /// Takes out what waits, unseen.
    pub(super) fn pop(&mut self) -> Option<Item> {
        self.queue.pop()
    }

    /// Whether the subscriber got a message.
    pub(super) fn was_sent(&self, number: u64) -> bool {
        number < self.first
    }

    /// Frees the room that a message which was sent held: its publication, or nothing where there is no such message.
    pub(super) fn answered(&mut self, number: u64) -> Option<Option<u64>> {
        if !self.was_sent(number) {
            return None;
        }
        let (cost, publication) = self.unanswered.as_mut()?.remove(&number)?;
        self.unanswered_sent = self.unanswered_sent - Room { len: 1, bytes: cost };
        Some(publication)
    }

    /// No answer is expected for a message that was not sent: its publication.
    pub(super) fn forget(&mut self, number: u64) -> Option<u64> {
        self.unanswered.as_mut()?.remove(&number)?.1
    }

    /// The publications of what was sent and never answered.
    pub(super) fn unanswered(self) -> impl Iterator<Item = u64> {
        self.unanswered.into_iter().flatten().filter_map(|(_, (_, publication))| publication)
    }
}
