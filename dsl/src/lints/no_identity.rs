use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NO_IDENTITY: Lint = Lint {
    code: "DE117",
    name: "no-identity",
    severity: Severity::Warning,
    summary: "The query returns nothing that says which process an alert is about.",
    why: "Alerts about the same thing are counted up instead of raised anew. Without `proc_id` (or another \
          identity column, GROUP BY, or `@dedup`) the key is every column returned: a pid that is used again is \
          then taken for the old process, and a changing value for a new match.",
    fires: Example::Statement("SELECT pid, name FROM processes"),
    silent: Example::Statement("SELECT proc_id, pid, name FROM processes"),
    check: Check::Compiler,
};
