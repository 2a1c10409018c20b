//! `daemoneye-cli`: hunt, ask, lint, read alerts.
//!
//! Data goes to standard output and everything else to standard error; every answer says how complete it is. Each
//! subcommand is a file with its arguments and a `run` that gives an [`Ending`], from which the exit code follows.

mod alerts;
mod completions;
mod explain;
mod file_table;
mod files;
mod hunt;
mod lint;
mod live;
mod man;
mod output;
mod page;
mod progress;
mod query;
mod render;
mod rules;
mod screen;
mod shown;
mod sources;
mod store;
mod tree;

use std::panic;
use std::process::ExitCode;
use std::sync::Mutex;

use clap::Parser;

use crate::output::Format;
use crate::screen::{ColorWhen, Mark, Screen};

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
    Tree(tree::Tree),
    Lint(lint::Lint),
    Explain(explain::Explain),
    Rules(rules::Rules),
    Alerts(alerts::Alerts),
    Completions(completions::Completions),
    Man(man::Manual),
}

/// What every subcommand takes.
#[expect(clippy::struct_excessive_bools, reason = "independent flags")]
#[derive(Debug, clap::Args)]
pub(crate) struct Globals {
    /// The form of standard output [default: a table on a terminal, ndjson into a pipe; lint: findings drawn]
    #[arg(short, long, value_name = "FORM", value_enum, global = true)]
    output: Option<Format>,
    /// When to colour; before `DAEMONEYE_COLOR`, `NO_COLOR` and `CLICOLOR_FORCE`
    #[arg(long, value_name = "WHEN", value_enum, global = true)]
    color: Option<ColorWhen>,
    /// Draw with ASCII only, as where the locale is not UTF-8
    #[arg(long, global = true)]
    ascii: bool,
    /// Show times in UTC, not in the local zone (JSON always has UTC)
    #[arg(long, global = true)]
    utc: bool,
    /// Show values whole, however wide
    #[arg(long, global = true)]
    full: bool,
    /// Say nothing about the answer, only warnings and errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more: what each rule took, every name
    #[arg(short, long, global = true)]
    verbose: bool,
    /// Exit with 0 also when the answer is incomplete
    #[arg(long, global = true)]
    allow_degraded: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli hunt                                    what looks wrong here, now?
  daemoneye-cli query \"SELECT pid, name FROM processes WHERE file_exists = FALSE\"
  daemoneye-cli lint rules/                             are these rules sound?
  daemoneye-cli alerts list --status open               what has the agent found?";

const EXIT_CODES: &str = "\
Exit codes:
  0    done; nothing is missing from the answer but what permissions hide, which is stated
  1    lint found errors; with --exit-code, hunt, query or alerts list found something
  2    a flag, a path, a rule or a statement is wrong, or what it names cannot be read
  3    the answer is incomplete, as standard error says; --allow-degraded makes it 0 or 1
  4    the agent cannot be reached
  101  a bug in this program
  130  stopped by Ctrl-C";

/// The end of a long help: every command's has the exit codes.
pub(crate) fn with_exit_codes(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// How a command ended.
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
}

const FOUND: u8 = 1;
const WRONG_INPUT: u8 = 2;
const INCOMPLETE: u8 = 3;
const BUG: u8 = 101;

/// What the last panic said. A panic over a damaged store is caught and becomes an error, so the hook only remembers.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Globals { color, ascii, utc, quiet, allow_degraded, .. } = arguments.globals;
    let screen = Screen::new(color, ascii, utc, quiet);
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

fn run(arguments: &Arguments, screen: &Screen) -> anyhow::Result<Ending> {
    let globals = &arguments.globals;
    match &arguments.command {
        Command::Hunt(hunt) => hunt::run(hunt, globals, screen),
        Command::Query(query) => query::run(query, globals, screen),
        Command::Tree(tree) => tree::run(tree, globals, screen),
        Command::Lint(lint) => lint::run(lint, globals, screen),
        Command::Explain(explain) => explain::run(explain, globals, screen),
        Command::Rules(rules) => rules::run(rules, globals, screen),
        Command::Alerts(alerts) => alerts::run(alerts, globals, screen),
        Command::Completions(completions) => completions::run(completions),
        Command::Man(manual) => man::run(manual, screen),
    }
}

/// An incomplete answer goes before what was found in it: whether there is more is not known.
fn code(ending: &Ending, allow_degraded: bool) -> u8 {
    match ending {
        Ending::Refused => WRONG_INPUT,
        Ending::Done { degraded: true, .. } if !allow_degraded => INCOMPLETE,
        Ending::Done { found: true, .. } => FOUND,
        Ending::Done { .. } => 0,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
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
    }
}
