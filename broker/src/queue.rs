//! A subscription's queue, the same in the broker and in the client: bounded in messages and bytes, and exact about
//! what it lost.

use std::collections::VecDeque;
use std::ops::{Add, Sub};

use crate::frame::FRAME_LEN_MAX;
use crate::parcel::{EntryRef, Parcel};

/// Messages and bytes that a subscription may have waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Messages.
    pub len: usize,
    /// Bytes, topics and about what the structures around a message take included. One message always fits into an
    /// empty queue.
    pub bytes: usize,
}

impl Room {
    /// The most that a subscription can ask for.
    pub const MAX: Self = Self { len: 1 << 16, bytes: FRAME_LEN_MAX };
}

impl Add for Room {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { len: self.len + other.len, bytes: self.bytes + other.bytes }
    }
}

/// Down to nothing.
impl Sub for Room {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { len: self.len.saturating_sub(other.len), bytes: self.bytes.saturating_sub(other.bytes) }
    }
}

impl Default for Room {
    fn default() -> Self {
        Self { len: 8192, bytes: 16 << 20 }
    }
}

/// What comes out of a queue.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Item {
    /// Messages that were dropped here.
    Gap(u64),
    /// Messages.
    Parcel(Parcel),
}

/// Messages on their way to one subscription, oldest first, with a gap wherever some went missing.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    items: VecDeque<Item>,
    len: usize,
    bytes: usize,
}

impl Queue {
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Nothing waits, not even a gap.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Appends messages.
    pub(crate) fn push(&mut self, parcel: Parcel) {
        self.len += parcel.len();
        self.bytes += parcel.cost();
        self.items.push_back(Item::Parcel(parcel));
    }

    /// Notes that messages went missing after those that wait.
    pub(crate) fn push_gap(&mut self, messages: u64) {
        match self.items.back_mut() {
            Some(Item::Gap(gap)) => *gap = gap.saturating_add(messages),
            _ if messages > 0 => self.items.push_back(Item::Gap(messages)),
            _ => {}
        }
    }

    /// The first gap or parcel.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let item = self.items.pop_front()?;
        if let Item::Parcel(parcel) = &item {
            self.len -= parcel.len();
            self.bytes -= parcel.cost();
        }
        Some(item)
    }

    /// How many of these messages fit behind what waits and what is `held` besides, in messages and bytes.
    pub(crate) fn fitting(&self, parcel: &Parcel, room: Room, held: Room) -> usize {
        let (mut len, mut bytes) = (self.len + held.len, self.bytes + held.bytes);
        if len + parcel.len() <= room.len && bytes + parcel.cost() <= room.bytes {
            return parcel.len();
        }
        let fits = |entry: &EntryRef<'_>| {
            let fits = len == 0 || (len < room.len && bytes + entry.cost() <= room.bytes);
            (len, bytes) = (len + 1, bytes + entry.cost());
            fits
        };
        parcel.entries().take_while(fits).count()
    }

    /// Drops the oldest messages until what waits is within `room`, or the last is left; how many.
    pub(crate) fn trim(&mut self, room: Room) -> u64 {
        let (mut gap, mut dropped) = (0_u64, 0);
        while self.len > 1 && (self.len > room.len || self.bytes > room.bytes) {
            match self.pop() {
                Some(Item::Gap(messages)) => gap = gap.saturating_add(messages),
                Some(Item::Parcel(mut parcel)) => {
                    let over_len = (self.len + parcel.len()).saturating_sub(room.len);
                    let mut over_bytes = (self.bytes + parcel.cost()).saturating_sub(room.bytes);
                    let mut drops = 0;
                    while (drops < over_len || over_bytes > 0)
                        && self.len + parcel.len() > 1
                        && let Some(entry) = parcel.pop()
                    {
                        over_bytes = over_bytes.saturating_sub(entry.cost());
                        drops += 1;
                    }
                    dropped += drops as u64;
                    if !parcel.is_empty() {
                        (self.len, self.bytes) = (self.len + parcel.len(), self.bytes + parcel.cost());
                        self.items.push_front(Item::Parcel(parcel));
                    }
                }
                None => break,
            }
        }
        gap = gap.saturating_add(dropped);
        match self.items.front_mut() {
            Some(Item::Gap(messages)) => *messages = messages.saturating_add(gap),
            _ if gap > 0 => self.items.push_front(Item::Gap(gap)),
            _ => {}
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::Entry;
    use proptest::prelude::*;

    fn parcel(numbers: std::ops::Range<u64>, payload_len: usize) -> Parcel {
        let payload = bytes::Bytes::from(vec![0; payload_len]);
        let entry = |request| Entry { topic: "t".into(), payload: payload.clone(), request, retain: false };
        numbers.map(entry).collect::<Vec<_>>().into()
    }

    /// What comes out: numbers of messages, and gaps as `None` for each message that is missing.
    fn drained(queue: &mut Queue) -> Vec<Option<u64>> {
        let mut out = Vec::new();
        while let Some(item) = queue.pop() {
            match item {
                Item::Gap(messages) => out.extend((0..messages).map(|_| None)),
                Item::Parcel(mut parcel) => {
                    out.extend(std::iter::from_fn(|| parcel.pop()).map(|entry| Some(entry.request)));
                }
            }
        }
        assert_eq!((queue.len, queue.bytes), (0, 0));
        out
    }

    proptest! {
        #[test]
        fn nothing_is_lost_that_is_not_in_a_gap(
            steps in prop::collection::vec((0u64..40, 0usize..2000, any::<bool>()), 1..30),
            (len, bytes) in (1usize..60, 1usize..20_000),
        ) {
            let room = Room { len, bytes };
            let (mut queue, mut total, mut expected) = (Queue::default(), 0, Vec::new());
            for (count, payload_len, newest) in steps {
                let mut parcel = parcel(total..total + count, payload_len);
                expected.extend((total..total + count).map(Some));
                total += count;
                if newest {
                    let fitting = queue.fitting(&parcel, room, Room { len: 0, bytes: 0 });
                    let lost = parcel.len() - fitting;
                    queue.push(parcel.split_to(fitting));
                    queue.push_gap(lost as u64);
                    let end = expected.len();
                    expected[end - lost..].fill(None);
                } else {
                    queue.push(parcel);
                    let mut dropped = queue.trim(room);
                    for slot in expected.iter_mut().filter(|slot| slot.is_some()) {
                        if dropped == 0 { break }
                        *slot = None;
                        dropped -= 1;
                    }
                }
                prop_assert!(queue.len <= 1 || (queue.len <= len && queue.bytes <= bytes));
            }
            prop_assert_eq!(drained(&mut queue), expected);
        }
    }
}
