use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NO_SUCH_COLUMN_NUMBER: Lint = Lint {
    code: "DE233",
    name: "no-such-column-number",
    severity: Severity::Error,
    summary: "A number in GROUP BY or ORDER BY is not the number of a column.",
    why: "`ORDER BY 2` means the second column of the result, counted from 1. A constant there would sort nothing.",
    fires: Example::Statement("SELECT proc_id, name FROM processes ORDER BY 3"),
    silent: Example::Statement("SELECT proc_id, name FROM processes ORDER BY 2"),
    check: Check::Compiler,
};
