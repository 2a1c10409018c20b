use std::collections::BTreeSet;

use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::ExprKind;

pub(super) static ARGV_ONLY: Lint = Lint {
    code: "DE701",
    name: "argv-only",
    severity: Severity::Note,
    summary: "The rule looks at nothing but the arguments.",
    why: "A process chooses its arguments, and may rewrite them while it runs. A rule that asks for them alone is escaped \
          by another spelling, and hit by everybody who writes about it: `grep xmrig` matches what looks for `xmrig`. Ask \
          for the program, its parent or its user too.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE command_line LIKE '%--donate-level%'"),
    silent: Example::Statement(
        "SELECT proc_id, name\nFROM processes\nWHERE command_line LIKE '%--donate-level%' AND executable_path LIKE '/tmp/%'",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let (mut read, mut first) = (BTreeSet::new(), None);
    for rows in subject.selects() {
        if rows.inputs() > 1 {
            return;
        }
        for condition in rows.conditions() {
            condition.walk(&mut |expr| {
                let ExprKind::Column { .. } = expr.kind else { return };
                if let Some((_, column)) = rows.column(expr) {
                    read.insert(&*column.name);
                    first.get_or_insert(expr.place.span());
                }
            });
        }
    }
    if let (Some(first), true) =
        (first, !read.is_empty() && read.iter().all(|it| matches!(*it, "command_line" | "argv")))
    {
        let finding = ARGV_ONLY.at(first, "the rule looks at nothing but the arguments, which a process chooses");
        found.push(finding.help("ask for `executable_path`, the parent or the user too"));
    }
}
