use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_TYPE: Lint = Lint {
    code: "DE204",
    name: "unknown-type",
    severity: Severity::Error,
    summary: "A type is named that does not exist.",
    why: "There are seven: INTEGER, REAL, TEXT, BLOB, BOOLEAN, TIMESTAMP and INTERVAL, with the usual other names \
          (INT, BIGINT, DOUBLE, VARCHAR, BOOL). In SQLite any word is a type, and what it does follows from its \
          letters.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE CAST(name AS UUID) = 'x'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE CAST(pid AS TEXT) = '1'"),
    check: Check::Compiler,
};
