use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_FUNCTION: Lint = Lint {
    code: "DE203",
    name: "unknown-function",
    severity: Severity::Error,
    summary: "A function is called that does not exist.",
    why: "The functions are a fixed list, `docs/functions.md`; `daemoneye-cli schema functions` shows it. Names \
          from SQLite, osquery, PostgreSQL, DuckDB and Splunk are recognised, and what is called otherwise here is \
          offered.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE startswith(name, 'sh')"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE starts_with(name, 'sh')"),
    check: Check::Compiler,
};
