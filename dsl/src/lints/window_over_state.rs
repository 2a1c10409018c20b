use super::moments::{Base, bounded, bounds};
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};

pub(super) static WINDOW_OVER_STATE: Lint = Lint {
    code: "DE302",
    name: "window-over-state",
    severity: Severity::Warning,
    summary: "Starts within a time are counted among the processes that are still alive.",
    why: "`processes` has the processes of the latest snapshot. One that started within the window and is gone already is \
          not among them, so a count over it misses exactly the short-lived ones. `process_starts` has every start that \
          was seen.",
    fires: Example::Statement(
        "SELECT parent_id, count(*) AS started\nFROM processes\nWHERE start_time >= now() - INTERVAL '5 minutes'\n\
         GROUP BY parent_id\nHAVING count(*) > 20",
    ),
    silent: Example::Statement(
        "SELECT parent_id, count(*) AS started\nFROM process_starts\nWHERE start_time >= now() - INTERVAL '5 minutes'\n\
         GROUP BY parent_id\nHAVING count(*) > 20",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for rows in subject.selects().iter().filter(|rows| rows.select.group.is_some()) {
        let bounds = bounds(rows);
        for (at, table) in rows.numbered_tables() {
            if table.table.name == "processes" && bounded(&bounds, Base::Now, Base::Input(at)) {
                let message = "processes that started in the window and have ended are not counted";
                let edits = vec![(table.place.span(), "process_starts".to_owned())];
                found.push(WINDOW_OVER_STATE.at(table.place.span(), message).label("only those that are alive").fix(
                    "count starts",
                    edits,
                    Safety::ChangesMeaning,
                ));
            }
        }
    }
}
