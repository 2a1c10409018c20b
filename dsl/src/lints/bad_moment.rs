use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_MOMENT: Lint = Lint {
    code: "DE206",
    name: "bad-moment",
    severity: Severity::Error,
    summary: "A text is not the moment or the duration that is needed here.",
    why: "Moments are written '2026-11-22 10:30:00' (UTC, or with an offset), durations INTERVAL '5 minutes'. A \
          text that is neither would compare as unknown with every row. `FOR SYSTEM_TIME` takes a moment that is \
          the same for all rows.",
    fires: Example::Statement("SELECT proc_id FROM processes WHERE start_time > 'yesterday'"),
    silent: Example::Statement("SELECT proc_id FROM processes WHERE start_time > now() - INTERVAL '1 day'"),
    check: Check::Compiler,
};
