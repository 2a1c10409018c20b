use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BARE_COLUMN: Lint = Lint {
    code: "DE231",
    name: "bare-column",
    severity: Severity::Warning,
    summary: "A column beside aggregates is neither a GROUP BY key nor inside an aggregate.",
    why: "Its value comes from one row of each group, as in SQLite, and nothing in the rule says from which: here \
          from the one whose such columns are least, so that the same rows always give the same answer. Beside a \
          single `min` or `max` it comes from that row, and there is no warning. Say what is meant: `min(x)`, \
          `max_by(x, start_time)`, or one more key.",
    fires: Example::Statement("SELECT name, pid, count(*) FROM processes GROUP BY name"),
    silent: Example::Statement("SELECT name, max_by(pid, start_time) AS pid, count(*) FROM processes\nGROUP BY name"),
    check: Check::Compiler,
};
