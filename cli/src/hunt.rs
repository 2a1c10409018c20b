//! `hunt`: every rule once, over now.
//!
//! Nothing has to be installed: rules come from files, `processes` from a live snapshot. Rules over tables that only
//! history has run where an agent keeps a store that can be read; where not, they are named, as is every rule that
//! could not see all it asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::bail;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::alert::Level;
use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::convert::to_text;
use daemoneye_dsl::diagnostic::nearest;
use daemoneye_dsl::header::Header;
use daemoneye_dsl::query::{Absent, CheckedRule};
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::{Access, Catalog};
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_planner::{Counted, View, ask, plan, stacked};
use daemoneye_storage::{Error, Reader};
use serde_json::{Map, json};

use crate::file_table::{FileArguments, FileTables, NowArgument};
use crate::output::{Format, print, write_json};
use crate::progress::{Progress, Unit};
use crate::query::incomplete;
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count, paint_of};
use crate::store::{self, Stored};
use crate::timeout::TimeoutArgument;
use crate::{Ending, Globals, files, live, sources, with_exit_codes};

/// Rules that one line of the summary names; `-v` names all.
const NAMED_MAX: usize = 6;

/// Run rules once over what runs now.
///
/// Takes a live snapshot by itself: no agent, no root, no configuration. Rules over history run where there is an
/// agent's store to read, and with --table over files: collected logs, or records that stand in for `processes`.
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

/// One match of one rule.
struct Finding<'a> {
    /// Only a header gives one.
    level: Option<Level>,
    rule: &'a str,
    title: Option<String>,
    tags: &'a [String],
    row: Map<String, serde_json::Value>,
    /// The process that it is about, as far as the row says.
    subject: Subject,
    completeness: Completeness,
}

/// A process as a row names it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subject {
    pub(crate) proc_id: Option<String>,
    /// Where there is no `proc_id`.
    pub(crate) pid: Option<i64>,
}

/// What a hunt came to.
#[derive(Default)]
struct Report<'a> {
    findings: Vec<Finding<'a>>,
    /// Rules that ran.
    ran: usize,
    completeness: Completeness,
    need_history: Vec<&'a str>,
    elsewhere: Vec<&'a str>,
    stopped: Vec<(&'a str, String)>,
    /// Rules and columns that this user may not read of every process.
    hidden: Limits<'a>,
    /// Rules and columns that nobody collects yet.
    uncollected: Limits<'a>,
    /// Columns of files that no record has, and the rules that ask for them.
    absent: BTreeMap<Absent, Vec<&'a str>>,
    /// What `-v` adds.
    timings: Vec<String>,
    /// The rows of the tables that were read.
    rows: usize,
}

/// What compiling and running took of the processor.
struct Effort {
    compiled: usize,
    compile: Duration,
    run: Duration,
}

#[derive(Default)]
struct Limits<'a> {
    rules: Vec<&'a str>,
    columns: BTreeSet<String>,
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
    let asked = || chosen.rules.iter().any(|rule| sources::reads_present(&rule.query));
    let present = files.is_empty() || (files.processes().is_none() && asked());
    let snapshot = present.then(|| live::snapshot(now)).transpose()?;
    let history = chosen.rules.iter().any(|rule| !sources::stored_tables(&rule.query).is_empty());
    let stored = history.then(|| store::open(hunt.data.as_ref(), &globals.settings));
    // A store that was named has to be there; the usual one may not.
    if let (Some(Err(error)), Some(_)) = (&stored, &hunt.data) {
        bail!("{error}");
    }
    let stored_view = stored.as_ref().and_then(|stored| stored.as_ref().ok());
    let present =
        Present { now, patience: hunt.patience, snapshot: snapshot.as_ref(), stored: stored_view, files: &files };
    let before = cpu_time();
    let mut report = present.hunt(&chosen.rules, &progress);
    let effort = Effort { compiled: set.rules().count(), compile, run: cpu_time().saturating_sub(before) };
    drop(progress);
    if !chosen.refused.is_empty() || !found.unreadable.is_empty() {
        report.completeness.add(Reason::RuleRefused);
    }
    let rules = count(report.ran, "rule", "rules");
    let looked = format!("{rules} from {} × {}", found.place, present.describe());
    screen.say(Mark::Note, &format!("{looked} · {} ms", started.elapsed().as_millis()));
    let extent = show(&report.findings, globals, screen)?;
    let why = stored.and_then(Result::err);
    summarize(&report, &effort, &chosen.refused, snapshot.as_ref(), why.as_ref(), globals, screen);
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

