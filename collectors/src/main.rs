//! `procmond`: watches processes and publishes what it sees, nothing else.
//!
//! Usually the agent starts it, with the privileges that reading other users' processes takes; it judges nothing and
//! writes nothing. `--once` shows on standard output what it would publish.

mod once;
mod publish;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser, ValueEnum, error::ErrorKind};
use daemoneye_collectors::redact::Redactor;
use daemoneye_dsl::types::{display_interval, parse_interval};
use tracing::level_filters::LevelFilter;

const INTERVAL_MIN: Duration = Duration::from_millis(10);
const INTERVAL_MAX: Duration = Duration::from_hours(24);

/// Exit codes, the same for all programs of DaemonEye.
const USAGE: u8 = 2;
const INCOMPLETE: u8 = 3;

/// Watches the processes of this system and publishes a full snapshot of them at an interval.
///
/// Run as root it sees everything; as another user it sees the programs, working folders and environments of that
/// user's processes only, and says so with each snapshot.
#[derive(Debug, Parser)]
#[command(name = "procmond", version, max_term_width = 100, after_help = EXAMPLES)]
struct Options {
    /// Print one snapshot as NDJSON, one object for each process, and exit
    #[arg(long, conflicts_with_all = ["socket", "interval", "exit_with_stdin"])]
    once: bool,
    /// Publish to the agent's broker that listens at this socket
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Time from one snapshot to the next, from 10ms to 1 day, such as 500ms, 5s or 1m 30s
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = interval)]
    interval: Duration,
    /// Stop when standard input is closed; what starts procmond keeps the other end open for as long as it lives
    #[arg(long)]
    exit_with_stdin: bool,
    /// What becomes of secrets in command lines and environments
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Redact::All)]
    redact: Redact,
    /// A flag or variable whose value is a secret too, such as door-code; may be given again
    #[arg(long, value_name = "NAME")]
    redact_name: Vec<String>,
    /// Say more on standard error; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Say only what went wrong; twice for only what stops it
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Redact {
    /// Each is replaced by a token, the same for the same secret on this host
    All,
    /// They are published as they are; for a laboratory
    None,
}

const EXAMPLES: &str = "\
Examples:
  What is running now, and which programs have been deleted from the disk:
    procmond --once | jq 'select(.file_exists == false) | {pid, executable_path}'

  Publish to the agent every 5 seconds:
    procmond --socket /run/daemoneye/broker.sock --interval 5s

Exit codes:
  0  done, or stopped by SIGINT, SIGTERM or the end of standard input
  2  a flag is wrong, or the system's list of processes cannot be read
  3  with --once: something is missing from the snapshot that this user may see";

fn main() -> ExitCode {
    let options = Options::parse();
    start_logging(&options);
    let redactor = redactor(&options);
    let done = match &options.socket {
        _ if options.once => once::run(redactor, options.quiet == 0),
        Some(socket) => {
            publish::run(socket, redactor, options.interval, options.exit_with_stdin).map(|()| ExitCode::SUCCESS)
        }
        None => {
            let next = "nothing to do: give --socket PATH to publish, or --once to print one snapshot";
            Options::command().error(ErrorKind::MissingRequiredArgument, next).exit()
        }
    };
    done.unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::from(USAGE)
    })
}

fn redactor(options: &Options) -> Redactor {
    let redactor = match options.redact {
        Redact::All => Redactor::of_this_host(),
        Redact::None => {
            tracing::warn!("secrets in command lines and environments are not redacted");
            Redactor::off()
        }
    };
    let with_names = redactor.also(&options.redact_name);
    with_names.unwrap_or_else(|error| Options::command().error(ErrorKind::ValueValidation, error).exit())
}

fn start_logging(options: &Options) {
    let level = match i16::from(options.verbose) - i16::from(options.quiet) {
        2.. => LevelFilter::TRACE,
        1 => LevelFilter::DEBUG,
        0 => LevelFilter::INFO,
        -1 => LevelFilter::WARN,
        _ => LevelFilter::ERROR,
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_ansi(false).init();
}

fn interval(text: &str) -> Result<Duration, String> {
    let micros = parse_interval(text).ok_or("not a duration; write a number and a unit, such as 200ms, 30s or 5m")?;
    let interval = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    if (INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
        return Ok(interval);
    }
    Err(format!("{} is out of range; 10ms is the shortest and 1d the longest interval", display_interval(micros)))
}
