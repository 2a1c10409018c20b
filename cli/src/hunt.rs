//! `hunt`: every rule once, over now.
//!
//! An agent that answers runs them, over what it sees. Nothing has to be installed for it, though: without one,
//! `processes` is a live snapshot, and rules over tables that only history has run where a store can be read; where
//! not, they are named, as is every rule that could not see all it asks for.

mod ground;
mod page;
mod report;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::alert::Level;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::nearest;
use daemoneye_dsl::header::Header;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::Timestamp;

use self::ground::{Ground, Present};
pub(crate) use self::page::{names, techniques};
use self::page::{show, summarize};
use self::report::Finding;
pub(crate) use self::report::Subject;
use crate::file_table::{FileArguments, FileTables, NowArgument};
use crate::progress::Progress;
use crate::render::Extent;
use crate::screen::{Mark, Screen, count};
use crate::timeout::TimeoutArgument;
use crate::{Ending, Globals, files, live, sources, store, with_exit_codes};

/// Run rules once over what runs now.
///
/// The agent runs them, if it answers: over its latest snapshot and its history. Otherwise, and with --live, this
/// program takes a snapshot by itself, with no agent, no root and no configuration; rules over history run where there
/// is an agent's store to read. With --table they run over files: collected logs, or records that stand in for
/// `processes`.
/// Findings go to standard output, the gravest first; what was looked at, and what could not be, to standard error.
/// A file without a rule header runs under its name; what it finds has no level and no title.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Hunt {
    /// Only these rules, by name, id, tag or technique [default: all]
    #[arg(value_name = "RULE|TAG")]
    only: Vec<String>,
    /// A rule file or a folder of them; may be repeated [default: ./rules, else the installed rules]
    #[arg(long, value_name = "PATH")]
    rules: Vec<PathBuf>,
    /// The agent's data directory, for rules over history [default: the agent's own]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    moment: NowArgument,
    #[command(flatten)]
    patience: TimeoutArgument,
    /// Ask no agent: take a snapshot of this moment, and read the store
    #[arg(long)]
    live: bool,
    /// Exit with 1 when something was found
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli hunt                              every rule in ./rules
  sudo daemoneye-cli hunt attack.persistence      one tactic, over all processes
  daemoneye-cli hunt T1059.004 webserver_shell    one technique and one rule
  daemoneye-cli hunt --rules ~/drafts -o ndjson | jq .row.pid
  daemoneye-cli hunt --table processes=sysmon.jsonl --now 2026-11-22T10:30:00Z";

/// What compiling and running took of the processor.
struct Effort {
    compiled: usize,
    compile: Duration,
    /// Nothing where another program ran them.
    run: Option<Duration>,
}