/// What rules look at.
struct Present<'a> {
    now: Timestamp,
    /// What each may take.
    patience: TimeoutArgument,
    snapshot: Option<&'a Snapshot>,
    stored: Option<&'a Stored>,
    files: &'a FileTables,
}

impl Present<'_> {
    /// `312 processes and 40 records of events · live snapshot · file events.jsonl`.
    fn describe(&self) -> String {
        let processes = self.snapshot.map(|snapshot| format!("{} processes", snapshot.rows.num_rows()));
        let rows: Vec<_> = processes.into_iter().chain(self.files.describe()).collect();
        let origins = self.snapshot.map(live::note).into_iter().chain(self.stored.map(store::note));
        let origins: Vec<_> = origins.chain(self.files.origins()).collect();
        format!("{} · {}", rows.join(" and "), origins.join(" · "))
    }

    fn hunt<'r>(&self, rules: &[&'r CheckedRule], progress: &Progress) -> Report<'r> {
        let processes = self.files.processes().or(self.snapshot.map(|snapshot| &snapshot.rows));
        let view = View::new(processes, self.stored.map(|stored| &stored.view as &dyn Reader));
        let view = self.files.before(&view);
        let counted = Counted::new(&view);
        let completeness = self.snapshot.map(|snapshot| snapshot.completeness.clone()).unwrap_or_default();
        let mut report = Report { completeness, ..Report::default() };
        progress.step("running rules", Unit::Things, Some(rules.len() as u64));
        for rule in rules {
            progress.advance(1);
            let name = rule.name();
            // The records of a file may be another system's.
            let is_for = |header: &Header| header.platform.iter().any(|platform| platform == std::env::consts::OS);
            let is_for_here = rule.header.as_ref().is_none_or(is_for);
            if !is_for_here && !sources::reads_files(&rule.query) {
                report.elsewhere.push(name);
            } else if self.stored.is_none() && !sources::stored_tables(&rule.query).is_empty() {
                report.need_history.push(name);
            } else {
                self.note_limits(rule, &mut report);
                let started = Instant::now();
                let before = report.findings.len();
                if let Err(error) = self.run(rule, &counted, &mut report) {
                    report.stopped.push((name, error.to_string()));
                    report.completeness.add(Reason::RuleQuarantined);
                }
                let rows = count(report.findings.len() - before, "row", "rows");
                report.timings.push(format!("{name}: {rows} in {:.1} ms", started.elapsed().as_secs_f64() * 1e3));
            }
        }
        report.rows = counted.total();
        report.findings.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.rule.cmp(b.rule)));
        report
    }

    fn run<'r>(
        &self,
        rule: &'r CheckedRule,
        reader: &dyn Reader,
        report: &mut Report<'r>,
    ) -> Result<(), daemoneye_planner::Error> {
        let (plan, mut parts) = (plan(&rule.query), vec![]);
        let ended = ask(&plan, reader, self.now, Some(&self.patience.begin()), &mut |rows| {
            parts.push(rows);
            ControlFlow::Continue(())
        })?;
        let header = rule.header.as_ref();
        report.ran += 1;
        if ended.completeness.reasons.contains(&Reason::StatementTimedOut) {
            report.stopped.push((rule.name(), "its time was over: make it narrower, or --timeout longer".to_owned()));
        }
        let mut completeness = sources::completeness(&rule.query, self.snapshot).and(&ended.completeness);
        if !rule.absent.is_empty() {
            completeness.add(Reason::ColumnAbsentInData);
        }
        report.completeness = std::mem::take(&mut report.completeness).and(&completeness);
        let names: Vec<_> = rule.query.output.iter().map(|output| output.name.as_str()).collect();
        let rows = &stacked(&plan, &parts);
        report.findings.extend((0..rows.num_rows()).map(|row| {
            let cells: Vec<_> = rows.columns().iter().map(|column| Value::at(column, row)).collect();
            let value = |name: &str| names.iter().position(|it| *it == name).map(|at| &cells[at]);
            let overriding = value("alert_level").and_then(Value::as_text).and_then(Level::parse);
            Finding {
                level: overriding.or(header.map(|header| header.level)),
                rule: rule.name(),
                title: header.map(|it| it.title.render(|name| value(name).map(to_text).unwrap_or_default())),
                tags: header.map(|header| header.tags.as_slice()).unwrap_or_default(),
                subject: Subject {
                    proc_id: value("proc_id")
                        .or_else(|| Some(&cells[rule.query.output.iter().position(|output| output.identity)?]))
                        .and_then(Value::as_text)
                        .map(str::to_owned),
                    pid: value("pid").and_then(Value::as_integer),
                },
                row: names.iter().zip(&cells).map(|(name, cell)| ((*name).to_owned(), cell.to_json())).collect(),
                completeness: completeness.clone(),
            }
        }));
        Ok(())
    }

    /// Notes which columns the rule asks for in vain.
    fn note_limits<'r>(&self, rule: &'r CheckedRule, report: &mut Report<'r>) {
        for absent in &rule.absent {
            report.absent.entry(absent.clone()).or_default().push(rule.name());
        }
        let unreadable = self.snapshot.is_some_and(|snapshot| snapshot.unreadable > 0);
        for (table, column) in rule.query.columns_read() {
            let of_now = sources::is_present(&table.table);
            let limits = match column.access {
                Access::Owner if of_now && unreadable => &mut report.hidden,
                Access::Uncollected => &mut report.uncollected,
                Access::Owner | Access::Open | Access::Absent => continue,
            };
            limits.columns.insert(column.name.to_string());
            if limits.rules.last() != Some(&rule.name()) {
                limits.rules.push(rule.name());
            }
        }
    }
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
pub(crate) fn hits(found: files::Found, snapshot: &Snapshot, now: Timestamp, progress: &Progress) -> Hits {
    let set = RuleSet::check(found.sources, &Catalog::builtin().with_lists(found.lists).with_limits(found.limits));
    let files = FileTables::default();
    let rules: Vec<_> = set.rules().collect();
    let report =
        Present { now, patience: TimeoutArgument::default(), snapshot: Some(snapshot), stored: None, files: &files }
            .hunt(&rules, progress);
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
    Hits {
        looked: format!("{} from {}{history}", count(report.ran, "rule", "rules"), found.place),
        found: report.findings.into_iter().filter_map(hit).collect(),
        silent,
        completeness,
    }
}

