//! The rules that run: loaded, compiled, installed; and those that do not, with the reason.

use std::io::Write;
use std::path::PathBuf;

use daemoneye_dsl::diagnostic::{Severity, Style, error_count};
use daemoneye_dsl::header::Header;
use daemoneye_dsl::limits::Limits;
use daemoneye_dsl::query::{CheckedRule, Output};
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::status::{RuleState, RuleStatus};
use daemoneye_dsl::tables::{Access, Catalog};
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Batch, Dataflow, Error, Plan, RuleId, execute, matches_are_events, plan};
use daemoneye_settings::lists::rule_lists;
use daemoneye_settings::paths::{Unreadable, rule_sources};
use daemoneye_storage::Reader;

use crate::tally::Tally;

/// A rule that runs.
pub(crate) struct Rule {
    pub(crate) name: String,
    /// The file that says it.
    pub(crate) path: PathBuf,
    pub(crate) revision: String,
    pub(crate) header: Header,
    /// The columns of a match.
    pub(crate) output: Vec<Output>,
    /// Which of them tell one match from another.
    pub(crate) key: Vec<usize>,
    /// How long the same key counts up one alert, in microseconds from the first raise.
    pub(crate) window_micros: i64,
    /// A match is something that happened: it has no end.
    pub(crate) events: bool,
    plan: Plan,
    /// Its place among those that run.
    pub(crate) running: Option<RuleId>,
    /// It reads columns that change without their process changing.
    pub(crate) reads_samples: bool,
    /// Snapshots in a row for which it took longer than it may.
    pub(crate) slow: u32,
    /// Its result was taken whole at least once; from then on only changes are looked at.
    pub(crate) loaded: bool,
    /// Why it no longer runs.
    pub(crate) quarantined: Option<Quarantine>,
    /// What is said of it while it runs.
    pub(crate) status: RuleStatus,
    /// What it cost and found.
    pub(crate) tally: Tally,
}

/// Why a rule does not run, and since which snapshot.
pub(crate) struct Quarantine {
    pub(crate) why: String,
    pub(crate) since: Timestamp,
}

impl Rule {
    /// One that does not run yet. Rules of files have a header.
    pub(crate) fn of(rule: &CheckedRule) -> Self {
        let header = rule.header.clone().expect("a checked rule file has a header");
        let plan = plan(&rule.query);
        Self {
            name: rule.name().to_owned(),
            path: PathBuf::from(&rule.source.path),
            revision: rule.revision.clone(),
            key: rule.match_key().columns,
            window_micros: header.window_micros(),
            output: rule.query.output.clone(),
            status: RuleStatus {
                name: rule.name().to_owned(),
                state: RuleState::Running,
                detail: None,
                level: Some(header.level),
                id: Some(header.id.clone()),
                revision: Some(rule.revision.clone()),
                path: rule.source.path.clone(),
            },
            header,
            events: matches_are_events(&plan),
            plan,
            running: None,
            slow: 0,
            reads_samples: rule.query.reads_samples(),
            loaded: false,
            quarantined: None,
            tally: Tally::default(),
        }
    }

    /// What it finds in the tables as they are.
    pub(crate) fn ask(&self, reader: &dyn Reader, now: Timestamp) -> Result<Batch, Error> {
        let answer = execute(&self.plan, reader, now)?;
        Ok(Batch::appearing(answer.rows))
    }

    /// What is said of it now.
    pub(crate) fn status_now(&self) -> RuleStatus {
        match &self.quarantined {
            Some(Quarantine { why, .. }) => {
                RuleStatus { state: RuleState::Quarantined, detail: Some(why.clone()), ..self.status.clone() }
            }
            None => self.status.clone(),
        }
    }

    /// Takes its place among those that run, if it may and has none.
    pub(crate) fn install(&mut self, dataflow: &mut Dataflow) {
        if self.quarantined.is_none() && self.running.is_none() {
            self.running = Some(dataflow.install(&self.plan));
        }
    }

    /// Forgets its place and what it held: it is filled anew from what is stored.
    pub(crate) fn reset(&mut self) {
        self.running = None;
        self.loaded = false;
    }

