use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_COLLATION: Lint = Lint {
    code: "DE232",
    name: "unknown-collation",
    severity: Severity::Error,
    summary: "A collation is named that does not exist.",
    why: "There are two: `NOCASE` ignores the case of ASCII letters, and `BINARY` is exact. Others would depend on \
          the host's language, and a rule has to find the same everywhere.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE name = 'SH' COLLATE utf8_general"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE name = 'SH' COLLATE NOCASE"),
    check: Check::Compiler,
};
