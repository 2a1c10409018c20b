//! `daemoneye-agent`: keeps the history of this host's processes, runs the rules on what changes, raises alerts.
//!
//! ```text
//! procmond ─ broker ─► engine: Agent::take → commit → acknowledge ─► outbox ─► sinks: standard output, `alerts.>`
//! ```
//!
//! Connections and signals are asynchronous (`serve`); the engine and the sinks are a thread each.

mod access;
mod agent;
mod alerts;
mod answers;
mod audit;
mod backlog;
mod collector;
mod compactor;
mod engine;
mod evaluation;
mod health;
mod ledger;
mod own;
mod present;
mod rules;
mod sampling;
mod sealer;
mod serve;
mod settings;
mod silences;
mod sinks;
mod tally;
mod watch;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use daemoneye_dsl::status::AgentRun;
use daemoneye_settings::choices::{AlertForm, Mode};
use daemoneye_settings::{Files, Flags, Sources, flag};

use crate::agent::{Agent, Beginning};
use crate::evaluation::Bounds;
use crate::ledger::{Book, Inflow, Policy, Webhook};
use crate::serve::{Edges, Signals};
use crate::settings::InForce;
use crate::sinks::terminal::Form;
use crate::watch::{Files as RuleFiles, Watch};

/// Watches this host's processes, runs detection rules written in SQL, and prints what they find.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_long_help = AFTER)]
struct Args {
    /// Read settings from this file and no other
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Rule files, or directories of them [default: ./rules, else the installed ones]
    #[arg(long, value_name = "DIR|FILE", num_args = 1.., value_parser = flag("rules.paths"))]
    rules: Vec<String>,
    /// Where the event store and the socket are [default: /var/lib/daemoneye as root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR", value_parser = flag("data"))]
    data: Option<String>,
    /// The socket at which the agent is asked, and collectors report [default: agent.sock in the data directory]
    #[arg(long, value_name = "PATH", value_parser = flag("socket"))]
    socket: Option<String>,
    /// Whether to start procmond, or wait for one to connect [default: spawn]
    #[arg(long, value_name = "COLLECTOR", value_parser = flag("collector.mode"))]
    collector: Option<String>,
    /// Time between two snapshots of the collector that is started: 200ms, 5s, 1m [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = flag("collector.interval"), allow_hyphen_values = true)]
    interval: Option<String>,
    /// What the collector that is started makes of secrets in command lines and environments [default: all]
    #[arg(long, value_name = "REDACT", value_parser = flag("collector.redact"))]
    redact: Option<String>,
    /// One more option or variable whose value is a secret
    #[arg(long, value_name = "NAME", value_parser = flag("collector.redact_names"), allow_hyphen_values = true)]
    redact_name: Vec<String>,
    /// How alerts are printed [default: for people on a terminal, one JSON record a line otherwise]
    #[arg(short, long, value_name = "OUTPUT", value_parser = flag("alerts.output"))]
    output: Option<String>,
    /// How the log on standard error is written [default: human]
    #[arg(long, value_name = "FORMAT", value_parser = flag("log.format"))]
    log_format: Option<String>,
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

Settings come from files, the environment and these flags; `daemoneye-cli config show` lists them. A running agent
takes up rule files that change, and on SIGHUP settings too; what is wrong is refused and said, and what ran goes on.

Without root it sees what its user may see, and says so. `daemoneye-cli alerts list` shows what was found.
Exit codes: 0 stopped by SIGINT or SIGTERM, 1 failed, 2 wrong usage or settings.";

/// Exit code for flags and settings that are wrong.
const USAGE: u8 = 2;

impl Args {
    /// What the flags say, as the last layer of the settings.
    fn flags(&self) -> Flags {
        let mut flags = Flags::default();
        flags.list("rules.paths", "--rules", &self.rules);
        flags.text("data", "--data", self.data.as_deref());
        flags.text("socket", "--socket", self.socket.as_deref());
        flags.text("collector.mode", "--collector", self.collector.as_deref());
        flags.text("collector.interval", "--interval", self.interval.as_deref());
        flags.text("collector.redact", "--redact", self.redact.as_deref());
        flags.list("collector.redact_names", "--redact-name", &self.redact_name);
        flags.text("alerts.output", "--output", self.output.as_deref());
        flags.text("log.format", "--log-format", self.log_format.as_deref());
        let (flag, level) = match (self.quiet, self.verbose) {
            (true, _) => ("--quiet", Some("error")),
            (_, 0) => ("", None),
            (_, 1) => ("--verbose", Some("debug")),
            _ => ("--verbose", Some("trace")),
        };
        flags.text("log.level", flag, level);
        flags
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let files = args.config.clone().map_or(Files::Usual, Files::Named);
    let settings = match InForce::start(Sources::here(files, args.flags())) {
        Ok(settings) => settings,
        Err(problems) => {
            settings::draw(&problems);
            return ExitCode::from(USAGE);
        }
    };
    match run(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(settings: InForce) -> anyhow::Result<()> {
    let started = settings.started().clone();
    let paths = settings.rule_paths();
    anyhow::ensure!(
        !paths.is_empty(),
        "no rules found: run it where ./rules is, install them in /etc/daemoneye/rules, or name them with --rules DIR"
    );
    // What changes from here on is taken up when it is next looked for.
    let watch = Watch::new(RuleFiles::below(&paths));
    let loaded = rules::load(&paths, started.limits);
    loaded.report(settings.drawing());
    anyhow::ensure!(!loaded.rules.is_empty(), "no rule compiles: mend the files above, or name others with --rules");

    let data = started.data_dir();
    data.create().context("cannot make the data directory: name another with --data DIR")?;
    let collector = (started.collector.mode == Mode::Spawn).then(collector::find).transpose()?;
    let (rules, refused) = (loaded.rules.len(), loaded.refused());
    let statuses = loaded.statuses.clone();
    let (audit, noted, shared) = audit::channel();
    let agent = Agent::open(&data.events(), loaded, Bounds::of(&started), started.samples.interval, audit.clone())?;
    let to = &started.ledger;
    let webhook = to.webhook.as_ref().map(|url| Webhook::new(url, to.webhook_token.as_deref())).transpose()?;
    let book = Book::new(Policy {
        path: started.ledger_in(&data),
        every: started.ledger.checkpoint_every as u64,
        interval: started.ledger.checkpoint_interval,
        export: started.ledger.export.clone(),
        webhook,
    })
    .context("cannot start the threads that export checkpoints")?;
    let inflow = Inflow { store: agent.store(), noted, shared };
    let socket = started.socket();
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
    let form = match started.alerts.output {
        AlertForm::Ndjson => Form::Ndjson,
        AlertForm::Auto if !std::io::stdout().is_terminal() => Form::Ndjson,
        AlertForm::Auto | AlertForm::Human => Form::Human,
    };
    runtime.block_on(async {
        // From here on a signal ends it in order: what begins below leaves a socket file and a collector behind.
        let signals = Signals::new().context("cannot take signals")?;
        let broker = access::open(&started, &socket)?;
        agent.begin_run(&Beginning { run: &run, rules: &statuses, settings: &settings.values() })?;
        let inbox = serve::Inbox::open(&broker).await?;
        tracing::info!(rules, refused, store = %data.events().display(), socket = %socket.display(), "agent started");
        let edges = Edges { collector, socket, form, run, book, inflow };
        let ended = serve::serve(&broker, agent, edges, settings, audit, inbox, (signals, watch)).await;
        broker.shutdown().await;
        ended
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Args::command().debug_assert();
    }
}
