use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static MISPLACED_AGGREGATE: Lint = Lint {
    code: "DE230",
    name: "misplaced-aggregate",
    severity: Severity::Error,
    summary: "An aggregate stands where single rows are looked at, or HAVING where there are no groups.",
    why: "WHERE and GROUP BY decide about rows before there are groups, so `count(*)` has no value there. Choose \
          groups with HAVING; to aggregate an aggregate, put the query into FROM and aggregate its result.",
    fires: Example::Statement("SELECT parent_id, count(*) FROM processes WHERE count(*) > 5 GROUP BY parent_id"),
    silent: Example::Statement("SELECT parent_id, count(*) FROM processes GROUP BY parent_id HAVING count(*) > 5"),
    check: Check::Compiler,
};
