use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static DUPLICATE_RULE: Lint = Lint {
    code: "DE103",
    name: "duplicate-rule",
    severity: Severity::Error,
    summary: "Two rules have the same id or the same name.",
    why: "Alerts are kept by id, and people speak of rules by name, the file's without `.sql`. The first rule \
          keeps it and the other does not run. Whoever copies a rule to start a new one has to give it an id of \
          its own.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000001
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
