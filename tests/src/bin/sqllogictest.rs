//! Runs sqllogictest and turso test files against the engine.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use daemoneye_tests::logic::{self, Extent, Report};

/// Runs test files that were written for SQLite against DaemonEye's SELECT.
///
/// CREATE, INSERT, UPDATE, DELETE and DROP in a file are carried out by this program; every SELECT is answered by the
/// engine. For each file: how many passed, failed, were refused (with the reasons), and do not apply.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Files (.sqltest: turso's; others: sqllogictest), or folders with .test, .slt and .sqltest files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show at most so many failures of each file
    #[arg(long, value_name = "N", default_value_t = 10)]
    failures: usize,
    /// Show the first statement of each reason, and the slowest SELECT
    #[arg(long)]
    cases: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    // A panic is caught, counted as a failure and shown with its statement.
    std::panic::set_hook(Box::new(|_| {}));
    let mut sound = true;
    let mut total = Report::default();
    let mut files = Vec::new();
    for path in &args.files {
        match logic::files(path) {
            Ok(found) => files.extend(found),
            Err(error) => sound = complain(&error),
        }
    }
    for path in &files {
        match logic::run(path, Extent::Whole) {
            Ok(report) => {
                print_file(path, &report, &args, files.len() == 1);
                total.merge(report);
            }
            Err(error) => sound = complain(&error),
        }
    }
    if files.len() > 1 {
        print_line(&format!("all {} files: {total}", files.len()));
        print_reasons(&total, args.cases);
    }
    match (sound, total.failed.is_empty()) {
        (false, _) => ExitCode::from(2),
        (true, false) => ExitCode::FAILURE,
        (true, true) => ExitCode::SUCCESS,
    }
}

#[expect(clippy::print_stderr, reason = "a message of a program")]
fn complain(error: &anyhow::Error) -> bool {
    eprintln!("error: {error:#}");
    false
}

#[expect(clippy::print_stdout, reason = "the answer of a program")]
fn print_line(line: &str) {
    println!("{line}");
}

fn print_file(path: &Path, report: &Report, args: &Args, alone: bool) {
    print_line(&format!("{}: {report}", path.display()));
    for failure in report.failed.iter().take(args.failures) {
        let sql = failure.sql.replace('\n', " ");
        print_line(&format!("  failed at {}: {sql}\n    {}", failure.place, failure.why));
    }
    if let (true, Some((time, place))) = (args.cases, &report.slowest) {
        print_line(&format!("  slowest: {} ms at {place}", time.as_millis()));
    }
    if alone || args.cases {
        print_reasons(report, args.cases);
    }
}

fn print_reasons(report: &Report, cases: bool) {
    for (what, reasons) in [("refused", &report.refused), ("not applicable", &report.not_applicable)] {
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.count));
        for (reason, known) in reasons {
            print_line(&format!("  {what} {:>5}  {reason}", known.count));
            if cases {
                print_line(&format!("                 {}", known.first.replace('\n', " ")));
            }
        }
    }
}
