//! `status`: whether the system is well: the agent, who reports to it, its rules, its store.
//!
//! The agent says that it is there and how it is; everything else it wrote into the store, which is read beside it. So
//! what an agent left behind is still said when it is gone. Who may ask the agent and not read its store is told by it.

mod page;

use std::path::{Path, PathBuf};

use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::status::{AgentRun, CollectorStatus, LedgerHealth, RuleState, patience};
use daemoneye_dsl::types::Timestamp;
use daemoneye_settings::Settings;
use daemoneye_settings::paths::{DataDir, is_root};
use daemoneye_storage::ledger::{Checkpoint, ReadLedger, SignedCheckpoint};
use daemoneye_storage::{Error, Gap, ReadStore, Report};
use serde_json::{Value as Json, json};

use crate::agent::{Door, Heard, Reached, look};
use crate::output::{Format, print};
use crate::screen::Screen;
use crate::{Ending, Globals, live, store, with_exit_codes};

/// Where root's agent keeps its data, whoever asks.
const DATA_OF_ROOT: &str = "/var/lib/daemoneye";

/// Show whether the agent runs and all is well.
///
/// The agent and its version, the last snapshot, rules that run and those that do not with the reason, with -v the rules
/// that cost most, the size of the store, and how complete the rules' input is. Works beside the agent and without it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Status {
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli status                          is everything well?
  daemoneye-cli status -o json | jq .rules.not_running
  daemoneye-cli status -q || notify-admin            for a health check";

pub(crate) fn run(status: &Status, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let facts = Facts::gather(status, &globals.settings);
    if form.is_some() {
        print(screen, |out| writeln!(out, "{}", facts.to_json()))?;
    } else {
        page::write(&facts, globals, screen)?;
    }
    Ok(match facts.reached {
        Reached::Answers => Ending::Done { found: false, degraded: facts.is_degraded() },
        _ => Ending::Unreachable,
    })
}

/// Everything that is known.
struct Facts {
    now: Timestamp,
    data: DataDir,
    /// `--data` names it.
    data_is_named: bool,
    socket: PathBuf,
    reached: Reached,
    /// Bytes of the store's file.
    store_len: Option<u64>,
    /// Bytes that the disk below it has left.
    available: Option<u64>,
    stored: Result<Box<Report>, Error>,
    /// That is the agent's answer, for the store cannot be read from here.
    told_by_agent: bool,
    /// What the agent says of itself.
    heard: Heard,
    /// The audit ledger, as the agent says or its file; nothing where there is none.
    ledger: Option<LedgerHealth>,
}

impl Facts {
    fn gather(status: &Status, settings: &Settings) -> Self {
        let data = store::data_dir(status.data.as_ref(), settings);
        let stored = ReadStore::open(data.events()).and_then(|store| Report::read(&store.read()?)).map(Box::new);
        let run = stored.as_ref().ok().and_then(|stored| stored.run.as_ref());
        let door = Door::of(run, settings, &data);
        let (reached, mut heard) = match look(&door, stored.is_err()) {
            Ok(heard) => (Reached::Answers, heard),
            Err(reached) => (reached, Heard::default()),
        };
        let told = heard.report.take().and_then(Result::ok);
        let told_by_agent = told.is_some();
        let stored = told.map_or(stored, Ok);
        let ledger = heard.agent.as_ref().map(|agent| agent.ledger.clone());
        let ledger = ledger.or_else(|| read_ledger(&settings.ledger_in(&data)));
        Self {
            reached,
            ledger,
            told_by_agent,
            heard,
            store_len: std::fs::metadata(data.events()).ok().map(|file| file.len()),
            available: available(data.path()),
            now: live::now(),
            data_is_named: status.data.is_some(),
            data,
            socket: door.socket,
            stored,
        }
    }

    fn run(&self) -> Option<&AgentRun> {
        self.stored.as_ref().ok()?.run.as_ref()
    }

    /// The collector that was heard last, if one was since the agent started.
    fn collector(&self) -> Option<&CollectorStatus> {
        self.stored.as_ref().ok()?.collectors.first()
    }

    fn age(&self, moment: Timestamp) -> i64 {
        self.now.0.saturating_sub(moment.0).max(0)
    }

    /// Nothing was heard for too long.
    fn is_overdue(&self) -> bool {
        let since = match (self.collector(), self.run()) {
            (Some(collector), _) => collector.last_snapshot,
            (None, Some(run)) => run.started,
            (None, None) => return false,
        };
        self.age(since) > patience(self.collector().and_then(|it| it.interval_micros))
    }

