use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};
use crate::query::{AggregateKind, WindowFunction};

pub(super) static UNORDERED_VALUES: Lint = Lint {
    code: "DE240",
    name: "unordered-values",
    severity: Severity::Warning,
    summary: "A value depends on an order that the query does not say.",
    why: "`string_agg` and `group_concat` join their texts in an order, and `row_number`, `lag`, `first_value` and their \
          like count along one. Without ORDER BY in the call, or in OVER, it is that of the engine: here the order of the \
          values themselves, elsewhere that of the storage. Say it, and alerts read the same everywhere.",
    fires: Example::Statement("SELECT parent_id, string_agg(name, ', ') AS names\nFROM processes\nGROUP BY parent_id"),
    silent: Example::Statement(
        "SELECT parent_id, string_agg(name, ', ' ORDER BY name) AS names\nFROM processes\nGROUP BY parent_id",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let mut report = |name: &str| {
        let finding = UNORDERED_VALUES.at(subject.word(name), format!("`{name}` has no ORDER BY"));
        found.push(finding.help("write ORDER BY in it, so that the value does not depend on how rows are read"));
    };
    for rows in subject.selects() {
        for aggregate in rows.select.group.iter().flat_map(|group| &group.aggregates) {
            if aggregate.kind == AggregateKind::GroupConcat && aggregate.order.is_empty() {
                report(if subject.has_word("string_agg") { "string_agg" } else { "group_concat" });
            }
        }
        for window in rows.select.windows.iter().filter(|window| window.order.is_empty()) {
            match &window.function {
                WindowFunction::Aggregate(_) => {}
                function => report(function.name()),
            }
        }
    }
}
