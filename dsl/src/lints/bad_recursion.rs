use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_RECURSION: Lint = Lint {
    code: "DE238",
    name: "bad-recursion",
    severity: Severity::Error,
    summary: "A query names itself in a way that cannot be computed in rounds.",
    why: "WITH RECURSIVE begins with rows, then adds what the queries after UNION find in the rows of the last \
          round, until there are none. So each of them reads its own name once, in FROM, without aggregates or \
          windows. For the chain of parents there is `ancestors(proc_id)`.",
    fires: Example::Statement(
        "WITH RECURSIVE up AS (SELECT parent_id FROM processes\nWHERE name = 'sh'\nUNION SELECT \
        max(parent_id) FROM up) SELECT parent_id FROM up",
    ),
    silent: Example::Statement(
        "WITH RECURSIVE up AS (SELECT parent_id FROM processes\nWHERE name = 'sh'\nUNION SELECT \
        p.parent_id\nFROM processes AS p\nJOIN up ON p.proc_id = up.parent_id) SELECT parent_id FROM up",
    ),
    check: Check::Compiler,
};
