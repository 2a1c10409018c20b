use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static ROW_SHAPE: Lint = Lint {
    code: "DE239",
    name: "row-shape",
    severity: Severity::Error,
    summary: "A row or a subquery has not as many columns as its place takes.",
    why: "`(a, b) = (c, d)` compares rows of one length, a subquery that is used as a value has one column, and \
          one behind IN as many as the row before it. Rows stand only in comparisons and before IN.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE pid = (SELECT pid, ppid FROM processes)"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid = (SELECT max(pid) FROM processes)"),
    check: Check::Compiler,
};
