use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static DEDUP_COLUMN_MISSING: Lint = Lint {
    code: "DE118",
    name: "dedup-column-missing",
    severity: Severity::Error,
    summary: "`@dedup` names a column that the query does not return.",
    why: "The key of an alert is made of values of the matching row. Return the column too; an alias counts as its \
          name.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
-- @dedup: parent_id for 1h
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
-- @dedup: parent_id for 1h
SELECT proc_id, parent_id FROM processes
",
    ),
    check: Check::Compiler,
};
