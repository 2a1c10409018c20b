//! `alerts`: what the rules found, from the store.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The stored alerts; [`crate::alert::Alert::cells`] fills the row in this order.
pub(super) fn alerts() -> Table {
    let column = Column::new;
    Table {
        name: "alerts".into(),
        doc: "One row per alert, as last updated.".into(),
        kind: Kind::State,
        columns: vec![
            column("id", Type::Integer, false, "The alert's number, never reused."),
            column("time", Type::Timestamp, false, "The snapshot that raised it."),
            column("first_seen", Type::Timestamp, false, "The snapshot of the first match that is counted."),
            column("last_seen", Type::Timestamp, false, "The last snapshot that counted it up."),
            column("status", Type::Text, false, "`open`, or `resolved` when what matched no longer does."),
            column(
                "handling",
                Type::Text,
                false,
                "What operators have made of it: `new`, `acknowledged` or `closed`. A closed one is not counted up.",
            ),
            column("handled_at", Type::Timestamp, true, "When an operator last changed that."),
            column("handled_by", Type::Integer, true, "The user that did, by number."),
            column("note", Type::Text, true, "What they had to say."),
            column("silenced", Type::Integer, true, "The silence that keeps it from being delivered, by number."),
            column("level", Type::Text, false, "informational, low, medium, high, critical."),
            column("rule", Type::Text, false, "The rule's handle: the stem of its file's name."),
            column("rule_id", Type::Text, false, "The rule's UUID."),
            column("revision", Type::Text, false, "The revision of the rule that raised it."),
            column("title", Type::Text, false, "The rendered title."),
            column("tags", Type::Text, false, "The rule's tags as a JSON array."),
            column("count", Type::Integer, false, "How often the same key matched within the window."),
            column("initial", Type::Boolean, false, "Whether it held already when the rule was first run."),
            column("proc_id", Type::Text, true, "The process that matched, if the row names one.").identity(),
            column("dedup_key", Type::Text, false, "What tells its matches from others, as a JSON object."),
            column("row", Type::Text, false, "The row that matched, as a JSON object."),
            column("process", Type::Text, true, "The process that matched, as a JSON object."),
            column("ancestors", Type::Text, false, "Its known ancestors, parent first, as a JSON array."),
            column("complete", Type::Boolean, false, "Whether the rule saw everything it should have."),
            column("completeness", Type::Text, false, "Scope and reasons, as a JSON object."),
            column("handled", Type::Text, false, "Every change of `handling`, oldest first, as a JSON array."),
            column("snapshot", Type::Text, false, "The collector's run and the snapshot's number, as a JSON object."),
            column("sources", Type::Text, false, "The stored rows of the process and its ancestors, as a JSON array."),
        ],
    }
}
