//! Runs sqllogictest and turso test files against the engine.

use std::path::PathBuf;
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
    /// Files (.test, .slt: sqllogictest; .sqltest: turso), or folders with them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Show at most so many failures of each file
    #[arg(long, value_name = "N", default_value_t = 10)]
    failures: usize,
    /// Show the first statement of each reason, and the slowest SELECT
    #[arg(long)]
    cases: bool,
}

#[expect(clippy::print_stdout, reason = "the answer of a program")]
fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    // A panic is caught, counted as a failure and shown with its statement.
    std::panic::set_hook(Box::new(|_| {}));
    let mut total = Report::default();
    let mut files = Vec::new();
    for path in &args.files {
        files.extend(logic::files(path)?);
    }
    for path in &files {
        let report = logic::run(path, Extent::Whole)?;
        println!("{}: {report}", path.display());
        for failure in report.failed.iter().take(args.failures) {
            println!("  failed at {}: {}\n    {}", failure.place, failure.sql.replace('\n', " "), failure.why);
        }
        if let (true, Some((time, place))) = (args.cases, &report.slowest) {
            println!("  slowest: {} ms at {place}", time.as_millis());
        }
        if files.len() == 1 || args.cases {
            print_reasons(&report, args.cases);
        }
        total.merge(report);
    }
    if files.len() > 1 {
        println!("all {} files: {total}", files.len());
        print_reasons(&total, args.cases);
    }
    Ok(if total.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[expect(clippy::print_stdout, reason = "the answer of a program")]
fn print_reasons(report: &Report, cases: bool) {
    for (what, reasons) in [("refused", &report.refused), ("not applicable", &report.not_applicable)] {
        let mut reasons: Vec<_> = reasons.iter().collect();
        reasons.sort_by_key(|(_, cases)| std::cmp::Reverse(cases.count));
        for (reason, known) in reasons {
            println!("  {what} {:>5}  {reason}", known.count);
            if cases {
                println!("                 {}", known.first.replace('\n', " "));
            }
        }
    }
}