pub(crate) fn run(hunt: &Hunt, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let found = files::rules(&hunt.rules, &globals.settings)?;
    let now = hunt.moment.moment()?.unwrap_or_else(live::now);
    let files = hunt.files.load(screen)?;
    let before = cpu_time();
    let set = RuleSet::check_once(
        found.sources,
        &files.catalog().with_lists(found.lists).with_limits(globals.settings.limits),
    );
    let compile = cpu_time().saturating_sub(before);
    let chosen = choose(&set, &hunt.only)?;
    chosen.refused.iter().for_each(|file| screen.draw(&file.diagnostics, &file.source));
    for error in &found.unreadable {
        screen.say(Mark::Warning, &error.to_string());
    }
    if chosen.rules.is_empty() {
        return Ok(Ending::Refused);
    }
    let bare: Vec<_> = chosen.rules.iter().filter(|rule| rule.header.is_none()).map(|rule| rule.name()).collect();
    if !bare.is_empty() {
        let files = count(bare.len(), "file has", "files have");
        let named = names(&bare, globals.verbose);
        let text = format!(
            "{files} no rule header, and no level or title: `daemoneye-cli lint` says what one needs ({named})"
        );
        screen.say(Mark::Warning, &text);
    }
    let progress = Progress::begin(screen, "reading the processes");
    let place = (hunt.data.as_ref(), &globals.settings);
    let agent = if hunt.live || !files.is_empty() {
        None
    } else {
        ground::Agent::find(place, (now, hunt.patience), screen)?.map(Box::new)
    };
    let is_here = agent.is_none();
    let asked = || chosen.rules.iter().any(|rule| sources::reads_present(&rule.query));
    let looks = is_here && (files.is_empty() || (files.processes().is_none() && asked()));
    let snapshot = looks.then(|| live::snapshot(now)).transpose()?;
    let history = is_here && chosen.rules.iter().any(|rule| !sources::stored_tables(&rule.query).is_empty());
    let stored = history.then(|| store::open(hunt.data.as_ref(), &globals.settings));
    // A store that was named has to be there; the usual one may not.
    if let (Some(Err(error)), Some(_)) = (&stored, &hunt.data) {
        bail!("{error}");
    }
    let (stored, why_not_stored) = match stored {
        Some(Ok(stored)) => (Some(stored), None),
        Some(Err(error)) => (None, Some(error)),
        None => (None, None),
    };
    let (snapshot, stored) = (snapshot.as_ref(), stored.as_ref());
    let here = || Ground::Here(Present { now, patience: hunt.patience, snapshot, stored, files: &files });
    let ground = agent.map_or_else(here, Ground::Agent);
    let before = cpu_time();
    let mut report = ground.hunt(&chosen.rules, &progress)?;
    let run = is_here.then(|| cpu_time().saturating_sub(before));
    let effort = Effort { compiled: set.rules().count(), compile, run };
    drop(progress);
    if !chosen.refused.is_empty() || !found.unreadable.is_empty() {
        report.completeness.add(Reason::RuleRefused);
    }
    let rules = count(report.ran, "rule", "rules");
    let looked = format!("{rules} from {} × {}", found.place, ground.describe());
    screen.say(Mark::Note, &format!("{looked} · {} ms", started.elapsed().as_millis()));
    let extent = show(&report.findings, globals, screen)?;
    summarize(&report, &effort, &chosen.refused, &ground, why_not_stored.as_ref(), globals, screen);
    if extent == Extent::Cut {
        screen.say(Mark::Note, "values cut to fit (--full shows them)");
    }
    Ok(Ending::Done {
        found: hunt.exit_code && !report.findings.is_empty(),
        degraded: !report.completeness.is_complete(),
    })
}

/// What is asked for.
pub(crate) struct Chosen<'a> {
    pub(crate) rules: Vec<&'a CheckedRule>,
    refused: Vec<&'a RuleFile>,
}

impl Chosen<'_> {
    /// Draws what is wrong with the refused rules that are asked for by name; tells whether any of them is not there.
    pub(crate) fn draw_refused(&self, names: &[String], screen: &Screen) -> bool {
        let is_named = |file: &RuleFile| names.iter().any(|name| name.eq_ignore_ascii_case(file.source.stem()));
        let mut any = false;
        for file in self.refused.iter().filter(|file| is_named(file)) {
            screen.draw(&file.diagnostics, &file.source);
            any |= file.rule.is_none();
        }
        any
    }
}

