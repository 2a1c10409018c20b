use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static NOBODY_TO_ASK: Lint = Lint {
    code: "DE313",
    name: "nobody-to-ask",
    severity: Severity::Error,
    summary: "AUTO JOIN names a table that no collector owns.",
    why: "AUTO JOIN asks the collector that a table comes from. The record (`processes_history`, `alerts`, …) and the records of \
          files come from none: an ordinary JOIN reads them.",
    fires: Example::Statement(
        "SELECT p.proc_id, a.title\nFROM processes AS p\nAUTO JOIN alerts AS a ON a.title = p.name",
    ),
    silent: Example::Statement(
        "SELECT p.proc_id, c.name AS child\nFROM processes AS p\nJOIN processes AS c ON c.parent_id = p.proc_id",
    ),
    check: Check::Compiler,
};
