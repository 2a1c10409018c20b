use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NOT_ONE_SELECT: Lint = Lint {
    code: "DE003",
    name: "not-one-select",
    severity: Severity::Error,
    summary: "The SQL is not exactly one SELECT.",
    why: "A rule is one query: its rows are its matches. Nothing can be written, attached, configured or run from \
          SQL, so there is no other kind of statement, and a second SELECT belongs into a file of its own. WITH \
          and VALUES may begin a query too.",
    fires: Example::Statement("DELETE FROM processes"),
    silent: Example::Statement("SELECT proc_id FROM processes"),
    check: Check::Compiler,
};