    /// It does not run any more, for this reason.
    pub(crate) fn quarantine(&mut self, why: Quarantine, dataflow: &mut Dataflow) {
        if let Some(id) = self.running.take() {
            dataflow.remove(id);
        }
        self.loaded = false;
        self.slow = 0;
        self.quarantined = Some(why);
    }
}

/// What was found under the rule paths.
pub(crate) struct Loaded {
    pub(crate) rules: Vec<Rule>,
    /// Files with errors, and with warnings.
    pub(crate) remarked: Vec<RuleFile>,
    /// Files that could not be read.
    pub(crate) unreadable: Vec<Unreadable>,
    /// Rules for other systems.
    pub(crate) elsewhere: Vec<String>,
    /// Rules with columns that are always NULL here.
    pub(crate) limited: Vec<(String, Vec<String>)>,
    /// What became of every file.
    pub(crate) statuses: Vec<RuleStatus>,
}

/// Reads, checks and compiles every rule under `paths`. What does not compile is reported, not an error.
pub(crate) fn load(paths: &[PathBuf], limits: Limits) -> Loaded {
    let (lists, mut unreadable) = rule_lists(paths);
    let sources =
        rule_sources(paths).into_iter().filter_map(|source| source.map_err(|error| unreadable.push(error)).ok());
    let set = RuleSet::check(sources.collect(), &Catalog::builtin().with_lists(lists).with_limits(limits));
    let statuses = unreadable.iter().map(unreadable_status).collect();
    let mut loaded =
        Loaded { rules: vec![], remarked: vec![], unreadable, elsewhere: vec![], limited: vec![], statuses };
    for mut file in set.files {
        match file.rule.take() {
            Some(rule) => loaded.take(&rule),
            None => loaded.statuses.push(refused_status(&file)),
        }
        if !file.diagnostics.is_empty() {
            loaded.remarked.push(file);
        }
    }
    loaded
}

impl Loaded {
    fn take(&mut self, rule: &CheckedRule) {
        let mut new = Rule::of(rule);
        let platforms = &new.header.platform;
        if !platforms.iter().any(|platform| platform == std::env::consts::OS) {
            let detail = Some(platforms.join(", "));
            self.statuses.push(RuleStatus { state: RuleState::OtherSystem, detail, ..new.status });
            return self.elsewhere.push(new.name);
        }
        let columns = rule.query.columns_read();
        let absent = columns.iter().filter(|(_, column)| column.access == Access::Uncollected);
        let absent: Vec<_> = absent.map(|(_, column)| column.name.to_string()).collect();
        if !absent.is_empty() {
            new.status.state = RuleState::Limited;
            new.status.detail = Some(absent.join(", "));
            self.limited.push((new.name.clone(), absent));
        }
        self.statuses.push(new.status.clone());
        self.rules.push(new);
    }

    /// Files that do not compile or could not be read.
    pub(crate) fn refused(&self) -> usize {
        self.unreadable.len() + self.broken().count()
    }

    fn broken(&self) -> impl Iterator<Item = &RuleFile> {
        self.remarked.iter().filter(|file| error_count(&file.diagnostics) > 0)
    }

    /// Says what became of every rule file that does not simply run: drawn for people, or as lines of the log.
    pub(crate) fn report(&self, drawing: Option<Style>) {
        for error in &self.unreadable {
            tracing::error!("{error}");
        }
        for file in &self.remarked {
            for diagnostic in &file.diagnostics {
                if let Some(style) = drawing {
                    let drawn = diagnostic.render(&file.source, style);
                    let _nobody_reads = writeln!(anstream::stderr(), "{drawn}\n");
                } else {
                    let (line, column) = file.source.position(diagnostic.span().start);
                    let (file, code) = (&file.source.path, diagnostic.code);
                    let help = diagnostic.help.as_ref().map(|help| help.text.as_str()).unwrap_or_default();
                    tracing::warn!(file, line, column, code, help, "{}", diagnostic.message);
                }
            }
        }
        for name in &self.elsewhere {
            tracing::info!(rule = name, "rule for another system, not run");
        }
        for (name, columns) in &self.limited {
            tracing::warn!(rule = name, ?columns, "rule limited: no collector reports these columns here");
        }
    }

