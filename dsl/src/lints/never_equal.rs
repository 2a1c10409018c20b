use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NEVER_EQUAL: Lint = Lint {
    code: "DE241",
    name: "never-equal",
    severity: Severity::Warning,
    summary: "A comparison is false, or unknown, for every row.",
    why: "A literal that is compared with a column takes the column's type, as in SQLite; this one cannot, and \
          values of different types are never equal. The rule compiles and will not find what was meant. Write the \
          literal in the column's type, or convert the column.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE pid = 'sh'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid = '7'"),
    check: Check::Compiler,
};
