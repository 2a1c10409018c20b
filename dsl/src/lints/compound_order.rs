use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static COMPOUND_ORDER: Lint = Lint {
    code: "DE235",
    name: "compound-order",
    severity: Severity::Error,
    summary: "Behind UNION and its like, ORDER BY names something other than a column of the result.",
    why: "The rows come from several queries, and only the columns of the result are common to them. Name one, or \
          give its number; put the query into FROM to sort by an expression.",
    fires: Example::Statement(
        "SELECT proc_id FROM (\n  SELECT proc_id, name FROM processes\n  UNION SELECT proc_id, name FROM process_exits\n  ORDER BY lower(name)\n) AS p",
    ),
    silent: Example::Statement(
        "SELECT proc_id FROM (\n  SELECT proc_id, name FROM processes\n  UNION SELECT proc_id, name FROM process_exits\n  ORDER BY name\n) AS p",
    ),
    check: Check::Compiler,
};