    /// How complete the rules' input is.
    fn completeness(&self) -> Completeness {
        let Ok(stored) = &self.stored else {
            let mut unknown = Completeness::default();
            unknown.add(Reason::CollectorGone);
            return unknown;
        };
        let mut completeness = stored.completeness.clone();
        if let Some(collector) = self.collector() {
            completeness = completeness.and(&collector.completeness);
        }
        if self.reached != Reached::Answers || self.is_overdue() {
            completeness.add(Reason::CollectorGone);
        }
        for (state, reason) in
            [(RuleState::Refused, Reason::RuleRefused), (RuleState::Quarantined, Reason::RuleQuarantined)]
        {
            if stored.count(state) > 0 {
                completeness.add(reason);
            }
        }
        completeness
    }

    /// Silences in force.
    fn silences(&self, stored: &Report) -> usize {
        stored.silences.iter().filter(|silence| !silence.is_over(self.now)).count()
    }

    fn is_degraded(&self) -> bool {
        let is_off_record = self.ledger.as_ref().is_some_and(|ledger| ledger.error.is_some());
        is_off_record || !self.completeness().is_complete()
    }

    /// The same question with root's rights.
    fn with_sudo(&self) -> String {
        if self.data_is_named {
            format!("sudo daemoneye-cli status --data {}", self.data.path().display())
        } else {
            "sudo daemoneye-cli status".to_owned()
        }
    }

    /// Root's agent may be meant.
    fn may_mean_root(&self) -> bool {
        !is_root() && !self.data_is_named && std::path::Path::new(DATA_OF_ROOT).exists()
    }

    fn to_json(&self) -> Json {
        let stored = self.stored.as_ref().ok();
        json!({
            "ok": self.reached == Reached::Answers && !self.is_degraded(),
            "agent": {
                "state": self.reached.name(),
                "socket": self.socket.display().to_string(),
                "run": self.run(),
                "health": self.heard.agent,
                "same_version": self.run().map(|run| run.version == env!("CARGO_PKG_VERSION")),
            },
            "ledger": self.ledger,
            "collectors": stored.map(|stored| &stored.collectors),
            "collectors_health": self.heard.collectors,
            "overdue": self.is_overdue(),
            "rules": stored.map(|stored| rules_json(stored)),
            "store": {
                "path": self.data.events().display().to_string(),
                "bytes": self.store_len,
                "told_by": stored.map(|_| if self.told_by_agent { "agent" } else { "store" }),
                "error": self.stored.as_ref().err().map(ToString::to_string),
                "versions": stored.map(|stored| stored.contents.versions),
                "exits": stored.map(|stored| stored.contents.exits),
                "segments": stored.map(|stored| stored.contents.segments),
                "blocks": stored.map(|stored| stored.contents.blocks),
                "damaged": stored.map(|stored| stored.contents.damaged),
                "disk_available": self.available,
                "dropped_to": stored.and_then(|stored| stored.dropped_to()),
                "oldest": stored.and_then(|stored| stored.contents.oldest),
                "gaps": stored.map(|stored| stored.gaps.iter().map(|Gap { from, to }| json!([from, to])).collect::<Vec<_>>()),
                "alerts": stored.map(|stored| stored.alerts),
                "alerts_open": stored.map(|stored| stored.alerts_open),
                "silences": stored.map(|stored| self.silences(stored)),
            },
            "completeness": self.completeness().to_json(),
        })
    }
}

/// Bytes that the disk has left for who may write there.
#[cfg(unix)]
fn available(folder: &std::path::Path) -> Option<u64> {
    let disk = nix::sys::statvfs::statvfs(folder).ok()?;
    #[expect(clippy::useless_conversion, reason = "the types differ between systems")]
    Some(u64::from(disk.blocks_available()).saturating_mul(u64::from(disk.fragment_size())))
}

/// Elsewhere it is not asked.
#[cfg(not(unix))]
fn available(_: &std::path::Path) -> Option<u64> {
    None
}

fn rules_json(report: &Report) -> Json {
    let counts = RuleState::ALL.map(|state| (state.name().to_owned(), report.count(state).into()));
    let mut object: serde_json::Map<_, _> = counts.into_iter().collect();
    let not_running = report.rules.iter().filter(|rule| rule.state != RuleState::Running);
    object.insert("not_running".to_owned(), not_running.map(|rule| json!(rule)).collect());
    object.into()
}

/// How a ledger is that nobody writes to; nothing where there is no file.
fn read_ledger(path: &Path) -> Option<LedgerHealth> {
    let bytes = std::fs::metadata(path).ok()?.len();
    let health = LedgerHealth { path: path.display().to_string(), bytes, ..LedgerHealth::default() };
    let read = || {
        let view = ReadLedger::open(path)?.read()?;
        Ok::<_, Error>((view.size()?, view.checkpoint()?))
    };
    Some(match read() {
        Ok((entries, last)) => {
            let last = last.as_ref().map(SignedCheckpoint::checkpoint);
            let (signed, signed_at) = (last.map_or(0, |last| last.size), last.and_then(Checkpoint::time));
            LedgerHealth { entries, signed, signed_at, ..health }
        }
        Err(error) => LedgerHealth { error: Some(error.to_string()), ..health },
    })
}
