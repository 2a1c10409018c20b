//! What rules are run over: what the agent sees, or what this program sees by itself.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use arrow_array::RecordBatch;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::{Completeness, Reason, Scope};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::header::Header;
use daemoneye_dsl::query::CheckedRule;
use daemoneye_dsl::tables::Catalog;
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_planner::{Counted, View, ask, plan, stacked};
use daemoneye_settings::Settings;
use daemoneye_storage::Reader;

use super::report::Report;
use crate::agent::{Answered, Asking, Reply, statement};
use crate::file_table::FileTables;
use crate::progress::{Progress, Unit};
use crate::screen::{Mark, Screen, count};
use crate::store::{self, Stored};
use crate::timeout::TimeoutArgument;
use crate::{live, sources};

/// Where rules are run.
pub(super) enum Ground<'a> {
    Agent(Box<Agent>),
    Here(Present<'a>),
}

/// The agent, which runs them over its latest snapshot and its store.
pub(super) struct Agent {
    asking: Asking,
    now: Timestamp,
    patience: TimeoutArgument,
    processes: usize,
    /// What it said when it was asked for that number.
    first: Answered,
}

/// What this program sees by itself.
pub(super) struct Present<'a> {
    pub(super) now: Timestamp,
    /// What each rule may take.
    pub(super) patience: TimeoutArgument,
    pub(super) snapshot: Option<&'a Snapshot>,
    pub(super) stored: Option<&'a Stored>,
    pub(super) files: &'a FileTables,
}

/// A rule's rows and how complete they are, or why it was stopped.
type Outcome = Result<(RecordBatch, Completeness), String>;

impl Agent {
    /// The agent, if it answers and has seen this system.
    pub(super) fn find(
        (data, settings): (Option<&PathBuf>, &Settings),
        (now, patience): (Timestamp, TimeoutArgument),
        screen: &Screen,
    ) -> anyhow::Result<Option<Self>> {
        let Some(asking) = Asking::find(data, settings, screen) else { return Ok(None) };
        let counting = check_query(&Source::query("SELECT count(*) FROM processes"), &Catalog::builtin());
        let counting = counting.rule.expect("it compiles");
        let mut processes = 0;
        let reply = asking.ask(&counting.query, statement(&counting, patience.limit(), None), &mut |rows| {
            let counted = Value::at(rows.column(0), 0).as_integer();
            processes = counted.and_then(|it| usize::try_from(it).ok()).unwrap_or_default();
            ControlFlow::Continue(())
        })?;
        match reply {
            Reply::Answered(first) => Ok(Some(Self { asking, now, patience, processes, first })),
            Reply::TooEarly => {
                screen.say(Mark::Note, "the agent has seen no snapshot yet, so this program looks by itself");
                Ok(None)
            }
            Reply::Refused(why) => {
                screen
                    .say(Mark::Warning, &format!("the agent does not answer, so this program looks by itself: {why}"));
                Ok(None)
            }
        }
    }

    fn run(&self, rule: &CheckedRule, read: &mut BTreeMap<String, usize>) -> anyhow::Result<Outcome> {
        let mut parts = vec![];
        let statement = statement(rule, self.patience.limit(), Some(self.now));
        let reply = self.asking.ask(&rule.query, statement, &mut |rows| {
            parts.push(rows);
            ControlFlow::Continue(())
        })?;
        match reply {
            Reply::Answered(answered) => {
                for (table, rows, _) in answered.read {
                    let most = read.entry(table).or_default();
                    *most = rows.max(*most);
                }
                Ok(Ok((stacked(&plan(&rule.query), &parts), answered.completeness)))
            }
            Reply::Refused(why) => Ok(Err(why)),
            Reply::TooEarly => bail!("the agent was started anew in the midst of it; hunt again, or with --live"),
        }
    }
}

impl Present<'_> {
    fn run(&self, rule: &CheckedRule, reader: &dyn Reader) -> Outcome {
        let (plan, mut parts) = (plan(&rule.query), vec![]);
        let ended = ask(&plan, reader, self.now, Some(&self.patience.begin()), &mut |rows| {
            parts.push(rows);
            ControlFlow::Continue(())
        });
        let ended = ended.map_err(|error| error.to_string())?;
        let completeness = sources::completeness(&rule.query, self.snapshot).and(&ended.completeness);
        Ok((stacked(&plan, &parts), completeness))
    }
}