    /// Takes the place of `running`, of which stay: rules that are as they were, with all that they hold, and the last
    /// good version of those whose file cannot be used. Nothing is given, and nothing changed, where none would run.
    pub(crate) fn replace(mut self, running: &mut Vec<Rule>) -> Option<Turnover> {
        let unusable: Vec<PathBuf> = self.broken().map(|file| PathBuf::from(&file.source.path)).collect();
        let unusable: Vec<PathBuf> =
            unusable.into_iter().chain(self.unreadable.iter().map(|unreadable| unreadable.path.clone())).collect();
        // A directory that cannot be read may hold any file below it.
        let is_lost = |rule: &Rule| unusable.iter().any(|path| rule.path.starts_with(path));
        let is_taken = |rule: &Rule, rules: &[Rule]| rules.iter().any(|new| rule.is_named_as(new));
        if self.rules.is_empty() && !running.iter().any(is_lost) {
            return None;
        }
        let mut turnover = Turnover::default();
        for old in running.drain(..) {
            if let Some(new) = self.rules.iter_mut().find(|new| new.header.id == old.header.id) {
                turnover.note(&old, new);
                if new.name == old.name && new.revision == old.revision {
                    let (path, status) = (std::mem::take(&mut new.path), new.status.clone());
                    *new = Rule { path, status, ..old };
                } else {
                    turnover.gone.extend(old.running);
                }
            } else if is_lost(&old) && !is_taken(&old, &self.rules) {
                turnover.kept.push(old.name.clone());
                self.rules.push(old);
            } else {
                turnover.gone.extend(old.running);
                turnover.removed.push(old.name);
            }
        }
        let known = |rule: &&Rule| !turnover.seen.contains(&rule.header.id) && !turnover.kept.contains(&rule.name);
        turnover.added = self.rules.iter().filter(known).map(|rule| rule.name.clone()).collect();
        *running = self.rules;
        Some(turnover)
    }
}

impl Rule {
    fn is_named_as(&self, other: &Self) -> bool {
        self.header.id == other.header.id || self.name == other.name
    }
}

/// What reading the rules anew changed.
#[derive(Default)]
pub(crate) struct Turnover {
    unchanged: usize,
    /// Name, old and new revision.
    changed: Vec<(String, String, String)>,
    added: Vec<String>,
    removed: Vec<String>,
    /// Their files cannot be used; the version before goes on.
    kept: Vec<String>,
    /// The ids that there were before and are now.
    seen: Vec<String>,
    /// The places of those that ran and are no more as they were.
    pub(crate) gone: Vec<RuleId>,
}

impl Turnover {
    fn note(&mut self, old: &Rule, new: &Rule) {
        self.seen.push(old.header.id.clone());
        if new.name == old.name && new.revision == old.revision {
            self.unchanged += 1;
        } else {
            self.changed.push((new.name.clone(), old.revision.clone(), new.revision.clone()));
        }
    }

    /// Says it, rule by rule and in numbers.
    pub(crate) fn log(&self, rules: usize) {
        for (rule, old, new) in &self.changed {
            tracing::info!(rule, old, new, "rule changed");
        }
        self.added.iter().for_each(|rule| tracing::info!(rule, "rule added"));
        self.removed.iter().for_each(|rule| tracing::info!(rule, "rule removed"));
        let kept = "rule kept as it was: its file cannot be used";
        self.kept.iter().for_each(|rule| tracing::warn!(rule, "{kept}"));
        let (changed, added, removed) = (self.changed.len(), self.added.len(), self.removed.len());
        let (unchanged, kept) = (self.unchanged, self.kept.len());
        tracing::info!(rules, unchanged, changed, added, removed, kept, "rules reloaded");
    }
}

/// A file with errors: the first of them says why.
fn refused_status(file: &RuleFile) -> RuleStatus {
    let first = file.diagnostics.iter().find(|it| it.severity == Severity::Error);
    RuleStatus {
        name: file.source.stem().to_owned(),
        state: RuleState::Refused,
        detail: first.map(|it| format!("{}: {}", it.code, it.message)),
        level: None,
        id: None,
        revision: None,
        path: file.source.path.clone(),
    }
}

