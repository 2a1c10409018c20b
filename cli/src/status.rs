//! `status`: whether the system is well: the agent, who reports to it, its rules, its store.
//!
//! The agent's broker says only that it is there; everything else it wrote into the store, which is read beside it. So
//! what an agent left behind is still said when it is gone.

mod page;

use std::ops::ControlFlow;
use std::path::PathBuf;

use daemoneye_dsl::alert::AlertStatus;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::status::{AgentRun, CollectorStatus, RuleState, RuleStats, RuleStatus, patience};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_settings::Settings;
use daemoneye_settings::paths::{DataDir, is_root};
use daemoneye_storage::{Contents, Dropped, Error, Gap, ReadStore, Reader, Scan, View};
use serde_json::{Value as Json, json};

use crate::agent::{Door, Reached, reach};
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
    stored: Result<Stored, Error>,
}

/// What the store says.
struct Stored {
    run: Option<AgentRun>,
    rules: Vec<RuleStatus>,
    /// What these cost, the costliest first.
    costs: Vec<RuleStats>,
    /// Those of the last run, the one that was heard last first.
    collectors: Vec<CollectorStatus>,
    contents: Contents,
    drops: Vec<Dropped>,
    gaps: Vec<Gap>,
    alerts_open: usize,
    alerts: usize,
    /// Whether damage hides some of this.
    completeness: Completeness,
}

impl Facts {
    fn gather(status: &Status, settings: &Settings) -> Self {
        let data = store::data_dir(status.data.as_ref(), settings);
        let stored = ReadStore::open(data.events()).and_then(|store| Stored::read(&store.read()?));
        let run = stored.as_ref().ok().and_then(|stored| stored.run.as_ref());
        let door = Door::of(run, settings, &data);
        Self {
            reached: reach(&door),
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

    fn is_degraded(&self) -> bool {
        !self.completeness().is_complete()
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
                "same_version": self.run().map(|run| run.version == env!("CARGO_PKG_VERSION")),
            },
            "collectors": stored.map(|stored| &stored.collectors),
            "overdue": self.is_overdue(),
            "rules": stored.map(Stored::rules_json),
            "store": {
                "path": self.data.events().display().to_string(),
                "bytes": self.store_len,
                "error": self.stored.as_ref().err().map(ToString::to_string),
                "versions": stored.map(|stored| stored.contents.versions),
                "exits": stored.map(|stored| stored.contents.exits),
                "segments": stored.map(|stored| stored.contents.segments),
                "blocks": stored.map(|stored| stored.contents.blocks),
                "damaged": stored.map(|stored| stored.contents.damaged),
                "disk_available": self.available,
                "dropped_to": stored.and_then(Stored::dropped_to),
                "oldest": stored.and_then(|stored| stored.contents.oldest),
                "gaps": stored.map(|stored| stored.gaps.iter().map(|Gap { from, to }| json!([from, to])).collect::<Vec<_>>()),
                "alerts": stored.map(|stored| stored.alerts),
                "alerts_open": stored.map(|stored| stored.alerts_open),
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

impl Stored {
    /// The moment before which history is no longer whole.
    fn dropped_to(&self) -> Option<Timestamp> {
        self.drops.iter().map(|dropped| dropped.to).max()
    }

    fn read(view: &View) -> Result<Self, Error> {
        let run = view.run()?;
        let (rules, of_rules) = view.rules()?;
        let (mut costs, of_costs) = view.rule_stats()?;
        costs.sort_by_key(|rule| std::cmp::Reverse(rule.total_micros));
        let (mut collectors, of_collectors) = view.collectors()?;
        let started = run.as_ref().map_or(Timestamp::default(), |run| run.started);
        collectors.retain(|collector| collector.last_snapshot >= started);
        collectors.sort_by_key(|collector| std::cmp::Reverse(collector.last_snapshot));
        let catalog = Catalog::builtin();
        let table = catalog.table("alerts").expect("a table of the catalog");
        let (status, _) = table.column("status").expect("a column of the catalog");
        let (mut alerts_open, mut alerts) = (0, 0);
        let of_alerts = view.visit(&Scan::all(table, &[status]), &mut |batch| {
            let is_open = |row: &usize| Value::at(batch.column(0), *row).as_text() == Some(AlertStatus::Open.name());
            alerts += batch.num_rows();
            alerts_open += (0..batch.num_rows()).filter(is_open).count();
            ControlFlow::Continue(())
        })?;
        let completeness = of_rules.and(&of_costs).and(&of_collectors).and(&of_alerts);
        Ok(Self {
            run,
            rules,
            costs,
            collectors,
            contents: view.contents()?,
            drops: view.drops()?,
            gaps: view.gaps()?,
            alerts_open,
            alerts,
            completeness,
        })
    }

    fn count(&self, state: RuleState) -> usize {
        self.rules.iter().filter(|rule| rule.state == state).count()
    }

    fn rules_json(&self) -> Json {
        let counts = RuleState::ALL.map(|state| (state.name().to_owned(), self.count(state).into()));
        let mut object: serde_json::Map<_, _> = counts.into_iter().collect();
        let not_running = self.rules.iter().filter(|rule| rule.state != RuleState::Running);
        object.insert("not_running".to_owned(), not_running.map(|rule| json!(rule)).collect());
        object.into()
    }
}
