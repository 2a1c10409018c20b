//! Laws of the ledger as a whole.

mod append;

use daemoneye_dsl::audit::{Action, Actor, Event, EventId};
use daemoneye_dsl::types::Timestamp;

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
pub(super) fn events(numbers: std::ops::Range<u64>) -> Vec<Event> {
    numbers.map(|number| event("outbox/a", number)).collect()
}
