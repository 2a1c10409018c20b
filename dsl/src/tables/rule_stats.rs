//! `rule_stats`: what each rule cost and found since it runs, from the store.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The rules of the last agent that ran; [`crate::status::RuleStats::cells`] fills the row in this order.
pub(super) fn rule_stats() -> Table {
    let column = Column::new;
    let number = |name, unit, doc| Column { unit, ..column(name, Type::Integer, false, doc) };
    let micros = Some("microseconds");
    Table {
        name: "rule_stats".into(),
        doc: "One row per rule that the agent runs or has quarantined, counted from the agent's start or the rule's \
              last change. Written beside the snapshots, with many rules not beside each: `as_of` says when. Finding \
              the rows that concern a rule is done for all rules at once and not counted; operators that rules share \
              count for each."
            .into(),
        kind: Kind::State,
        columns: vec![
            column("rule", Type::Text, false, "The rule's name, as in `rules`."),
            column("id", Type::Text, false, "The rule's UUID."),
            column("revision", Type::Text, false, "The revision that this is about."),
            column("since", Type::Timestamp, false, "The snapshot from which on it is counted."),
            column("as_of", Type::Timestamp, false, "The snapshot up to which it is counted."),
            number("snapshots", None, "Snapshots that it was evaluated for."),
            number("appeared", None, "Rows that came to match."),
            number("raised", None, "Alerts that it raised; rows of a key that has an alert raise none."),
            number("last_micros", micros, "What its operators took for the last snapshot."),
            number("total_micros", micros, "What they took for all."),
            number("slowest_micros", micros, "What they took for the snapshot that took longest."),
            number("over_time_limit", None, "Snapshots for which it took longer than `rules.time_limit`."),
            number(
                "late_rows",
                None,
                "Rows that came too late for a window or a join of its, by more than `rules.grace`, and were discarded.",
            ),
            number("state_rows", None, "Rows that its operators refer to, one for each that does."),
            number("state_bytes", Some("bytes"), "About how much memory they take, the rows included."),
            column("quarantined", Type::Text, true, "Why it does not run, if it was quarantined."),
            column("quarantined_since", Type::Timestamp, true, "The snapshot that it was quarantined at."),
        ],
    }
}
