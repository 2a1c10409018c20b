use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::IN_LIST;

pub(super) static LIST_TOO_LONG: Lint = Lint {
    code: "DE024",
    name: "list-too-long",
    severity: Severity::Error,
    summary: "An IN list has more values than one may have.",
    why: "The list is part of the compiled rule and is kept for as long as the rule runs. Split it over several \
          rules, or say what its values have in common. In a hunt or a query it can be a table: `--table \
          NAME=FILE` and `x IN (SELECT value FROM NAME)`.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes WHERE pid IN (1, 1, …)",
        statement: || format!("SELECT proc_id FROM processes WHERE pid IN (1{})", ", 1".repeat(IN_LIST.default)),
    },
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid IN (1, 2)"),
    check: Check::Compiler,
};
