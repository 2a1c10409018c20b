//! `docs/tables.md`: every table with its columns.

use std::fmt::Write;

use super::cell;
use crate::tables::lineage::DEPTH_MAX;
use crate::tables::{Catalog, Kind, Table, table_functions};

const HEAD: &str = "\
# Tables

Made from the declarations in `dsl/src/tables/`; `just reference` writes it anew. `daemoneye-cli schema processes` shows the \
same, and `--table NAME=FILE` the tables that files are.

Rules run on the changes of `processes`, `process_starts` and `process_exits`; the other tables are the record of what was, \
to be asked by hand. Every TEXT that comes from a process (its name, path, arguments, directory, environment) may be \
chosen by an attacker: it is shown with its controls made visible, and bytes that are no UTF-8 as `\\xHH`. Passwords and tokens in \
it are replaced before it is stored.

What stands under *notes*:

- **identity**: names one process for its whole life; it tells alerts apart.
- **sample**: changes without the process changing; it is no part of a version. Of past moments there is what `process_samples` says.
- **may be NULL**: there is not always a value.
- **indexed**: the store finds its values without looking at every row.
- **owner**: only the process's own user and root can read it; it is NULL where neither looks.
- **not collected**: no collector reports it yet; it is always NULL.
";

const WRITTEN: &str = "a String takes every write";

pub(super) fn page() -> String {
    let mut out = String::from(HEAD);
    for table in Catalog::builtin().tables() {
        let rows = match table.kind {
            Kind::State => "Rows hold now: they appear, change and leave.",
            Kind::Events => "Rows are things that happened: they are only added.",
            Kind::Records => "Rows are records of a file.",
        };
        write!(out, "\n## {}\n\n{} {rows}\n\n", table.name, table.doc).expect(WRITTEN);
        columns(table, &mut out);
    }
    for (call, table) in table_functions() {
        write!(out, "\n## {}\n\n`{call}`: {}", table.name, table.doc).expect(WRITTEN);
        if call.ends_with("(proc_id)") {
            write!(
                out,
                " It stands in FROM, also behind a table whose process it is asked about: `FROM processes AS p JOIN \
                 {}(p.proc_id) AS a`. A chain of more than {DEPTH_MAX} is cut, and said to be.",
                table.name
            )
            .expect(WRITTEN);
        }
        out.push_str("\n\n");
        columns(&table, &mut out);
    }
    out
}

fn columns(table: &Table, out: &mut String) {
    out.push_str("| column | type | unit | notes | what it holds |\n|---|---|---|---|---|\n");
    for column in &table.columns {
        let notes = column.notes().join(", ");
        let (name, ty, unit) = (&column.name, column.ty, column.unit.unwrap_or_default());
        writeln!(out, "| `{name}` | {ty} | {unit} | {notes} | {} |", cell(&column.doc)).expect(WRITTEN);
    }
}
