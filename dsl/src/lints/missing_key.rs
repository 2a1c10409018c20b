use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static MISSING_KEY: Lint = Lint {
    code: "DE106",
    name: "missing-key",
    severity: Severity::Error,
    summary: "The header lacks something that every rule needs.",
    why: "Title, level, status, description, tags and platform are in every alert or decide where the rule runs: \
          whoever gets the alert at night has nothing else to go by.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @tags: attack.execution
-- @platform: linux
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
