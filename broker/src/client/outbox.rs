//! Publications of a client that wait to be sent, in the parcels in which they will be.
//!
//! What goes to another process is written down at once, in the bytes that travel: so a message costs no memory of its
//! own, and is copied once. What stays in this process stays what it is.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::parcel::{Draft, ENTRY_COST, Entry, Parcel};

/// Messages and bytes of publications that are sent together.
const BATCH_LEN_MAX: usize = 4096;
const BATCH_BYTES_MAX: usize = 64 << 10;

/// One message on its way to an [`Outbox`].
#[derive(Clone, Debug)]
pub(super) struct Publication<'a> {
    pub(super) topic: &'a str,
    pub(super) payload: Bytes,
    pub(super) request: u64,
    pub(super) retain: bool,
}

/// What waits, oldest first.
#[derive(Debug)]
pub(super) struct Outbox {
    full: VecDeque<Parcel>,
    full_bytes: usize,
    draft: Draft,
}

impl Publication<'_> {
    /// What it counts for, but for a few bytes.
    pub(super) fn cost(&self) -> usize {
        self.topic.len() + self.payload.len() + ENTRY_COST
    }
}

impl Outbox {
    /// What waits becomes such a draft.
    pub(super) fn new(draft: Draft) -> Self {
        Self { full: VecDeque::new(), full_bytes: 0, draft }
    }

    /// What all of it counts for.
    pub(super) fn bytes(&self) -> usize {
        self.full_bytes + self.draft.cost()
    }

    /// Messages that wait.
    pub(super) fn len(&self) -> usize {
        self.full.iter().map(Parcel::len).sum::<usize>() + self.draft.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.full.is_empty() && self.draft.is_empty()
    }

    /// Appends a message.
    pub(super) fn push(&mut self, publication: Publication<'_>) {
        let Publication { topic, payload, request, retain } = publication;
        self.draft.push(topic, payload, request, retain);
        if self.draft.len() >= BATCH_LEN_MAX || self.draft.cost() >= BATCH_BYTES_MAX {
            self.seal();
        }
    }

    /// As many wait as are sent together.
    pub(super) fn has_full(&self) -> bool {
        !self.full.is_empty()
    }

    /// Takes out what is sent next.
    pub(super) fn take(&mut self) -> Option<Parcel> {
        if self.full.is_empty() {
            self.seal();
        }
        let parcel = self.full.pop_front()?;
        self.full_bytes -= parcel.cost();
        Some(parcel)
    }

    /// Takes out the oldest message.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let mut parcel = self.take()?;
        let entry = parcel.pop();
        self.put_back(0, parcel);
        entry
    }

    /// Takes out the message that asks under this number; whether there was one.
    pub(super) fn remove(&mut self, request: u64) -> bool {
        self.seal();
        let asks = |parcel: &Parcel| parcel.entries().position(|entry| entry.request == request);
        let Some((n, at)) = self.full.iter().enumerate().find_map(|(n, parcel)| Some((n, asks(parcel)?))) else {
            return false;
        };
        let mut after = self.full.remove(n).expect("it was found there");
        self.full_bytes -= after.cost();
        let before = after.split_to(at);
        let _removed = after.pop();
        self.put_back(n, after);
        self.put_back(n, before);
        true
    }

    /// The numbers under which messages ask.
    pub(super) fn requests(&mut self) -> impl Iterator<Item = u64> {
        self.seal();
        self.full.iter().flat_map(Parcel::entries).map(|entry| entry.request).filter(|request| *request != 0)
    }

    fn seal(&mut self) {
        if !self.draft.is_empty() {
            let parcel = self.draft.finish();
            self.put_back(self.full.len(), parcel);
        }
    }

    fn put_back(&mut self, n: usize, parcel: Parcel) {
        if !parcel.is_empty() {
            self.full_bytes += parcel.cost();
            self.full.insert(n, parcel);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outboxes() -> [Outbox; 2] {
        [Outbox::new(Draft::encoded()), Outbox::new(Draft::plain())]
    }

    proptest! {
        /// Whatever is taken out of it, the rest comes out in order, and what it counts for is what there is.
        #[test]
        fn what_is_put_in_comes_out_in_order(
            lens in prop::collection::vec(0usize..20_000, 1..60),
            removed in prop::collection::vec(1u64..60, 0..10),
            popped in 0usize..10,
        ) {
            for mut outbox in outboxes() {
                let memory = Bytes::from(vec![0; 20_000]);
                for (request, len) in (1..).zip(&lens) {
                    outbox.push(Publication { topic: "t", payload: memory.slice(..*len), request, retain: false });
                }
                let mut expected: Vec<u64> = (1..=lens.len() as u64).collect();
                for request in &removed {
                    prop_assert_eq!(outbox.remove(*request), expected.contains(request));
                    expected.retain(|it| it != request);
                }
                for _ in 0..popped {
                    let first = (!expected.is_empty()).then(|| expected.remove(0));
                    prop_assert_eq!(outbox.pop().map(|entry| entry.request), first);
                }
                prop_assert_eq!(outbox.requests().collect::<Vec<_>>(), expected.clone());
                let came = std::iter::from_fn(|| outbox.take()).flat_map(|mut parcel| {
                    assert!(parcel.cost() < BATCH_BYTES_MAX + 20_100);
                    std::iter::from_fn(move || parcel.pop())
                });
                prop_assert_eq!(came.map(|entry| entry.request).collect::<Vec<_>>(), expected);
                prop_assert_eq!((outbox.bytes(), outbox.is_empty()), (0, true));
            }
        }
    }
}
