//! Why: SQL that others wrote for SQLite means the same here. Own files hold what must stay; the large corpora, which
//! are not part of the project, are sampled where they are present. `LOGIC=whole` runs them whole, as does the program
//! `sqllogictest`.

use std::path::{Path, PathBuf};

use daemoneye_tests::logic::{self, Extent, Report};
use daemoneye_tests::project;

/// Of this many SELECTs in a large file, one is asked.
const SAMPLE: usize = 25;
/// A file is large from here on.
const LARGE_LEN: u64 = 100_000;

/// What differs on purpose, by a part of its SQL, and why. One that no longer differs does not belong here.
const DEPARTURES: [(&str, &str); 4] = [
    (
        "|| char(0) ||",
        "NUL ends a text in SQLite's LIKE, GLOB and substr; here it is a character, or it would hide the rest",
    ),
    ("min(1,5.0)", "INTEGER beside REAL has the one type REAL"),
    ("min(5.0,1)", "INTEGER beside REAL has the one type REAL"),
    ("quote(CAST('2.042747795102219097e+05'", "a REAL has the fewest digits that read back"),
];

fn run(folder: &Path) -> Report {
    let report = ran(folder);
    assert_passes(&report);
    report
}

fn assert_passes(report: &Report) {
    let failed: Vec<_> = report.failed.iter().map(|it| format!("{}: {}\n  {}", it.place, it.sql, it.why)).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn ran(folder: &Path) -> Report {
    let mut total = Report::default();
    for path in logic::files(folder).unwrap() {
        let large = path.metadata().unwrap().len() >= LARGE_LEN;
        let whole = std::env::var_os("LOGIC").is_some_and(|extent| extent == "whole");
        let extent = if large && !whole { Extent::OneIn(SAMPLE) } else { Extent::Whole };
        total.merge(logic::run(&path, extent).unwrap());
    }
    total
}

/// The corpora lie beside the project; they are nobody's who clones it.
#[expect(clippy::print_stderr, reason = "a test that does nothing says so")]
fn corpus(name: &str) -> Option<PathBuf> {
    let folder = project().parent()?.join("shared/corpora").join(name);
    if !folder.is_dir() {
        eprintln!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

#[test]
fn the_project_s_own_files_pass() {
    let report = run(&project().join("tests/logic"));
    assert!(report.passed > 100, "{report}");
    assert_eq!((report.refused_count(), report.not_applicable_count()), (0, 0), "{report}");
}

#[test]
fn sqlite_s_files_pass() {
    let Some(folder) = corpus("sqllogictest") else { return };
    let report = run(&folder);
    assert!(report.refused_count() * 50 < report.passed, "{report}: {:?}", report.refused);
}

#[test]
fn turso_s_files_pass() {
    let Some(folder) = corpus("turso") else { return };
    let mut report = ran(&folder);
    for (sql, why) in DEPARTURES {
        let before = report.failed.len();
        report.failed.retain(|failed| !failed.sql.contains(sql));
        assert!(report.failed.len() < before, "no difference any more where {why}");
    }
    assert_passes(&report);
    assert!(report.passed > 900, "{report}");
}
