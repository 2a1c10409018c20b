use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static HOPELESS_ARGUMENT: Lint = Lint {
    code: "DE211",
    name: "hopeless-argument",
    severity: Severity::Error,
    summary: "A function is called with a constant with which no row could have an answer.",
    why: "At run time functions give NULL instead of failing, because one crafted row must not stop a rule. A \
          constant that is no path, network, moment or format would give NULL for every row, so the rule could \
          never match: it is refused when it is compiled.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE cidr_contains('10.0.0.0/99', name)"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE cidr_contains('10.0.0.0/8', name)"),
    check: Check::Compiler,
};
