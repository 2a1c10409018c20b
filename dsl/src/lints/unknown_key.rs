use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_KEY: Lint = Lint {
    code: "DE102",
    name: "unknown-key",
    severity: Severity::Error,
    summary: "An annotation has a key that the header does not know.",
    why: "A misspelt key would be passed over, and what it says would be missing from every alert. The keys are \
          listed in the message. An ordinary comment has no `@`.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
-- @levle: low
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
