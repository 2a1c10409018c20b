use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::OPERANDS_MAX;

pub(super) static TOO_MANY_QUERIES: Lint = Lint {
    code: "DE028",
    name: "too-many-queries",
    severity: Severity::Error,
    summary: "A statement has more queries than one may have.",
    why: "Subqueries, common table expressions and the operands of UNION count, those within others too. Split the \
          rule: each file has alerts of its own anyway.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes UNION ALL SELECT proc_id FROM processes UNION ALL …",
        statement: || {
            format!("SELECT proc_id FROM processes{}", " UNION ALL SELECT proc_id FROM processes".repeat(OPERANDS_MAX))
        },
    },
    silent: Example::Statement("SELECT proc_id FROM processes UNION ALL SELECT proc_id FROM processes"),
    check: Check::Compiler,
};
