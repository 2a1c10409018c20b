//! `procmond`: watches processes and publishes what it sees, nothing else.
//!
//! Usually the agent starts it, with the privileges that reading other users' processes takes; it judges nothing and
//! writes nothing. `--once` shows on standard output what it would publish.

mod once;
mod publish;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, error::ErrorKind};
use daemoneye_broker::{self as broker, Credential};
use daemoneye_collectors::redact::Redactor;
use daemoneye_dsl::diagnostic::Style;
use daemoneye_settings::choices::{Encryption, Redact};
use daemoneye_settings::logging::Logging;
use daemoneye_settings::{Collector, Files, Flags, Settings, Sources, flag};

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
    #[arg(long, value_name = "PATH", value_parser = flag("socket"))]
    socket: Option<String>,
    /// The file with the agent's key; `-` reads it from the first line of standard input [default: agent.key beside
    /// the socket]
    #[arg(long, value_name = "FILE", requires = "socket")]
    key: Option<PathBuf>,
    /// Time from one snapshot to the next, from 10ms to 1 day, such as 500ms, 5s or 1m 30s [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = flag("collector.interval"), allow_hyphen_values = true)]
    interval: Option<String>,
    /// Stop when standard input is closed; what starts procmond keeps the other end open for as long as it lives
    #[arg(long)]
    exit_with_stdin: bool,
    /// What becomes of secrets in command lines and environments [default: all]
    #[arg(long, value_name = "WHAT", value_parser = flag("collector.redact"))]
    redact: Option<String>,
    /// A flag or variable whose value is a secret too, such as door-code; may be given again
    #[arg(long, value_name = "NAME", value_parser = flag("collector.redact_names"), allow_hyphen_values = true)]
    redact_name: Vec<String>,
    /// Read settings from this file and no other
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Read no file of settings: flags and the environment say all
    #[arg(long, conflicts_with = "config")]
    no_config: bool,
    /// Say more on standard error; twice for everything
    #[arg(short, long, action = ArgAction::Count)]
    verbose: u8,
    /// Say only what went wrong; twice for only what stops it
    #[arg(short, long, action = ArgAction::Count, conflicts_with = "verbose")]
    quiet: u8,
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

impl Options {
    /// What the flags say, as the last layer of the settings.
    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags.text("socket", "--socket", self.socket.as_deref());
        flags.text("collector.interval", "--interval", self.interval.as_deref());
        flags.text("collector.redact", "--redact", self.redact.as_deref());
        flags.list("collector.redact_names", "--redact-name", &self.redact_name);
        let (flag, level) = match i16::from(self.verbose) - i16::from(self.quiet) {
            2.. => ("--verbose", Some("trace")),
            1 => ("--verbose", Some("debug")),
            0 => ("", None),
            -1 => ("--quiet", Some("warn")),
            _ => ("--quiet", Some("error")),
        };
        flags.text("log.level", flag, level);
        flags
    }

    fn credential(&self, settings: &Settings, socket: &Path) -> anyhow::Result<Credential> {
        Ok(match &self.key {
            Some(path) if path.as_os_str() == "-" => Credential::Spawned(publish::given_key()?),
            Some(path) => Credential::File(path.clone()),
            None => Credential::File(settings.key_to(socket)),
        })
    }

    fn files(&self) -> Files {
        match &self.config {
            Some(path) => Files::Named(path.clone()),
            None if self.no_config => Files::None,
            None => Files::Usual,
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let settings = match Sources::here(options.files(), options.flags()).load() {
        Ok(effective) => effective,
        Err(problems) => {
            let style = Style { colour: std::io::stderr().is_terminal(), ..Style::default() };
            for problem in &problems.0 {
                let _nobody_reads = writeln!(std::io::stderr(), "{}\n", problem.render(style));
            }
            return ExitCode::from(USAGE);
        }
    };
    Logging::start(&settings.settings.log);
    settings.remarks.iter().for_each(|remark| tracing::warn!("{remark}"));
    let settings = settings.settings;
    let redactor = redactor(&settings.collector);
    let done = match &settings.socket {
        _ if options.once => once::run(redactor, options.quiet == 0),
        Some(socket) => options.credential(&settings, socket).and_then(|key| {
            let encryption = match settings.encryption {
                Encryption::Off => broker::Encryption::IfAsked,
                Encryption::Required => broker::Encryption::Required,
            };
            publish::run((socket, key, encryption), redactor, settings.collector.interval, options.exit_with_stdin)?;
            Ok(ExitCode::SUCCESS)
        }),
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

fn redactor(settings: &Collector) -> Redactor {
    let redactor = match settings.redact {
        Redact::All => Redactor::of_this_host(),
        Redact::None => {
            tracing::warn!("secrets in command lines and environments are not redacted");
            Redactor::off()
        }
    };
    let with_names = redactor.also(&settings.redact_names);
    with_names.unwrap_or_else(|error| Options::command().error(ErrorKind::ValueValidation, error).exit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Options::command().debug_assert();
    }
}
