//! Laws of the ledger as a whole.

mod append;
mod codecs;
mod faults;
mod keys;
mod tampering;
mod tree;

use std::ops::{ControlFlow, Range};

use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;

use super::{Entry, LedgerView, Order};

/// An event of that number from an origin.
pub(super) fn event(origin: &str, number: u64) -> Event {
    Event {
        id: EventId { origin: origin.to_owned(), number },
        at: Timestamp(i64::try_from(number).unwrap()),
        actor: Actor { name: "agent".to_owned(), uid: Some(0), pid: None },
        action: Action::AlertRaised,
        subject: number.to_string(),
        payload: format!("{{\"rule\":\"r{}\"}}", number % 7),
    }
}

/// The events of one outbox with these numbers.
pub(super) fn events(numbers: Range<u64>) -> Vec<Event> {
    numbers.map(|number| event("outbox/a", number)).collect()
}

/// All entries, from the one with that number on or those before it.
pub(super) fn entries_from(view: &LedgerView, from: u64, order: Order) -> Vec<Entry> {
    let mut all = Vec::new();
    view.entries(from, order, &mut |entry, leaf| {
        assert_eq!(leaf, entry.leaf());
        all.push(entry);
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

/// All entries.
pub(super) fn entries(view: &LedgerView) -> Vec<Entry> {
    entries_from(view, 0, Order::Forwards)
}
