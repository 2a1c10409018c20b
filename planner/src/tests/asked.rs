//! One statement, asked once: rows as they come, LIMIT that stops early, and a time that is over.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::time::Duration;

use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

use crate::batch::batch;
use crate::{Ended, Patience, ask, plan};

const PART: i64 = 100;

/// A history of parts of [`PART`] versions; counts those that were read.
struct Parts {
    parts: i64,
    read: Cell<i64>,
}

impl Reader for Parts {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        for part in 0..self.parts {
            if scan.goes_on.is_some_and(|goes_on| !goes_on()) {
                break;
            }
            self.read.set(self.read.get() + 1);
            let columns = scan.columns.iter().map(|at| {
                let column = &scan.table.columns[*at];
                column.ty.array((0..PART).map(|row| match &*column.name {
                    "pid" => Value::Integer(part * PART + row),
                    "name" => Value::Text(format!("p{}", row % 3)),
                    _ => Value::Null,
                }))
            });
            if each(batch(columns.collect(), 100)).is_break() {
                break;
            }
        }
        Ok(Completeness::default())
    }

    fn process(&self, _: &str) -> Result<Option<StoredProcess>, Error> {
        Ok(None)
    }
}

thread_local! {
    static TICKS: Cell<u64> = const { Cell::new(0) };
}

/// A clock by which every look takes a millisecond.
fn ticking() -> Duration {
    TICKS.set(TICKS.get() + 1);
    Duration::from_millis(TICKS.get())
}

/// The rows of each part, how it ended, and the parts that were read.
fn asked(sql: &str, parts: i64, limit: Option<u64>) -> (Vec<usize>, Ended, i64) {
    let checked = check_query(&Source::query(sql), &Catalog::builtin());
    let plan = plan(&checked.rule.unwrap_or_else(|| panic!("{sql}: {:?}", checked.diagnostics)).query);
    let reader = Parts { parts, read: Cell::new(0) };
    let patience = limit.map(|millis| Patience { clock: ticking, limit: Duration::from_millis(millis), stop: None });
    let mut given = Vec::new();
    let ended = ask(&plan, &reader, Timestamp(0), patience.as_ref(), &mut |rows| {
        given.push(rows.num_rows());
        ControlFlow::Continue(())
    });
    (given, ended.unwrap(), reader.read.get())
}

#[test]
fn rows_come_part_by_part() {
    let (given, ended, _) = asked("SELECT pid * 2 FROM processes_history WHERE pid % 2 = 0", 5, None);
    assert_eq!(given, [50; 5]);
    assert_eq!(ended, Ended { completeness: Completeness::default(), before_limit: None });
}

#[test]
fn a_limit_stops_when_it_knows_that_there_are_more() {
    let (given, ended, read) = asked("SELECT pid FROM processes_history LIMIT 120", 50, None);
    assert_eq!((given.iter().sum::<usize>(), ended.before_limit, read), (120, None, 3));
    let (given, ended, _) = asked("SELECT pid FROM processes_history LIMIT 100", 1, None);
    assert_eq!((given.iter().sum::<usize>(), ended.before_limit), (100, Some(100)));
    // The first in an order are known when all are.
    let (given, ended, read) = asked("SELECT pid FROM processes_history ORDER BY pid DESC LIMIT 3", 50, None);
    assert_eq!((given.iter().sum::<usize>(), ended.before_limit, read), (3, Some(5_000), 50));
}

#[test]
fn what_takes_too_long_ends_with_what_it_has() {
    for (sql, some) in [
        ("SELECT pid FROM processes_history", true),
        ("SELECT pid FROM processes_history WHERE pid < 0", false),
        ("SELECT name, count(*) FROM processes_history GROUP BY name", false),
        ("SELECT a.pid FROM processes_history a JOIN processes_history b ON a.pid < b.pid", false),
    ] {
        let (given, ended, read) = asked(sql, 1_000, Some(20));
        assert_eq!(ended.completeness.reasons, [Reason::StatementTimedOut], "{sql}");
        assert_eq!(!given.is_empty(), some, "{sql}");
        assert!(read < 2_000, "{sql}: {read}");
    }
}
