use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static TAB_IN_HEADER: Lint = Lint {
    code: "DE104",
    name: "tab-in-header",
    severity: Severity::Error,
    summary: "A tab follows `--` in the header.",
    why: "Two spaces make a line the continuation of the annotation above, one makes it a comment; a tab looks \
          like either and is neither. Write spaces.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @tags: attack.execution
-- @platform: linux
-- @description: An example
--\tof two lines.
SELECT proc_id FROM processes
",
    ),
    silent: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @tags: attack.execution
-- @platform: linux
-- @description: An example
--  of two lines.
SELECT proc_id FROM processes
",
    ),
    check: Check::Compiler,
};
