use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static TOO_MANY_OPERATIONS: Lint = Lint {
    code: "DE027",
    name: "too-many-operations",
    severity: Severity::Error,
    summary: "A statement comes to more operations than one may have once everything is spelled out.",
    why: "`BETWEEN`, `coalesce`, `nullif` and `CASE x WHEN` repeat their operand, so nesting them doubles the work \
          with every level. Nest them less, or compute the operand once in a query in FROM.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes WHERE nullif(nullif(…, 1), 1)",
        statement: || format!("SELECT proc_id FROM processes WHERE {}pid{}", "nullif(".repeat(40), ", 1)".repeat(40)),
    },
    silent: Example::Statement("SELECT proc_id FROM processes WHERE nullif(pid, 1)"),
    check: Check::Compiler,
};
