use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

/// Found by the planner, which knows what it can maintain.
pub static RECOMPUTED: Lint = Lint {
    code: "DE310",
    name: "recomputed",
    severity: Severity::Note,
    summary: "A part of the rule is computed anew at each change of what it reads.",
    why: "Conditions, joins, groups and most subqueries are evaluated for the rows that changed and no others. What is named \
          here is computed from all its input whenever that changes; it gives the same answer and costs more, in \
          proportion to the rows that are left at that point. Conditions on single tables keep that number small. \
          `daemoneye-cli explain --state RULE` shows which operator that is and what it holds.",
    fires: Example::Statement(
        "SELECT proc_id, pid, row_number() OVER (PARTITION BY user_id ORDER BY start_time, proc_id) AS nth\nFROM processes",
    ),
    silent: Example::Statement("SELECT proc_id, pid FROM processes WHERE name = 'xmrig'"),
    check: Check::Planner,
};
