use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::ExprKind;
use crate::tables::Access;

pub(super) static UNCOLLECTED_COLUMN: Lint = Lint {
    code: "DE207",
    name: "uncollected-column",
    severity: Severity::Warning,
    summary: "A column is read that no collector fills on the rule's platforms.",
    why: "The column is declared, so that queries over recorded data may use it, and no collector reports it yet: it is \
          NULL in every row, and a comparison with it is never true. `daemoneye-cli schema TABLE` says what is collected.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE executable_hash = 'd41d8cd98f00b204'"),
    silent: Example::Statement("SELECT proc_id, name FROM processes WHERE executable_path LIKE '/tmp/%'"),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for rows in subject.selects() {
        for expr in rows.over_from() {
            expr.walk(&mut |expr| {
                let ExprKind::Column { .. } = expr.kind else { return };
                let Some((table, column)) = rows.column(expr) else { return };
                if column.access != Access::Uncollected || !expr.place.is_known() {
                    return;
                }
                let message = format!("no collector fills `{}` of `{}` yet", column.name, table.table.name);
                let finding = UNCOLLECTED_COLUMN.at(expr.place.span(), message).label("NULL in every row");
                found.push(finding.help("use a column that is collected, or keep the rule `@status: unsupported`"));
            });
        }
    }
}
