//! `collectors`: who reported to the agent, and how far it got, from the store.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The collectors that were heard last; [`crate::status::CollectorStatus::cells`] fills the row in this order.
pub(super) fn collectors() -> Table {
    let column = Column::new;
    Table {
        name: "collectors".into(),
        doc: "One row per collector instance; each start of a collector is one.".into(),
        kind: Kind::State,
        columns: vec![
            column("source", Type::Text, false, "The instance's id."),
            column("pid", Type::Integer, true, "Its process id, if it said so."),
            column("first_snapshot", Type::Timestamp, false, "Its first snapshot that was stored."),
            column("last_snapshot", Type::Timestamp, false, "Its last snapshot that was stored."),
            column("period", Type::Interval, true, "The time from one of its snapshots to the next."),
            column("sequence", Type::Integer, false, "The number that it gave its last snapshot."),
            column("snapshots", Type::Integer, false, "Snapshots of it that were stored."),
            column("missed", Type::Integer, false, "Snapshots of it that never arrived."),
            column("processes", Type::Integer, false, "Processes in the last snapshot."),
            column("evaluation", Type::Interval, false, "What the rules took for the last snapshot."),
            column("complete", Type::Boolean, false, "Whether nothing was missing from the last snapshot."),
            column("completeness", Type::Text, false, "Scope and reasons, as a JSON object."),
        ],
    }
}
