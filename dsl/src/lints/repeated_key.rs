use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static REPEATED_KEY: Lint = Lint {
    code: "DE111",
    name: "repeated-key",
    severity: Severity::Error,
    summary: "An annotation is given twice.",
    why: "Only one of them could hold, and which one would be a matter of order. A longer text or list continues \
          on lines that begin with two spaces after the dashes.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
-- @level: high
SELECT proc_id FROM processes
",
    ),
    silent: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    check: Check::Compiler,
};
