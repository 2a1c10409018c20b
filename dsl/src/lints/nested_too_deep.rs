use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::NESTING;

pub(super) static NESTED_TOO_DEEP: Lint = Lint {
    code: "DE023",
    name: "nested-too-deep",
    severity: Severity::Error,
    summary: "Parentheses or operations are nested deeper than they may be.",
    why: "Expressions are compiled and evaluated by recursion, and a bound keeps any text from exhausting the \
          stack. Chains of AND and OR count as one operation however long they are. Split the expression, or give \
          its parts names in a query around it.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes WHERE ((((…1…))))",
        statement: || {
            format!(
                "SELECT proc_id FROM processes WHERE {}1{}",
                "(".repeat(NESTING.default + 1),
                ")".repeat(NESTING.default + 1)
            )
        },
    },
    silent: Example::Statement("SELECT proc_id FROM processes WHERE ((1))"),
    check: Check::Compiler,
};
