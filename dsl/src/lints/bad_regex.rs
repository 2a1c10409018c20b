use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_REGEX: Lint = Lint {
    code: "DE209",
    name: "bad-regex",
    severity: Severity::Error,
    summary: "A regular expression cannot be compiled.",
    why: "Expressions are compiled when the rule is loaded, so REGEXP takes a constant, and matching takes time in \
          proportion to the text: there is no look-around and there are no back-references, with which an attacker \
          could make a rule run for hours. The compiled size has a bound as well.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE executable_path REGEXP '(?<!/var)/tmp/'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE executable_path REGEXP '^/tmp/'"),
    check: Check::Compiler,
};
