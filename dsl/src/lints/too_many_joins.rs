use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::JOINS;

pub(super) static TOO_MANY_JOINS: Lint = Lint {
    code: "DE026",
    name: "too-many-joins",
    severity: Severity::Error,
    summary: "A statement has more joins than one may have.",
    why: "Each join may multiply the rows of those before. A chain over parents is `ancestors(proc_id)`; many \
          alternatives are better several rules.",
    fires: Example::Made {
        shown: "SELECT a.proc_id FROM processes AS a JOIN processes AS b JOIN …",
        statement: || {
            format!(
                "SELECT a.proc_id FROM processes AS a{}",
                (0..=JOINS.default).fold(String::new(), |joins, at| format!(
                    "{joins} JOIN processes AS b{at} ON b{at}.proc_id = a.parent_id"
                ))
            )
        },
    },
    silent: Example::Statement("SELECT c.proc_id\nFROM processes AS c\nJOIN processes AS p ON p.proc_id = c.parent_id"),
    check: Check::Compiler,
};
