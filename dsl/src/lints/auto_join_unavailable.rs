use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static AUTO_JOIN_UNAVAILABLE: Lint = Lint {
    code: "DE312",
    name: "auto-join-unavailable",
    severity: Severity::Error,
    summary: "AUTO JOIN is read, checked and explained, and cannot run yet.",
    why: "AUTO JOIN asks the owning collector for the right side when a row on the left needs it, and no collector answers \
          questions so far. An ordinary JOIN looks at what is collected; `daemoneye-cli explain` shows how this one would \
          run.",
    fires: Example::Statement(
        "SELECT s.proc_id, p.command_line\nFROM process_starts AS s\nAUTO JOIN processes AS p ON p.proc_id = s.proc_id WHEN s.user_id = 0",
    ),
    silent: Example::Statement(
        "SELECT s.proc_id, p.command_line\nFROM process_starts AS s\nJOIN processes AS p ON p.proc_id = s.proc_id\nWHERE s.user_id = 0",
    ),
    check: Check::Compiler,
};
