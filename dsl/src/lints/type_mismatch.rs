use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static TYPE_MISMATCH: Lint = Lint {
    code: "DE205",
    name: "type-mismatch",
    severity: Severity::Error,
    summary: "An operation gets a value of a type that it does not take.",
    why: "Types are known when a rule is compiled, so that a mistake shows before the rule runs and not as a match \
          that never comes. Only what loses nothing is converted unasked: INTEGER to REAL, numbers to TEXT in text \
          functions, literals to the type of the column that they are compared with. For everything else write a \
          CAST.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE name + 1 > 2"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid + 1 > 2"),
    check: Check::Compiler,
};
