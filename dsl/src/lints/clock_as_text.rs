use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};
use crate::expr::ExprKind;
use crate::types::Value;

pub(super) static CLOCK_AS_TEXT: Lint = Lint {
    code: "DE304",
    name: "clock-as-text",
    severity: Severity::Warning,
    summary: "The time of evaluation is asked for as text or number instead of as `now()`.",
    why: "`datetime('now')`, `unixepoch('now')` and their like give text or a number of whole seconds. Compared with \
          a TIMESTAMP they lose its fraction and hide from the engine how long rows have to be kept. `now()` is the moment \
          of the snapshot, and `now() - INTERVAL '5 minutes'` one that the engine understands.",
    fires: Example::Statement(
        "SELECT proc_id, name FROM process_starts WHERE unixepoch(start_time) > unixepoch('now') - 300",
    ),
    silent: Example::Statement(
        "SELECT proc_id, name FROM process_starts WHERE start_time > now() - INTERVAL '5 minutes'",
    ),
    check: Check::Rule(check),
};

const CLOCKS: [&str; 6] = ["date", "time", "datetime", "julianday", "strftime", "unixepoch"];

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for rows in subject.selects() {
        for expr in rows.over_from() {
            expr.walk(&mut |expr| {
                let ExprKind::Call { function, args, .. } = &expr.kind else { return };
                let is_now = |value: &Value| value.as_text().is_some_and(|text| text.eq_ignore_ascii_case("now"));
                let asks =
                    args.iter().any(|arg| matches!(arg.kind, ExprKind::Now) || arg.as_literal().is_some_and(is_now));
                if asks && CLOCKS.contains(&function.name) {
                    let message = format!("`{}` gives the time of evaluation in whole seconds", function.name);
                    let finding = CLOCK_AS_TEXT.at(expr.place.span(), message);
                    found.push(finding.help("write now(), and now() - INTERVAL '5 minutes' for a window"));
                }
            });
        }
    }
}
