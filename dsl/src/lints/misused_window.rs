use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static MISUSED_WINDOW: Lint = Lint {
    code: "DE236",
    name: "misused-window",
    severity: Severity::Error,
    summary: "A window function stands where it cannot, or its window makes no sense.",
    why: "Windows are computed over the rows that WHERE and GROUP BY leave, so they have no value there: put the \
          query into FROM and filter its result. `rank`, `lag` and their like need `OVER (…)`; a frame begins \
          before it ends; RANGE with a distance measures one number in ORDER BY.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE rank() OVER (ORDER BY pid) = 1"),
    silent: Example::Statement(
        "SELECT proc_id FROM (SELECT proc_id, rank() OVER (ORDER BY pid) AS place FROM processes) AS r\nWHERE \
        place = 1",
    ),
    check: Check::Compiler,
};
