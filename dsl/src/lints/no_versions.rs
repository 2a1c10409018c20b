use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NO_VERSIONS: Lint = Lint {
    code: "DE214",
    name: "no-versions",
    severity: Severity::Error,
    summary: "FOR SYSTEM_TIME stands behind something of which no past is kept.",
    why: "Of `processes` every version is recorded, so it can be asked for any past moment. The other tables are \
          records of what happened, with the time in a column: compare that. Behind the name of a common table \
          expression it says nothing; put it at the tables in it.",
    fires: Example::Statement("SELECT proc_id FROM process_starts FOR SYSTEM_TIME AS OF '2026-11-22 10:30:00'"),
    silent: Example::Statement("SELECT proc_id FROM process_starts WHERE observed_at = '2026-11-22 10:30:00'"),
    check: Check::Compiler,
};
