use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_LIST: Lint = Lint {
    code: "DE219",
    name: "unknown-list",
    severity: Severity::Error,
    summary: "A list is asked for that is not there, or cannot be used.",
    why: "`list('web_servers')` is the lines of `lists/web_servers.txt` in the folder of the rules, or in the one above it. A list \
          that is missing, not UTF-8 or too long leaves the rule without its values, so it does not run.",
    fires: Example::Statement(
        "SELECT proc_id, name FROM processes WHERE name IN (SELECT value FROM list('web_servers'))",
    ),
    silent: Example::Statement("SELECT proc_id, name FROM processes WHERE name IN ('nginx', 'httpd', 'caddy')"),
    check: Check::Compiler,
};
