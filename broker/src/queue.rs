//! A subscription's queue, the same in the broker and in the client: bounded in messages and bytes, and exact about
//! what it lost.

use std::collections::VecDeque;

use crate::frame::FRAME_LEN_MAX;
use crate::message::Deliver;

/// Messages that a subscription may have waiting.
pub const QUEUE_LEN_MAX: usize = 1024;
/// Bytes that a subscription may have waiting. One message of the largest size always fits.
pub const QUEUE_BYTES_MAX: usize = FRAME_LEN_MAX;

/// Messages on their way to one subscription, oldest first.
///
/// `dropped` of each holds how many went missing just before it; what goes missing after the last is carried by the
/// next that comes.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    messages: VecDeque<Deliver>,
    bytes: usize,
    dropped: u64,
}

/// What a message counts for: its bytes and about what the structures around them take.
pub(crate) fn cost(message: &Deliver) -> usize {
    message.topic.len() + message.payload.len() + 128
}

impl Queue {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Deliver> {
        self.messages.iter()
    }

    /// Appends a message; where there is no room, the oldest make it.
    pub(crate) fn push(&mut self, mut message: Deliver) {
        let cost = cost(&message);
        let full = |queue: &Self| queue.len() >= QUEUE_LEN_MAX || queue.bytes + cost > QUEUE_BYTES_MAX;
        let mut lost = 0;
        while full(self)
            && let Some(oldest) = self.pop()
        {
            lost = u64::saturating_add(lost, oldest.dropped).saturating_add(1);
        }
        message.dropped = message.dropped.saturating_add(std::mem::take(&mut self.dropped));
        self.bytes += cost;
        self.messages.push_back(message);
        let front = self.messages.front_mut().expect("one was just pushed");
        front.dropped = front.dropped.saturating_add(lost);
    }

    /// Counts a message that was meant for this queue and did not get in.
    pub(crate) fn count_dropped(&mut self, dropped: u64) {
        self.dropped = self.dropped.saturating_add(dropped);
    }

    pub(crate) fn pop(&mut self) -> Option<Deliver> {
        let message = self.messages.pop_front()?;
        self.bytes -= cost(&message);
        Some(message)
    }
}
