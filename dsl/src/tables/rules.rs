//! `rules`: the agent's rules and what became of each, from the store.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The rules of the last agent that ran; [`crate::status::RuleStatus::cells`] fills the row in this order.
pub(super) fn rules() -> Table {
    let column = Column::new;
    Table {
        name: "rules".into(),
        doc: "One row per rule file of the agent's last start.".into(),
        kind: Kind::State,
        columns: vec![
            column("name", Type::Text, false, "The rule's handle: the stem of its file's name."),
            column(
                "state",
                Type::Text,
                false,
                "`running`, `limited`, `other_system`, `refused` or `quarantined`; the last two do not run.",
            ),
            column("detail", Type::Text, true, "Why it does not run, or the columns that nothing collects."),
            column("level", Type::Text, true, "informational, low, medium, high, critical."),
            column("id", Type::Text, true, "The rule's UUID."),
            column("revision", Type::Text, true, "First 12 hex digits of BLAKE3 over header and SQL."),
            column("path", Type::Text, false, "The file, as the agent was told of it."),
            column("matching", Type::Integer, false, "Rows that match now; events, which have no end, do not count."),
        ],
    }
}
