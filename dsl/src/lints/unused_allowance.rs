use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNUSED_ALLOWANCE: Lint = Lint {
    code: "DE012",
    name: "unused-allowance",
    severity: Severity::Warning,
    summary: "A comment allows a finding that does not occur, or none that can be allowed.",
    why: "An allowance that outlives its cause would hide the next finding of that kind. What does not compile \
          cannot be allowed at all. Remove the comment, or the code from its list.",
    fires: Example::Statement("SELECT proc_id FROM processes -- lint: allow(DE220) parents are looked up elsewhere"),
    silent: Example::Statement("SELECT proc_id FROM processes"),
    check: Check::Compiler,
};
