use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static OUTSIDE_DIALECT: Lint = Lint {
    code: "DE004",
    name: "outside-dialect",
    severity: Severity::Error,
    summary: "Something that other databases have is not part of the dialect.",
    why: "The checker translates every node of the parsed text into operations of its own, and for this one there \
          is no translation. Nothing is refused by a list of names, so no spelling gets around it, and nothing is \
          passed over in silence. `docs/dialect.md` says what can be written instead.",
    fires: Example::Statement("SELECT DISTINCT ON (name) proc_id, name FROM processes"),
    silent: Example::Statement("SELECT DISTINCT proc_id, name FROM processes"),
    check: Check::Compiler,
};