impl Ground<'_> {
    /// `312 processes and 40 records of events · live snapshot · file events.jsonl`.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Agent(agent) => format!("{} processes · {}", agent.processes, agent.first.origin()),
            Self::Here(Present { snapshot, stored, files, .. }) => {
                let processes = snapshot.map(|snapshot| format!("{} processes", snapshot.rows.num_rows()));
                let rows: Vec<_> = processes.into_iter().chain(files.describe()).collect();
                let origins = snapshot.map(live::note).into_iter().chain(stored.map(store::note));
                let origins: Vec<_> = origins.chain(files.origins()).collect();
                format!("{} · {}", rows.join(" and "), origins.join(" · "))
            }
        }
    }

    /// The processes of which not everything can be read, if there are any.
    pub(super) fn hidden(&self) -> Option<String> {
        match self {
            Self::Agent(agent) => {
                let is_narrow = agent.first.completeness.scope == Scope::Visible;
                is_narrow.then(|| "some processes by the agent".to_owned())
            }
            Self::Here(present) => {
                let snapshot = present.snapshot.filter(|snapshot| snapshot.unreadable > 0)?;
                let (hidden, all) = (snapshot.unreadable, snapshot.rows.num_rows());
                Some(format!("{hidden} of {all} processes{}", live::remedy()))
            }
        }
    }

    fn has_history(&self) -> bool {
        match self {
            Self::Agent(_) => true,
            Self::Here(present) => present.stored.is_some(),
        }
    }

    /// Runs the rules, one after the other.
    pub(super) fn hunt<'r>(&self, rules: &[&'r CheckedRule], progress: &Progress) -> anyhow::Result<Report<'r>> {
        match self {
            Self::Agent(agent) => {
                let mut read = BTreeMap::new();
                let completeness = agent.first.completeness.clone();
                let report = Report { completeness, ..Report::default() };
                let report = self.run(rules, report, progress, &mut |rule| agent.run(rule, &mut read))?;
                Ok(Report { rows: read.into_values().sum(), ..report })
            }
            Self::Here(present) => {
                let Present { snapshot, stored, files, .. } = present;
                let processes = files.processes().or(snapshot.map(|snapshot| &snapshot.rows));
                let view = View::new(processes, stored.map(|stored| &stored.view as &dyn Reader));
                let view = files.before(&view);
                let counted = Counted::new(&view);
                let completeness = snapshot.map(|snapshot| snapshot.completeness.clone()).unwrap_or_default();
                let report = Report { completeness, ..Report::default() };
                let report = self.run(rules, report, progress, &mut |rule| Ok(present.run(rule, &counted)))?;
                Ok(Report { rows: counted.total(), ..report })
            }
        }
    }

    fn run<'r>(
        &self,
        rules: &[&'r CheckedRule],
        mut report: Report<'r>,
        progress: &Progress,
        ask: &mut dyn FnMut(&CheckedRule) -> anyhow::Result<Outcome>,
    ) -> anyhow::Result<Report<'r>> {
        progress.step("running rules", Unit::Things, Some(rules.len() as u64));
        let hides = self.hidden().is_some();
        for rule in rules {
            progress.advance(1);
            let name = rule.name();
            // The records of a file may be another system's.
            let is_for = |header: &Header| header.platform.iter().any(|platform| platform == std::env::consts::OS);
            let is_for_here = rule.header.as_ref().is_none_or(is_for);
            if !is_for_here && !sources::reads_files(&rule.query) {
                report.elsewhere.push(name);
            } else if !self.has_history() && !sources::stored_tables(&rule.query).is_empty() {
                report.need_history.push(name);
            } else {
                report.note_limits(rule, hides);
                let started = Instant::now();
                let before = report.findings.len();
                match ask(rule)? {
                    Ok((rows, completeness)) => report.take(rule, &rows, completeness),
                    Err(why) => {
                        report.stopped.push((name, why));
                        report.completeness.add(Reason::RuleQuarantined);
                    }
                }
                let rows = count(report.findings.len() - before, "row", "rows");
                report.timings.push(format!("{name}: {rows} in {:.1} ms", started.elapsed().as_secs_f64() * 1e3));
            }
        }
        report.findings.sort_by(|a, b| b.level.cmp(&a.level).then_with(|| a.rule.cmp(b.rule)));
        Ok(report)
    }
}
