//! Publications whose publishers want to know what became of them.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;

use crate::core::{ConnectionId, Core};
use crate::message::{Acknowledge, Cancelled, Code, Fault, Outcome, Published};
use crate::routes::Target;

/// Publications whose outcome is open, by a number of the broker's own.
#[derive(Debug, Default)]
pub(super) struct Asked {
    open: HashMap<u64, Publication>,
    last_number: u64,
}

#[derive(Debug)]
struct Publication {
    publisher: ConnectionId,
    request: u64,
    /// The deliveries that it waits for: the subscription, and the message's number in it.
    waits_for: Vec<(Target, u64)>,
    /// Subscriptions that have no room for it yet.
    held_len: usize,
    was_accepted: bool,
    reply: Bytes,
}

impl Publication {
    fn waits(&self) -> bool {
        self.held_len > 0 || !self.waits_for.is_empty()
    }
}

impl Asked {
    pub(super) fn all(&self) -> Vec<u64> {
        self.open.keys().copied().collect()
    }

    /// The deliveries that a publication waits for.
    pub(super) fn deliveries(&self, publication: u64) -> &[(Target, u64)] {
        self.open.get(&publication).map_or(&[], |open| &open.waits_for)
    }

    /// A subscription that answers got it.
    pub(super) fn wait_for(&mut self, publication: u64, target: Target, number: u64) {
        if let Some(publication) = self.open.get_mut(&publication) {
            publication.waits_for.push((target, number));
        }
    }

    /// That subscription will not answer.
    pub(super) fn wait_no_more(&mut self, publication: u64, target: Target, number: u64) {
        if let Some(publication) = self.open.get_mut(&publication) {
            publication.waits_for.retain(|wait| *wait != (target, number));
        }
    }

    /// A subscription has no room for it yet, or `-1` has now.
    pub(super) fn hold(&mut self, publication: u64, change: isize) {
        if let Some(publication) = self.open.get_mut(&publication) {
            publication.held_len = publication.held_len.saturating_add_signed(change);
        }
    }
}

impl Core {
    /// Begins to wait for answers.
    pub(super) fn ask(&mut self, publisher: ConnectionId, request: u64) -> u64 {
        self.asked.last_number += 1;
        let number = self.asked.last_number;
        let publication = Publication {
            publisher,
            request,
            waits_for: Vec::new(),
            held_len: 0,
            was_accepted: false,
            reply: Bytes::new(),
        };
        self.asked.open.insert(number, publication);
        self.connection(publisher).asking.insert(request, number);
        number
    }

    /// Settles a publication that waits for nobody.
    pub(super) fn conclude(&mut self, publication: u64) {
        let Some(open) = self.asked.open.get_mut(&publication).filter(|open| !open.waits()) else { return };
        let reply = std::mem::take(&mut open.reply);
        let outcome = if open.was_accepted { Outcome::Accepted(reply) } else { Outcome::Nobody };
        self.settle(publication, outcome);
    }

    pub(super) fn acknowledge(&mut self, from: ConnectionId, body: Acknowledge, now: Duration) -> Result<(), Fault> {
        let (id, number) = (body.subscription, body.number);
        let outcome = body.into_outcome()?;
        if outcome == Outcome::Nobody {
            return Err(Fault::new(Code::Protocol, "somebody answers that there is nobody"));
        }
        let subscription = self.connection(from).subscriptions.get_mut(&id);
        // A late answer, after the end of the subscription, finds nothing and means nothing.
        let Some(publication) = subscription.and_then(|subscription| subscription.answered(number)) else {
            return Ok(());
        };
        self.resume_for((from, id), now);
        let Some(publication) = publication else { return Ok(()) };
        self.asked.wait_no_more(publication, (from, id), number);
        match outcome {
            Outcome::Accepted(reply) => {
                if let Some(open) = self.asked.open.get_mut(&publication) {
                    open.was_accepted = true;
                    if !reply.is_empty() {
                        open.reply = reply;
                    }
                }
                self.conclude(publication);
            }
            refused_or_lost => self.settle(publication, refused_or_lost),
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, publication: u64, reason: impl Into<String>) {
        self.settle(publication, Outcome::Refused(reason.into()));
    }

    /// Tells the publisher; later answers mean nothing.
    pub(super) fn settle(&mut self, publication: u64, outcome: Outcome) {
        let Some(Publication { publisher, request, .. }) = self.asked.open.remove(&publication) else { return };
        self.connection(publisher).asking.remove(&request);
        self.reply(publisher, Published::new(request, outcome));
    }

    /// Nobody waits for the outcome any more: whoever has still to answer learns it.
    pub(super) fn cancel(&mut self, publication: u64) {
        let Some(open) = self.asked.open.remove(&publication) else { return };
        for ((connection, subscription), number) in open.waits_for {
            if self.connections.contains_key(&connection) {
                self.reply(connection, Cancelled { subscription, number });
            }
        }
    }
}
