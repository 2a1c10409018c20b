use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static SYNTAX_ERROR: Lint = Lint {
    code: "DE001",
    name: "syntax-error",
    severity: Severity::Error,
    summary: "The text is not SQL.",
    why: "The parser stopped at this place: what stands there cannot follow what stands before. Nothing behind it \
          was read, so mend it first and check again. `docs/dialect.md` lists what a statement may have.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE name = 'sh'"),
    check: Check::Compiler,
};
