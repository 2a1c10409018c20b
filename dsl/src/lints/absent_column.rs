use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static ABSENT_COLUMN: Lint = Lint {
    code: "DE212",
    name: "absent-column",
    severity: Severity::Warning,
    summary: "No record of the file has this column.",
    why: "Records of a file need not all have the same fields, so a column that none has is NULL instead of an \
          error, and the answer counts as incomplete. Where it was misspelt, the name that is meant is offered. \
          The example reads the table `logins`, a file of records with `user` and `proc_id`.",
    fires: Example::Statement("SELECT proc_id, usr FROM logins"),
    silent: Example::Statement("SELECT proc_id, user FROM logins"),
    check: Check::Compiler,
};
