use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNFORMATTABLE: Lint = Lint {
    code: "DE009",
    name: "unformattable",
    severity: Severity::Error,
    summary: "`fmt` cannot prove that the formatted rule means the same, and leaves it as it is.",
    why: "`fmt` moves white space alone, and compares tokens, comments, header, query and findings before it writes \
          anything. A comment that allows a finding speaks of one line, and may speak of another when that is broken: put \
          it above the line.",
    fires: Example::Statement(
        "SELECT c.proc_id FROM processes c JOIN processes p ON p.pid = c.ppid JOIN processes q ON q.pid = p.ppid \
         -- lint: allow(DE220) both",
    ),
    silent: Example::Statement(
        "SELECT c.proc_id\nFROM processes AS c\n-- lint: allow(DE220) the archive has no other key\n\
         JOIN processes AS p ON p.pid = c.ppid",
    ),
    check: Check::Formatter,
};
