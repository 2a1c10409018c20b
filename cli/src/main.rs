//! `daemoneye-cli`: hunt, ask, lint, read alerts.
//!
//! Data goes to standard output and everything else to standard error; every answer says how complete it is. Each
//! subcommand is a file with its arguments and a `run` that gives an [`Ending`], from which the exit code follows.

mod agent;
mod alerts;
mod asked;
mod audit;
mod bag;
mod completions;
mod config;
mod data;
mod explain;
mod file_table;
mod files;
mod fmt;
mod hunt;
mod lint;
mod live;
mod man;
mod output;
mod page;
mod pager;
mod progress;
mod query;
mod record;
mod render;
mod replace;
mod replay;
mod rules;
mod schema;
mod screen;
mod shown;
mod signals;
mod sources;
mod status;
mod store;
mod timeout;
mod tree;
mod watch;

use std::fmt::Display;
use std::io;
use std::panic;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::{anyhow, bail};
use clap::{CommandFactory, FromArgMatches, Parser};
use daemoneye_settings::{Files, Flags, Settings, Sources, flag};

use crate::output::Format;
use crate::screen::{Mark, Screen};

/// Finds suspicious processes with rules that are SQL.
#[derive(Debug, Parser)]
#[command(
    name = "daemoneye-cli",
    version,
    max_term_width = 100,
    arg_required_else_help = true,
    after_help = "`daemoneye-cli hunt` works at once, without root, agent or configuration. More: --help",
    after_long_help = with_exit_codes(EXAMPLES)
)]
struct Arguments {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Hunt(hunt::Hunt),
    Query(query::Query),
    Replay(replay::Replay),
    Record(record::Record),
    Tree(tree::Tree),
    Lint(lint::Lint),
    Fmt(fmt::Fmt),
    Explain(explain::Explain),
    Rules(rules::Rules),
    Schema(schema::Schema),
    Alerts(alerts::Alerts),
    Audit(audit::Audit),
    Status(status::Status),
    Data(data::Data),
    Config(config::Config),
    Completions(completions::Completions),
    Man(man::Manual),
}

impl Command {
    /// Whether it does what settings say.
    fn needs_settings(&self) -> bool {
        !matches!(self, Self::Config(_) | Self::Completions(_) | Self::Man(_))
    }
}

/// What every subcommand takes.
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "For every command")]
pub(crate) struct Globals {
    /// The form of standard output [default: for people on a terminal; rows into a pipe are ndjson]
    #[arg(short, long, value_name = "FORM", value_enum, global = true)]
    output: Option<Format>,
    /// Read settings from this file and no other
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// When to colour; before `DAEMONEYE_COLOR` and files of settings, these before `NO_COLOR` and `CLICOLOR_FORCE`
    #[arg(long, value_name = "WHEN", value_parser = flag("cli.color"), global = true)]
    color: Option<String>,
    /// Draw with ASCII only, as where the locale is not UTF-8
    #[arg(long, global = true)]
    ascii: bool,
    /// Show times in UTC, not in the local zone (JSON always has UTC)
    #[arg(long, global = true)]
    utc: bool,
    /// Show values whole, however wide
    #[arg(long, global = true)]
    full: bool,
    /// With `-o csv`: keep spreadsheets from taking text for formulas, by a quote before = + - @ tab and CR
    #[arg(long, global = true)]
    csv_safe: bool,
    /// Never use `DAEMONEYE_PAGER`, `PAGER` or less for what is longer than the terminal
    #[arg(long, global = true)]
    no_pager: bool,
    /// Say nothing about the answer, only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: what each rule took, every name
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Exit with 0 also when the answer is incomplete
    #[arg(long, global = true)]
    allow_degraded: bool,
    /// What files, environment and flags set.
    #[arg(skip)]
    settings: Settings,
}

impl Globals {
    /// Where settings are said, these flags included.
    fn sources(&self) -> Sources {
        let mut flags = Flags::default();
        flags.text("cli.color", "--color", self.color.as_deref());
        flags.switch("cli.ascii", "--ascii", self.ascii);
        flags.switch("cli.utc", "--utc", self.utc);
        Sources::here(self.config.clone().map_or(Files::Usual, Files::Named), flags)
    }
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli hunt                        what looks wrong here, now?
  daemoneye-cli query \"SELECT pid, name FROM processes WHERE NOT file_exists\"
  daemoneye-cli schema processes            what can be asked?
  daemoneye-cli lint rules/                 are these rules sound?
  daemoneye-cli alerts watch                what does the agent find?
  daemoneye-cli status                      does the agent run, is all well?";

const EXIT_CODES: &str = "\
Exit codes:
  0    done; what permissions hide is stated, and is no failure
  1    lint, fmt --check, config, data check or audit verify found something;
       --exit-code: too
  2    a flag, setting, path, rule or statement is wrong, or cannot be read
  3    the answer is incomplete, as is said; --allow-degraded makes it 0 or 1
  4    the agent cannot be reached
  5    the agent was told, and did not say in time whether it did it
  101  a bug in this program
  130  stopped by Ctrl-C (143 by SIGTERM)";

/// The end of a long help: every command's has the exit codes.
pub(crate) fn with_exit_codes(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// There is an answer.
    Done {
        /// The gate does not let through, or what was asked about exists.
        found: bool,
        /// Something is missing from the answer.
        degraded: bool,
    },
    /// The input is wrong, as was said.
    Refused,
    /// The agent cannot be reached, as was said.
    Unreachable,
    /// The agent did not say what became of an order, as was said.
    Unknown,
}

const FOUND: u8 = 1;
const WRONG_INPUT: u8 = 2;
const INCOMPLETE: u8 = 3;
const UNREACHABLE: u8 = 4;
const UNKNOWN: u8 = 5;
const BUG: u8 = 101;

/// What the last panic said. A panic over a damaged store is caught and becomes an error, so the hook only remembers.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let mut arguments = arguments();
    let Globals { quiet, no_pager, allow_degraded, .. } = arguments.globals;
    let sources = arguments.globals.sources();
    let loaded = sources.load();
    let settings = loaded.as_ref().map_or_else(|_| sources.flags_alone(), |loaded| loaded.settings.clone());
    let screen = Screen::new(&settings.cli, quiet, no_pager);
    // Whatever is wrong with files of settings: what looks at them, and what ships with the program, works.
    if arguments.command.needs_settings() {
        match &loaded {
            Ok(loaded) => loaded.remarks.iter().for_each(|remark| screen.say(Mark::Warning, remark)),
            Err(problems) => {
                screen.draw_problems(problems);
                return ExitCode::from(WRONG_INPUT);
            }
        }
    }
    arguments.globals.settings = settings;
    panic::set_hook(Box::new(|panic| {
        *LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = panic.to_string();
    }));
    match panic::catch_unwind(panic::AssertUnwindSafe(|| run(&arguments, &screen))) {
        Ok(Ok(ending)) => ExitCode::from(code(&ending, allow_degraded)),
        Ok(Err(error)) => {
            screen.say(Mark::Error, &format!("{error:#}"));
            ExitCode::from(WRONG_INPUT)
        }
        Err(_) => {
            let what = LAST_PANIC.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace('\n', " ");
            let version = env!("CARGO_PKG_VERSION");
            let next = "please report it with the command that you ran";
            screen.say(Mark::Error, &format!("this is a bug in daemoneye-cli {version}, {next}: {what}"));
            ExitCode::from(BUG)
        }
    }
}

