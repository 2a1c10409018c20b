use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static MISSING_ID: Lint = Lint {
    code: "DE101",
    name: "missing-id",
    severity: Severity::Error,
    summary: "The header has no `@id`.",
    why: "Alerts and their deduplication are kept by the rule's id, so that a rule can be renamed or moved and \
          stays the same rule. It is a UUID, given once and never used for another rule. `lint --fix` writes one.",
    fires: Example::File(
        "\
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
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
