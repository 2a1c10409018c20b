use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static COLUMN_COUNTS_DIFFER: Lint = Lint {
    code: "DE237",
    name: "column-counts-differ",
    severity: Severity::Error,
    summary: "Things that stand side by side have different numbers of columns.",
    why: "The operands of UNION and its like, the rows of VALUES, and a list of names and the query that it names \
          go together column by column.",
    fires: Example::Statement("SELECT proc_id, name FROM processes UNION SELECT proc_id FROM process_exits"),
    silent: Example::Statement("SELECT proc_id, name FROM processes\nUNION SELECT proc_id, name FROM process_exits"),
    check: Check::Compiler,
};
