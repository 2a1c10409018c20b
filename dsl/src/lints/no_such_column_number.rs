use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NO_SUCH_COLUMN_NUMBER: Lint = Lint {
    code: "DE233",
    name: "no-such-column-number",
    severity: Severity::Error,
    summary: "A number in GROUP BY or ORDER BY is not the number of a column.",
    why: "`ORDER BY 2` means the second column of the result, counted from 1. A constant there would sort nothing.",
    fires: Example::Statement("SELECT name, count(*) AS processes FROM processes GROUP BY 3"),
    silent: Example::Statement("SELECT name, count(*) AS processes FROM processes GROUP BY 1"),
    check: Check::Compiler,
};
