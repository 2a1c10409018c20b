use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static FORBIDDEN_FUNCTION: Lint = Lint {
    code: "DE005",
    name: "forbidden-function",
    severity: Severity::Error,
    summary: "A function is called that writes, reads files, runs something, waits or throws dice.",
    why: "Rules come from many hands and look at an attacker's text with many rights. So the language has no such \
          function at all: nothing that a rule says can change the host, leave it, or give another answer for the \
          same rows. What is known of files and hashes are columns; `now()` is the time of the snapshot.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE readfile(executable_path) IS NOT NULL"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE file_exists"),
    check: Check::Compiler,
};
