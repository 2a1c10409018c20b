use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_COLUMN: Lint = Lint {
    code: "DE201",
    name: "unknown-column",
    severity: Severity::Error,
    summary: "A column is named that no table in reach has.",
    why: "Nothing is known about its values, so the rule cannot run. The names that osquery, Sysmon and Sigma use for the \
          same thing are recognised and ours is offered. `daemoneye-cli schema TABLE` lists the columns of a table.",
    fires: Example::Statement("SELECT proc_id, comand_line FROM processes"),
    silent: Example::Statement("SELECT proc_id, command_line FROM processes"),
    check: Check::Compiler,
};