fn show(findings: &[Finding<'_>], globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let objects = findings.iter().map(|finding| {
            let object = json!({
                "rule": finding.rule, "level": finding.level, "title": finding.title, "row": finding.row,
                "completeness": finding.completeness.to_json(),
            });
            object.as_object().cloned().unwrap_or_default()
        });
        print(screen, |out| write_json(out, form, objects))?;
        return Ok(Extent::Whole);
    }
    let columns = vec![
        Column::new("level", Align::Left),
        Column::new("rule", Align::Text),
        Column::new("title", Align::Text),
        Column::new("techniques", Align::Text),
    ];
    let row = |finding: &Finding<'_>| {
        vec![
            finding.level.map_or_else(|| Cell::new("-"), |level| Cell::painted(level.name(), paint_of(level))),
            Cell::new(finding.rule),
            Cell::new(finding.said()),
            Cell::new(techniques(finding.tags)),
        ]
    };
    let plain = form == Format::Table;
    let rows = findings.iter().map(row).collect();
    let table = Table { columns, rows, header: !plain, indent: if plain { 2 } else { 0 } };
    Ok(print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole))
}

/// The ATT&CK techniques among tags, as analysts write them: `T1059.004`.
pub(crate) fn techniques(tags: &[String]) -> String {
    let technique = |tag: &String| {
        let id = tag.strip_prefix("attack.")?;
        id.strip_prefix('t')?.starts_with(|c: char| c.is_ascii_digit()).then(|| id.to_uppercase())
    };
    tags.iter().filter_map(technique).collect::<Vec<_>>().join(" ")
}

impl Finding<'_> {
    /// The title, else the row.
    fn said(&self) -> String {
        let cells = || {
            self.row.iter().map(|(name, value)| match value {
                serde_json::Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            })
        };
        self.title.clone().unwrap_or_else(|| cells().collect::<Vec<_>>().join(" "))
    }
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

