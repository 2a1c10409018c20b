use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static DISTINCT_ORDER: Lint = Lint {
    code: "DE234",
    name: "distinct-order",
    severity: Severity::Error,
    summary: "With DISTINCT, the rows are sorted by something that is not among them.",
    why: "DISTINCT makes one row of several, which may differ in what is not returned: then there is no one value \
          to sort by. Return the column, or leave DISTINCT out.",
    fires: Example::Statement("SELECT proc_id\nFROM (SELECT DISTINCT name, proc_id FROM processes ORDER BY pid) AS p"),
    silent: Example::Statement(
        "SELECT proc_id\nFROM (SELECT DISTINCT name, proc_id FROM processes ORDER BY name) AS p",
    ),
    check: Check::Compiler,
};
