use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_ID: Lint = Lint {
    code: "DE107",
    name: "bad-id",
    severity: Severity::Error,
    summary: "The id is not a UUID.",
    why: "An id that people think up will be thought up twice. `uuidgen` prints one; or remove the line and let \
          `lint --fix` write one.",
    fires: Example::File(
        "\
-- @id: my-first-rule
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
