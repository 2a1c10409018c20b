use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static TITLE_COLUMN_MISSING: Lint = Lint {
    code: "DE115",
    name: "title-column-missing",
    severity: Severity::Error,
    summary: "The title names a column that the query does not return.",
    why: "`{name}` in `@title` is replaced by that column of the matching row, and would be empty in every alert. \
          Add the column to the SELECT list, or name one that is there.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: {nmae} has started
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
SELECT proc_id, name FROM processes
",
    ),
    silent: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: {name} has started
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
SELECT proc_id, name FROM processes
",
    ),
    check: Check::Compiler,
};
