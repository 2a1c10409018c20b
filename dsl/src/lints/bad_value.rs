use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_VALUE: Lint = Lint {
    code: "DE108",
    name: "bad-value",
    severity: Severity::Error,
    summary: "An annotation has a value that its key does not take.",
    why: "`@level`, `@status` and `@platform` take words from a fixed list, spelled in lower case, because they \
          are sorted and filtered by.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: hihg
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
-- @level: high
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    check: Check::Compiler,
};
