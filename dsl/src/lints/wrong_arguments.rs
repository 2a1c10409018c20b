use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static WRONG_ARGUMENTS: Lint = Lint {
    code: "DE242",
    name: "wrong-arguments",
    severity: Severity::Error,
    summary: "A function is called with a number of arguments that it does not take.",
    why: "The message shows how it is called; `daemoneye-cli schema NAME` shows what each argument is, with \
          examples.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE basename(executable_path, '/') = 'sh'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE basename(executable_path) = 'sh'"),
    check: Check::Compiler,
};
