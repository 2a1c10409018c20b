use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static MALFORMED_TAG: Lint = Lint {
    code: "DE113",
    name: "malformed-tag",
    severity: Severity::Error,
    summary: "A tag is not written as tags are.",
    why: "Tags are lower case and have a dot: `attack.t1059.004` for a technique, `attack.execution` for a tactic, \
          `cve.2021.44228`, or a namespace of your own. Coverage is counted by them, so a tag that is spelled in \
          two ways would count twice.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.T1059.004
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
-- @tags: attack.execution, attack.t1059.004
-- @platform: linux
SELECT proc_id FROM processes
",
    ),
    check: Check::Compiler,
};