/// A file or directory that cannot be read.
fn unreadable_status(unreadable: &Unreadable) -> RuleStatus {
    let path = unreadable.path.display().to_string();
    RuleStatus {
        name: unreadable.path.file_stem().map_or_else(|| path.clone(), |stem| stem.to_string_lossy().into_owned()),
        state: RuleState::Refused,
        detail: Some(unreadable.error.to_string()),
        level: None,
        id: None,
        revision: None,
        path,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn rule(number: u32, sql: &str) -> String {
        format!(
            "-- @id: 00000000-0000-4000-8000-{number:012}\n-- @title: t\n-- @level: low\n-- @status: test\n\
             -- @description: d\n-- @tags: attack.execution\n-- @platform: linux, macos, windows\n{sql}\n"
        )
    }

    fn names(rules: &[Rule]) -> Vec<(&str, bool)> {
        rules.iter().map(|rule| (rule.name.as_str(), rule.loaded)).collect()
    }

    #[test]
    fn what_is_as_it_was_keeps_what_it_holds_and_nothing_that_cannot_be_read_is_lost() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let (good, other) = ("SELECT pid FROM processes", "SELECT ppid FROM processes");
        fs::create_dir(dir.path().join("below")).unwrap();
        write("a.sql", &rule(1, good));
        write("b.sql", &rule(2, good));
        write("below/c.sql", &rule(3, good));
        let paths = [dir.path().join("a.sql"), dir.path().join("b.sql"), dir.path().join("below")];
        let mut running = load(&paths, Limits::default()).rules;
        let mut dataflow = Dataflow::default();
        for rule in &mut running {
            rule.install(&mut dataflow);
            rule.loaded = true;
        }
        let places = [running[0].running, running[1].running];

        write("b.sql", &rule(2, other));
        let turnover = load(&paths, Limits::default()).replace(&mut running).unwrap();
        assert_eq!(names(&running), [("a", true), ("b", false), ("c", true)], "the changed one starts anew");
        assert_eq!((turnover.unchanged, turnover.changed.len(), turnover.added.len()), (2, 1, 0));
        assert_eq!([running[0].running, turnover.gone.first().copied()], places, "and the others stay where they are");

        write("a.sql", "SELECT");
        fs::remove_dir_all(dir.path().join("below")).unwrap();
        let turnover = load(&paths, Limits::default()).replace(&mut running).unwrap();
        assert_eq!(names(&running), [("b", false), ("a", true), ("c", true)]);
        assert_eq!(turnover.kept, ["a", "c"]);

        // The rule has moved: the version that was kept makes way.
        write("b.sql", &rule(1, other));
        let turnover = load(&paths, Limits::default()).replace(&mut running).unwrap();
        assert_eq!(names(&running), [("b", false), ("c", true)]);
        assert_eq!((turnover.removed.as_slice(), turnover.changed.len()), (&["b".to_owned()][..], 1));

        assert!(load(&[], Limits::default()).replace(&mut running).is_none(), "detection does not end by a reload");
        assert_eq!(running.len(), 2);
    }

    #[test]
    fn a_list_that_changed_changes_the_rules_that_read_it_and_one_that_cannot_be_read_none() {
        let dir = tempfile::tempdir().unwrap();
        let paths = [dir.path().to_owned()];
        let list = dir.path().join("lists/web.txt");
        fs::create_dir(dir.path().join("lists")).unwrap();
        fs::write(&list, "nginx").unwrap();
        let asks = "SELECT pid FROM processes WHERE name IN (SELECT value FROM list('web'))";
        fs::write(dir.path().join("a.sql"), rule(1, asks)).unwrap();
        fs::write(dir.path().join("b.sql"), rule(2, "SELECT pid FROM processes")).unwrap();
        let mut running = load(&paths, Limits::default()).rules;

        fs::write(&list, "nginx\nhttpd").unwrap();
        let turnover = load(&paths, Limits::default()).replace(&mut running).unwrap();
        assert_eq!((turnover.unchanged, turnover.changed[0].0.as_str()), (1, "a"));

        fs::write(&list, b"\xff").unwrap();
        let loaded = load(&paths, Limits::default());
        assert_eq!(loaded.refused(), 2, "the list and the rule that reads it");
        let turnover = loaded.replace(&mut running).unwrap();
        assert_eq!((turnover.kept.as_slice(), turnover.unchanged), (&["a".to_owned()][..], 1));
    }
}
