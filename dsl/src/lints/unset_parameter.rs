use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNSET_PARAMETER: Lint = Lint {
    code: "DE213",
    name: "unset-parameter",
    severity: Severity::Error,
    summary: "A parameter has no value.",
    why: "`query --param name=VALUE` gives values to the parameters of a statement typed by hand. Nobody gives any \
          to a rule: write the value into it.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE name = :name"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE name = 'sh'"),
    check: Check::Compiler,
};
