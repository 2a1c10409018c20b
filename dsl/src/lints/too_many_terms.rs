use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::TERMS;

pub(super) static TOO_MANY_TERMS: Lint = Lint {
    code: "DE022",
    name: "too-many-terms",
    severity: Severity::Error,
    summary: "A statement has more operands of AND and OR than one may have.",
    why: "Each is an operation on every row. Public rules reach a seventh of the bound. Many alternatives for one \
          column are one `IN (…)`, which is looked up instead of tried.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes WHERE pid = 1 OR pid = 1 OR …",
        statement: || format!("SELECT proc_id FROM processes WHERE 1{}", " OR 1".repeat(TERMS.default)),
    },
    silent: Example::Statement("SELECT proc_id FROM processes WHERE pid IN (1, 2, 3)"),
    check: Check::Compiler,
};
