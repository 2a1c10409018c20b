use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static AMBIGUOUS_NAME: Lint = Lint {
    code: "DE210",
    name: "ambiguous-name",
    severity: Severity::Error,
    summary: "A name could mean more than one thing.",
    why: "Two tables in reach have a column of that name, or two tables have the same name. Choosing one silently \
          is how a join comes to compare a process with itself. Put the table's alias before the column, and give \
          every table an alias of its own.",
    fires: Example::Statement(
        "SELECT c.proc_id, name\nFROM processes AS c\nJOIN processes AS p ON p.proc_id = c.parent_id",
    ),
    silent: Example::Statement(
        "SELECT c.proc_id, p.name\nFROM processes AS c\nJOIN processes AS p ON p.proc_id = c.parent_id",
    ),
    check: Check::Compiler,
};
