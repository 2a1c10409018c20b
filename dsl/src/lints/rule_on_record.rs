use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static RULE_ON_RECORD: Lint = Lint {
    code: "DE311",
    name: "rule-on-record",
    severity: Severity::Error,
    summary: "A rule reads a table that no collector reports changes of.",
    why: "Rules run on what changed since the last snapshot, and changes come for `processes`, `process_starts` \
          and `process_exits`. The other tables are the record of what was, whose rows end without a change that \
          anybody reports: ask them by hand with `query`, or hunt in files.",
    fires: Example::Statement("SELECT proc_id, seen_to FROM processes_history"),
    silent: Example::Statement("SELECT proc_id, observed_at FROM process_exits"),
    check: Check::Compiler,
};
