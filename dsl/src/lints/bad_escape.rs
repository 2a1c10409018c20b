use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_ESCAPE: Lint = Lint {
    code: "DE208",
    name: "bad-escape",
    severity: Severity::Error,
    summary: "ESCAPE is not followed by one character in quotes.",
    why: "The character takes the meaning from a `%` or `_` behind it. It is one character, known when the rule is \
          compiled.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE name LIKE '100!!%' ESCAPE '!!'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE name LIKE '100!%' ESCAPE '!'"),
    check: Check::Compiler,
};
