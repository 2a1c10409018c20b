//! `silences`: what operators keep from being delivered, from the store.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The silences in force; [`crate::silence::Silence::cells`] fills the row in this order.
pub(super) fn silences() -> Table {
    let column = Column::new;
    Table {
        name: "silences".into(),
        doc: "One row per silence; one that has ended goes with the next snapshot.".into(),
        kind: Kind::State,
        columns: vec![
            column("number", Type::Integer, false, "The silence's number, never reused."),
            column("rule", Type::Text, false, "The rule's handle, as it was then."),
            column("rule_id", Type::Text, false, "The rule's UUID."),
            column("dedup_key", Type::Text, true, "Of which key, as a JSON object; of all where NULL."),
            column("ends_at", Type::Timestamp, false, "Until when."),
            column("made_at", Type::Timestamp, false, "Since when."),
            column("made_by", Type::Integer, true, "The user that asked for it, by number."),
            column("note", Type::Text, true, "What they had to say."),
        ],
    }
}
