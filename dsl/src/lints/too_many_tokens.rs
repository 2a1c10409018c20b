use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::TOKENS;

pub(super) static TOO_MANY_TOKENS: Lint = Lint {
    code: "DE021",
    name: "too-many-tokens",
    severity: Severity::Error,
    summary: "A statement has more tokens than one may have.",
    why: "Words, numbers and signs are counted before the parser sees them. Public rules reach a quarter of the \
          bound. Split the rule; in a hunt or a query a long list can be a table of its own: `--table NAME=FILE`.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes WHERE pid IN (1, 1, …)",
        statement: || format!("SELECT proc_id FROM processes WHERE pid IN (1{})", ", 1".repeat(TOKENS.default / 2)),
    },
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid IN (1, 2)"),
    check: Check::Compiler,
};
