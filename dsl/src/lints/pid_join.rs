use super::{Check, Example, Lint, Rows, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};
use crate::expr::{Comparison, Expr, ExprKind};

pub(super) static PID_JOIN: Lint = Lint {
    code: "DE220",
    name: "pid-join",
    severity: Severity::Warning,
    summary: "A process is joined with its parent by pid.",
    why: "The system gives the pid of a process that ended to another one. A join of `ppid` with `pid` then names a \
          parent that never was (a false alert), or loses the real one, because an orphan gets a new `ppid` (a missed \
          alert). `proc_id` names one process for its whole life, and `parent_id` is the parent's at creation.",
    fires: Example::Statement(
        "SELECT c.proc_id, p.name AS parent\nFROM processes AS c\nJOIN processes AS p ON p.pid = c.ppid",
    ),
    silent: Example::Statement(
        "SELECT c.proc_id, p.name AS parent\nFROM processes AS c\nJOIN processes AS p ON p.proc_id = c.parent_id",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for rows in subject.selects().iter().filter(|rows| rows.inputs() > 1) {
        for condition in rows.conditions() {
            condition.walk(&mut |expr| found.extend(joined(subject, rows, expr)));
        }
    }
}

fn joined(subject: &Subject<'_>, rows: &Rows<'_>, expr: &Expr) -> Option<Diagnostic> {
    let ExprKind::Compare { op: Comparison::Equal, left, right, .. } = &expr.kind else { return None };
    let identity = |expr: &Expr| {
        let (table, column) = rows.column(expr)?;
        let of = match &*column.name {
            "pid" => "proc_id",
            "ppid" => "parent_id",
            _ => return None,
        };
        let span = expr.place.span();
        let qualifier = subject.text(span.clone()).rsplit_once('.').map(|(table, _)| format!("{table}."));
        let edit = (span, format!("{}{of}", qualifier.unwrap_or_default()));
        table.table.name.starts_with("process").then_some((of, edit))
    };
    let ((one, left_edit), (other, right_edit)) = (identity(left)?, identity(right)?);
    (one != other).then(|| {
        PID_JOIN
            .at(expr.place.span(), "parent is joined by pid, and pids are reused")
            .label("a new process may have taken this pid")
            .note("`parent_id` names one process for its whole life; `ppid` does not")
            .fix("join on the process's identity", vec![left_edit, right_edit], Safety::ChangesMeaning)
    })
}