/// The arguments; where they are wrong or ask for help, this is the end.
fn arguments() -> Arguments {
    let command = Arguments::command().color(screen::color_of_help());
    Arguments::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

fn run(arguments: &Arguments, screen: &Screen) -> anyhow::Result<Ending> {
    let globals = &arguments.globals;
    let exports_csv = matches!(&arguments.command, Command::Data(data) if data.exports_csv());
    if globals.csv_safe && globals.output != Some(Format::Csv) && !exports_csv {
        bail!("--csv-safe says how CSV is written: add `-o csv`");
    }
    match &arguments.command {
        Command::Hunt(hunt) => hunt::run(hunt, globals, screen),
        Command::Query(query) => query::run(query, globals, screen),
        Command::Replay(replay) => replay::run(replay, globals, screen),
        Command::Record(record) => record::run(record, globals, screen),
        Command::Tree(tree) => tree::run(tree, globals, screen),
        Command::Lint(lint) => lint::run(lint, globals, screen),
        Command::Fmt(fmt) => fmt::run(fmt, globals, screen),
        Command::Explain(explain) => explain::run(explain, globals, screen),
        Command::Rules(rules) => rules::run(rules, globals, screen),
        Command::Schema(schema) => schema::run(schema, globals, screen),
        Command::Alerts(alerts) => alerts::run(alerts, globals, screen),
        Command::Audit(audit) => audit::run(audit, globals, screen),
        Command::Status(status) => status::run(status, globals, screen),
        Command::Data(data) => data::run(data, globals, screen),
        Command::Config(config) => config::run(config, globals, screen),
        Command::Completions(completions) => completions::run(completions, screen),
        Command::Man(manual) => man::run(manual, screen),
    }
}

/// An error that ends with what to do about it.
pub(crate) fn failed(what: impl Display, why: impl Display, next: &str) -> anyhow::Error {
    anyhow!("{what}: {why}; {next}")
}

/// What to do where the system refuses a path.
pub(crate) fn path_remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::PermissionDenied => "ask as its owner or as root",
        io::ErrorKind::InvalidData => "it has to be UTF-8 text",
        _ => "check the path",
    }
}

/// An incomplete answer goes before what was found in it: whether there is more is not known.
fn code(ending: &Ending, allow_degraded: bool) -> u8 {
    match ending {
        Ending::Refused => WRONG_INPUT,
        Ending::Unreachable => UNREACHABLE,
        Ending::Unknown => UNKNOWN,
        Ending::Done { degraded: true, .. } if !allow_degraded => INCOMPLETE,
        Ending::Done { found: true, .. } => FOUND,
        Ending::Done { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_reads_at_80_columns_and_in_ascii() {
        let mut rest = vec![Arguments::command()];
        while let Some(command) = rest.pop() {
            let after = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
            let wide = after.lines().find(|line| line.len() > 80);
            assert_eq!(wide, None, "{}", command.get_name());
            let about = command.get_long_about().or(command.get_about()).map(ToString::to_string).unwrap_or_default();
            let help = command.get_arguments().filter_map(|it| it.get_help().map(ToString::to_string));
            let all = help.chain([after, about]).collect::<String>();
            assert!(all.is_ascii(), "{}: {all}", command.get_name());
            rest.extend(command.get_subcommands().cloned());
        }
    }

    #[test]
    fn codes_follow_from_endings() {
        let done = |found, degraded| Ending::Done { found, degraded };
        assert_eq!(code(&done(false, false), false), 0);
        assert_eq!(code(&done(true, false), false), FOUND);
        assert_eq!(code(&done(true, true), false), INCOMPLETE);
        assert_eq!(code(&done(true, true), true), FOUND);
        assert_eq!(code(&done(false, true), true), 0);
        assert_eq!(code(&Ending::Refused, true), WRONG_INPUT);
        assert_eq!(code(&Ending::Unreachable, true), UNREACHABLE);
        assert_eq!(code(&Ending::Unknown, true), UNKNOWN);
    }
}
