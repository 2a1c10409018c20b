use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static ALLOWANCE_WITHOUT_REASON: Lint = Lint {
    code: "DE011",
    name: "allowance-without-reason",
    severity: Severity::Warning,
    summary: "A comment allows a finding and does not say why.",
    why: "Whoever reads the rule next has to know whether the reason still holds. Until there is one, the comment \
          allows nothing. Write it behind the parenthesis: `-- lint: allow(DE231) one value for each name is \
          enough here`.",
    fires: Example::Statement("-- lint: allow(DE231)\nSELECT name, pid, count(*) FROM processes GROUP BY name"),
    silent: Example::Statement(
        "-- lint: allow(DE231) one pid of each name is enough\nSELECT name, pid, count(*) FROM \
        processes\nGROUP BY name",
    ),
    check: Check::Compiler,
};
