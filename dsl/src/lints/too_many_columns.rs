use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::COLUMNS;

pub(super) static TOO_MANY_COLUMNS: Lint = Lint {
    code: "DE025",
    name: "too-many-columns",
    severity: Severity::Error,
    summary: "A result has more columns than one may have.",
    why: "Every column is stored with every match. Return what tells one match from another and what helps whoever \
          reads the alert.",
    fires: Example::Made {
        shown: "SELECT proc_id, 1, 1, … FROM processes",
        statement: || format!("SELECT proc_id{} FROM processes", ", 1".repeat(COLUMNS.default)),
    },
    silent: Example::Statement("SELECT proc_id, name FROM processes"),
    check: Check::Compiler,
};