/// The rules that `only` names, and the refused ones that it may mean.
pub(crate) fn choose<'a>(set: &'a RuleSet, only: &[String]) -> anyhow::Result<Chosen<'a>> {
    let rules: Vec<_> = set.rules().collect();
    let refused: Vec<_> = set.refused().collect();
    let is_named = |file: &RuleFile, word: &String| file.source.stem().eq_ignore_ascii_case(word);
    for word in only {
        let known = rules.iter().any(|rule| means(word, rule));
        if !known && !refused.iter().any(|file| is_named(file, word)) {
            let tags = |rule: &&'a CheckedRule| rule.header.iter().flat_map(|it| it.tags.iter().map(String::as_str));
            let names = rules.iter().flat_map(|rule| std::iter::once(rule.name()).chain(tags(rule)));
            let near = nearest(word, names).map(|near| format!("did you mean `{near}`?"));
            let next = near.unwrap_or_else(|| "`daemoneye-cli rules list` names all".to_owned());
            bail!("no rule has the name, id or tag `{word}`; {next}");
        }
    }
    // The tags of a refused rule are not known: a tag may mean it.
    let only_names = only.iter().all(|word| set.files.iter().any(|file| is_named(file, word)));
    let keep = |file: &&RuleFile| only.is_empty() || !only_names || only.iter().any(|word| is_named(file, word));
    Ok(Chosen {
        rules: rules.into_iter().filter(|it| only.is_empty() || only.iter().any(|word| means(word, it))).collect(),
        refused: refused.into_iter().filter(keep).collect(),
    })
}

fn means(word: &str, rule: &CheckedRule) -> bool {
    let technique = format!("attack.{word}");
    let is_tag = |tag: &String| tag.eq_ignore_ascii_case(word) || tag.eq_ignore_ascii_case(&technique);
    let is_of = |header: &Header| header.id.eq_ignore_ascii_case(word) || header.tags.iter().any(is_tag);
    rule.name().eq_ignore_ascii_case(word) || rule.header.as_ref().is_some_and(is_of)
}

/// What rules find in one snapshot, for whoever shows its processes.
pub(crate) struct Hits {
    /// The gravest first.
    pub(crate) found: Vec<Hit>,
    /// `11 rules from rules`.
    pub(crate) looked: String,
    /// Rules that could not look, with the reason.
    pub(crate) silent: Vec<String>,
    pub(crate) completeness: Completeness,
}

/// One match of one rule.
pub(crate) struct Hit {
    pub(crate) level: Level,
    pub(crate) rule: String,
    pub(crate) title: String,
    pub(crate) subject: Subject,
}

/// Runs the rules of `found` over a snapshot alone: what is in the store has happened, and marks no process.
pub(crate) fn hits(
    found: files::Found,
    snapshot: &Snapshot,
    now: Timestamp,
    progress: &Progress,
) -> anyhow::Result<Hits> {
    let set = RuleSet::check(found.sources, &Catalog::builtin().with_lists(found.lists).with_limits(found.limits));
    let files = FileTables::default();
    let rules: Vec<_> = set.rules().collect();
    let patience = TimeoutArgument::default();
    let ground = Ground::Here(Present { now, patience, snapshot: Some(snapshot), stored: None, files: &files });
    let report = ground.hunt(&rules, progress)?;
    let refused = set.refused().count();
    let mut silent: Vec<_> =
        report.stopped.iter().map(|(rule, why)| format!("rule {rule} was stopped: {why}")).collect();
    if refused > 0 {
        silent.push(format!("{} refused: `daemoneye-cli lint` says why", count(refused, "rule was", "rules were")));
    }
    silent.extend(found.unreadable.iter().map(ToString::to_string));
    let mut completeness = report.completeness;
    if refused > 0 || !found.unreadable.is_empty() {
        completeness.add(Reason::RuleRefused);
    }
    let history = match report.need_history.len() {
        0 => String::new(),
        more => format!(" ({more} more over history)"),
    };
    let hit = |finding: Finding<'_>| {
        let (level, title) = (finding.level?, finding.title?);
        Some(Hit { level, rule: finding.rule.to_owned(), title, subject: finding.subject })
    };
    Ok(Hits {
        looked: format!("{} from {}{history}", count(report.ran, "rule", "rules"), found.place),
        found: report.findings.into_iter().filter_map(hit).collect(),
        silent,
        completeness,
    })
}

/// What this process has had of the processor.
#[cfg(unix)]
pub(crate) fn cpu_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    nix::time::clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// What this process has had of the processor: not known here, so the time that went by.
#[cfg(not(unix))]
pub(crate) fn cpu_time() -> Duration {
    static START: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    START.elapsed()
}