fn summarize(
    report: &Report<'_>,
    effort: &Effort,
    refused: &[&RuleFile],
    snapshot: Option<&Snapshot>,
    store: Option<&Error>,
    globals: &Globals,
    screen: &Screen,
) {
    let named = |rules: &[&str]| names(rules, globals.verbose);
    let note = |text: String| screen.say(Mark::Note, &text);
    let columns = |limits: &Limits<'_>| limits.columns.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    if globals.verbose {
        report.timings.iter().cloned().for_each(note);
    }
    let extent = match (report.completeness.is_complete(), report.completeness.scope) {
        (true, Scope::All) => "complete",
        (true, Scope::Visible) => "complete for what you may see",
        (false, _) => "incomplete",
    };
    note(format!("{} · {extent}", by_level(&report.findings)));
    let millis = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let (compile, run) = (millis(effort.compile), millis(effort.run));
    let (compiled, rows) = (effort.compiled, count(report.rows, "row", "rows"));
    let matches = count(report.findings.len(), "match", "matches");
    note(format!(
        "compiled {compiled}, refused {} · {rows}, {matches} · processor: {compile} to compile, {run} to match",
        refused.len()
    ));
    if !report.need_history.is_empty() {
        let why = match store {
            None | Some(Error::NotFound(_)) => "start the agent".to_owned(),
            Some(error) => error.to_string(),
        };
        let rules = count(report.need_history.len(), "rule needs", "rules need");
        note(format!("{rules} history: {why} ({})", named(&report.need_history)));
    }
    if let Some(snapshot) = snapshot.filter(|_| !report.hidden.rules.is_empty()) {
        let rules = count(report.hidden.rules.len(), "rule is", "rules are");
        let processes = format!("{} of {} processes", snapshot.unreadable, snapshot.rows.num_rows());
        let what = format!("{} cannot be read of {processes}{}", columns(&report.hidden), live::remedy());
        note(format!("{rules} limited: {what} ({})", named(&report.hidden.rules)));
    }
    if !report.uncollected.rules.is_empty() {
        let rules = count(report.uncollected.rules.len(), "rule is", "rules are");
        let what = format!("nothing collects {} yet", columns(&report.uncollected));
        note(format!("{rules} limited: {what} ({})", named(&report.uncollected.rules)));
    }
    if !report.elsewhere.is_empty() {
        let rules = count(report.elsewhere.len(), "rule is", "rules are");
        note(format!("{rules} for other systems ({})", named(&report.elsewhere)));
    }
    for (Absent { table, column }, rules) in &report.absent {
        let text = format!("no record of {table} has a column {column}, which is NULL ({})", named(rules));
        screen.say(Mark::Warning, &text);
    }
    for (rule, error) in &report.stopped {
        screen.say(Mark::Warning, &format!("rule {rule} was stopped: {error}"));
    }
    for file in refused {
        screen.say(Mark::Warning, &format!("rule {} was refused and did not run", file.source.stem()));
    }
    if !report.completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&report.completeness));
    }
}

/// `2 findings (1 high, 1 medium)`.
fn by_level(findings: &[Finding<'_>]) -> String {
    let of = |level| findings.iter().filter(|finding| finding.level == level).count();
    let levels = Level::ALL.iter().rev().map(|level| (of(Some(*level)), level.name()));
    let levels = levels.chain([(of(None), "without level")]);
    let levels: Vec<_> = levels.filter(|(number, _)| *number > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let total = count(findings.len(), "finding", "findings");
    if levels.is_empty() { total } else { format!("{total} ({})", levels.join(", ")) }
}

/// Rules by name, or the first of many.
pub(crate) fn names(rules: &[&str], all: bool) -> String {
    let shown = if all { rules.len() } else { NAMED_MAX.min(rules.len()) };
    let listed = rules[..shown].join(", ");
    match rules.len() - shown {
        0 => listed,
        more => format!("{listed} and {more} more, which -v names"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_written_as_analysts_do() {
        let tags = ["attack.execution", "attack.t1059.004", "cve.2021.44228", "attack.t1190", "attack.tools"];
        assert_eq!(techniques(&tags.map(str::to_owned)), "T1059.004 T1190");
    }

    #[test]
    fn long_lists_of_names_are_counted() {
        assert_eq!(names(&["a", "b"], false), "a, b");
        assert_eq!(names(&["r"; 8], false), "r, r, r, r, r, r and 2 more, which -v names");
        assert_eq!(names(&["r"; 8], true).matches('r').count(), 8);
    }
}
