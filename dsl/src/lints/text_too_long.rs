use super::{Check, Example, Lint};
use crate::diagnostic::Severity;
use crate::limits::TEXT;

pub(super) static TEXT_TOO_LONG: Lint = Lint {
    code: "DE020",
    name: "text-too-long",
    severity: Severity::Error,
    summary: "A file or statement is longer than a rule may be.",
    why: "Every text that is compiled has a bound, so that no file can make the compiler run without end. The \
          largest public rules take a quarter of it. Split the rule; in a hunt or a query a long list can be a \
          table of its own: `--table NAME=FILE`.",
    fires: Example::Made {
        shown: "SELECT proc_id FROM processes -- … more than 262,144 bytes",
        statement: || format!("SELECT proc_id FROM processes -- {}", "x".repeat(TEXT.default)),
    },
    silent: Example::Statement("SELECT proc_id FROM processes"),
    check: Check::Compiler,
};
