use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static BAD_DEDUP_WINDOW: Lint = Lint {
    code: "DE109",
    name: "bad-dedup-window",
    severity: Severity::Error,
    summary: "The time in `@dedup` is not a duration.",
    why: "`@dedup: parent_id for 30m` says which columns together name one occurrence, and for how long it counts \
          up one alert. Durations are written `90s`, `30m`, `12h`, `7d` or `5 minutes`; months and years have no \
          fixed length.",
    fires: Example::File(
        "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
-- @dedup: proc_id for a while
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
-- @dedup: proc_id for 30m
SELECT proc_id FROM processes
",
    ),
    check: Check::Compiler,
};
