use super::moments::{Base, bounded, bounds};
use super::{Check, Example, Lint, Rows, Subject};
use crate::diagnostic::{Diagnostic, Severity};
use crate::tables::Kind;

/// Where the words of a SELECT do not show it, found by the planner, which knows what it holds.
pub static UNBOUNDED_STATE: Lint = Lint {
    code: "DE301",
    name: "unbounded-state",
    severity: Severity::Error,
    summary: "A rule has to remember events for ever.",
    why: "Rows of `process_starts` and `process_exits` are only ever added. A join of two of them, a GROUP BY or DISTINCT \
          over one, has to keep every row that a later one could still meet. Say for how long: two bounds between the \
          times of the joined rows (`later.start_time > first.start_time AND later.start_time <= first.start_time + \
          INTERVAL '2 minutes'`), or `start_time >= now() - INTERVAL '5 minutes'`.",
    fires: Example::Statement(
        "SELECT run.proc_id, get.name AS downloader\nFROM process_starts AS get\nJOIN process_starts AS run\n  \
         ON run.session_id = get.session_id AND run.start_time > get.start_time\nWHERE get.name = 'curl'",
    ),
    silent: Example::Statement(
        "SELECT run.proc_id, get.name AS downloader\nFROM process_starts AS get\nJOIN process_starts AS run\n  \
         ON run.session_id = get.session_id AND run.start_time > get.start_time\n  \
         AND run.start_time <= get.start_time + INTERVAL '2 minutes'\nWHERE get.name = 'curl'",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    if subject.header().is_some() {
        found.extend(subject.selects().iter().filter_map(unbounded));
    }
}

fn unbounded(rows: &Rows<'_>) -> Option<Diagnostic> {
    let events: Vec<_> = rows.numbered_tables().filter(|(_, table)| table.table.kind == Kind::Events).collect();
    let bounds = bounds(rows);
    let remembers = rows.select.group.is_some() || rows.select.distinct || !rows.select.windows.is_empty();
    let never_leaves = |at: usize| {
        let others = events.iter().map(|(other, _)| *other).filter(|other| *other != at);
        let meets = others.map(Base::Input).chain(remembers.then_some(Base::Now));
        meets.into_iter().any(|from| !bounded(&bounds, from, Base::Input(at)))
    };
    let (_, table) = events.iter().find(|(at, _)| never_leaves(*at))?;
    let message = format!("rows of `{}` would have to be remembered for ever", table.alias);
    let finding = UNBOUNDED_STATE.at(table.place.span(), message).label("no condition says how long one is needed");
    Some(if remembers || events.len() < 2 {
        finding.help(format!("add a window: `{}.start_time >= now() - INTERVAL '5 minutes'`", table.alias))
    } else {
        finding.help("bound the time between the joined rows from both sides, by an INTERVAL")
    })
}
