use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static ANNOTATION_BELOW_SQL: Lint = Lint {
    code: "DE105",
    name: "annotation-below-sql",
    severity: Severity::Error,
    summary: "An annotation stands below the SQL.",
    why: "The header is the comment block at the top of the file; what stands further down is an ordinary comment \
          that looks like an annotation, and its author believes it holds. `lint --fix` moves it up.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
SELECT proc_id FROM processes
-- @platform: linux
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
