use super::{Check, Example, Lint};
use crate::diagnostic::Severity;

pub(super) static UNKNOWN_TABLE: Lint = Lint {
    code: "DE202",
    name: "unknown-table",
    severity: Severity::Error,
    summary: "A table is named that does not exist, or that is out of reach here.",
    why: "A statement can name the tables of the catalog, files given with `--table NAME=FILE`, common table \
          expressions above it, and the aliases of its own and the surrounding FROM. `daemoneye-cli schema` lists \
          the tables. Where a table has an alias, only that is its name.",
    fires: Example::Statement("SELECT proc_id FROM proceses"),
    silent: Example::Statement("SELECT proc_id FROM processes"),
    check: Check::Compiler,
};
