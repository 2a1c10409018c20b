//! `daemoneye-agent`: keeps the history of this host's processes, runs the rules on what changes, raises alerts.
//!
//! ```text
//! procmond ─ broker ─► engine: Agent::take → commit → acknowledge ─► outbox ─► sinks: standard output, `alerts.>`
//! ```
//!
//! Connections and signals are asynchronous (`serve`); the engine and the sinks are a thread each.

mod agent;
mod alerts;
mod collector;
mod present;
mod rules;
mod serve;
mod sinks;

use std::ffi::OsString;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use daemoneye_broker::Broker;
use daemoneye_dsl::diagnostic::Style;
use daemoneye_dsl::status::AgentRun;
use daemoneye_dsl::types::{MICROS_PER_SEC, parse_interval};
use daemoneye_dsl::untrusted::Untrusted;
use daemoneye_storage::paths::DataDir;
use tracing_subscriber::EnvFilter;

use crate::agent::Agent;
use crate::rules::Loaded;
use crate::serve::Signals;
use crate::sinks::terminal::Form;

/// Watches this host's processes, runs detection rules written in SQL, and prints what they find.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_long_help = AFTER)]
struct Args {
    /// Rule files, or directories of them [default: ./rules, else the installed ones]
    #[arg(long, value_name = "DIR|FILE", num_args = 1..)]
    rules: Vec<PathBuf>,
    /// Where the event store and the socket are [default: /var/lib/daemoneye as root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The socket that collectors connect to [default: agent.sock in the data directory]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Whether to start procmond, or wait for one to connect
    #[arg(long, value_enum, default_value_t = Collector::Spawn)]
    collector: Collector,
    /// Time between two snapshots of the collector that is started: 200ms, 5s, 1m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = interval)]
    interval: String,
    /// Whether the collector that is started replaces secrets in command lines and environments by tokens
    #[arg(long, value_enum, default_value_t = Redact::All)]
    redact: Redact,
    /// One more option or variable whose value is a secret
    #[arg(long, value_name = "NAME")]
    redact_name: Vec<String>,
    /// How alerts are printed: for people on a terminal, one JSON record a line otherwise
    #[arg(short, long, value_enum, default_value_t = Output::Auto)]
    output: Output,
    /// Say more on standard error; twice for everything
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say only what went wrong
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
}

const AFTER: &str = "\
Examples:
  daemoneye-agent --interval 5s                     watch, and print alerts here
  daemoneye-agent --rules rules/ | jq .title        alerts as JSON, one a line
  daemoneye-agent --collector wait                  and elsewhere: sudo procmond --socket PATH

Without root it sees what its user may see, and says so. `daemoneye-cli alerts list` shows what was found.
Exit codes: 0 stopped by SIGINT or SIGTERM, 1 failed, 2 wrong usage.";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Collector {
    /// Start the procmond beside this program
    Spawn,
    /// Wait for one to connect
    Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Redact {
    /// All that are recognised
    All,
    /// None, for a laboratory
    None,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// By what standard output is
    Auto,
    /// To be read
    Human,
    /// One record a line
    Ndjson,
}

fn interval(text: &str) -> Result<String, String> {
    let micros = parse_interval(text).ok_or("write a number and a unit, such as 200ms, 5s or 1m")?;
    if (10_000..=86_400 * MICROS_PER_SEC).contains(&micros) {
        Ok(text.to_owned())
    } else {
        Err("it lies between 10ms and 1d".to_owned())
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr(&args);
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn log_to_stderr(args: &Args) {
    let level = match (args.quiet, args.verbose) {
        (true, _) => "error",
        (_, 0) => "info",
        (_, 1) => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_env("DAEMONEYE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .with_ansi(colour)
        .init();
}

fn run(args: &Args) -> anyhow::Result<()> {
    let loaded = rules::load(&rule_paths(args)?);
    report(&loaded)?;
    anyhow::ensure!(!loaded.rules.is_empty(), "no rule compiles: mend the files above, or name others with --rules");

    let data = data_dir(args);
    data.create().context("cannot make the data directory: name another with --data DIR")?;
    let program = (args.collector == Collector::Spawn).then(collector::find).transpose()?;
    let refused = loaded.refused();
    let rules = loaded.rules.len();
    let agent = Agent::open(&data.events(), loaded.rules, refused)?;
    let socket = args.socket.clone().unwrap_or_else(|| data.socket());
    let run = AgentRun {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        started: serve::now(),
        stopped: None,
        socket: std::path::absolute(&socket).unwrap_or_else(|_| socket.clone()).display().to_string(),
    };

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let form = match args.output {
        Output::Human => Form::Human,
        Output::Ndjson => Form::Ndjson,
        Output::Auto => {
            if std::io::stdout().is_terminal() {
                Form::Human
            } else {
                Form::Ndjson
            }
        }
    };
    runtime.block_on(async {
        // From here on a signal ends it in order: what begins below leaves a socket file and a collector behind.
        let signals = Signals::new().context("cannot take signals")?;
        let broker = Broker::bind(&socket)?;
        agent.begin_run(&run, &loaded.statuses)?;
        tracing::info!(rules, refused, store = %data.events().display(), socket = %socket.display(), "agent started");
        let collector =
            serve::Collector { program, args: collector_args(args, &socket), interval: args.interval.clone() };
        let ended = serve::serve(&broker, agent, form, collector, signals).await;
        broker.shutdown().await;
        ended
    })
}

/// Says what became of every rule file that does not simply run.
fn report(loaded: &Loaded) -> anyhow::Result<()> {
    let style = Style { colour: std::io::stderr().is_terminal(), ascii: false };
    let mut err = anstream::stderr();
    for error in &loaded.unreadable {
        tracing::error!("{}", Untrusted(&error.to_string()).terminal());
    }
    for file in &loaded.remarked {
        for diagnostic in &file.diagnostics {
            writeln!(err, "{}\n", diagnostic.render(&file.source, style))?;
        }
    }
    for name in &loaded.elsewhere {
        tracing::info!(rule = name, "rule for another system, not run");
    }
    for (name, columns) in &loaded.limited {
        tracing::warn!(rule = name, ?columns, "rule limited: no collector reports these columns here");
    }
    Ok(())
}

/// What the collector is told.
fn collector_args(args: &Args, socket: &Path) -> Vec<OsString> {
    let redact = if args.redact == Redact::All { "all" } else { "none" };
    let mut told: Vec<OsString> = vec!["--socket".into(), socket.into()];
    told.extend(["--interval", &args.interval, "--redact", redact].map(OsString::from));
    told.extend(args.redact_name.iter().flat_map(|name| ["--redact-name".into(), OsString::from(name)]));
    told
}

fn rule_paths(args: &Args) -> anyhow::Result<Vec<PathBuf>> {
    if !args.rules.is_empty() {
        return Ok(args.rules.clone());
    }
    daemoneye_storage::paths::default_rules().map(|path| vec![path]).context(
        "no rules found: run it where ./rules is, install them in /etc/daemoneye/rules, or name them with --rules DIR",
    )
}

fn data_dir(args: &Args) -> DataDir {
    args.data.clone().map_or_else(daemoneye_storage::paths::default_data_dir, DataDir::new)
}
