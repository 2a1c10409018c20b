//! `audit`: what is on record in the ledger.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The entries of the ledger, in its order.
pub(super) fn audit() -> Table {
    let column = Column::new;
    Table {
        name: "audit".into(),
        doc: "One row per entry of the audit ledger. That entries are those that were signed says \
              `daemoneye-cli audit verify`, not this table."
            .into(),
        kind: Kind::Events,
        columns: vec![
            column("seq", Type::Integer, false, "The entry's number in the ledger, from 0."),
            column("recorded_at", Type::Timestamp, false, "When it was appended; never before the entry before it."),
            column("at", Type::Timestamp, false, "When it happened, by the clock of whoever saw it."),
            column("actor", Type::Text, false, "Whose doing: `agent`, `broker`, `procmond`, a client."),
            column("uid", Type::Integer, true, "The user that the system names."),
            column("pid", Type::Integer, true, "The actor's process."),
            column("action", Type::Text, false, "What was done, such as `alert_raised`."),
            column("subject", Type::Text, false, "To what: a rule, an alert's number, a component, a client."),
            column("payload", Type::Text, false, "What else there is to know: a JSON object."),
            column("leaf_hash", Type::Text, false, "The entry's leaf of the tree (BLAKE3), hexadecimal."),
            column("origin", Type::Text, false, "Where the event came from: an outbox or one run of a program."),
            column("number", Type::Integer, false, "The event's number there."),
        ],
    }
}
