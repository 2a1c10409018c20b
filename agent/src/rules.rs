//! The rules that run: loaded, compiled, installed; and those that do not, with the reason.

use std::io::Write;
use std::path::PathBuf;

use daemoneye_dsl::diagnostic::{Style, error_count};
use daemoneye_dsl::header::Header;
use daemoneye_dsl::query::{CheckedRule, Output};
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::{Access, Catalog};
use daemoneye_planner::{Installed, Plan, plan};
use daemoneye_settings::paths::{Unreadable, rule_sources};

/// A rule that runs.
pub(crate) struct Rule {
    pub(crate) name: String,
    /// The file that says it.
    path: PathBuf,
    pub(crate) revision: String,
    pub(crate) header: Header,
    /// The columns of a match.
    pub(crate) output: Vec<Output>,
    /// Which of them tell one match from another.
    pub(crate) key: Vec<usize>,
    /// How long the same key counts up one alert, in microseconds from the first raise.
    pub(crate) window_micros: i64,
    pub(crate) installed: Installed,
    plan: Plan,
    /// It reads columns that change without their process changing.
    pub(crate) reads_samples: bool,
    /// Its result was taken whole at least once; from then on only changes are looked at.
    pub(crate) loaded: bool,
    /// Why it no longer runs.
    pub(crate) quarantined: Option<String>,
}

impl Rule {
    /// Forgets what it holds: it is filled anew from what is stored.
    pub(crate) fn reset(&mut self) {
        self.installed = Installed::new(&self.plan);
        self.loaded = false;
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
    pub(crate) limited: Vec<(String, Vec<&'static str>)>,
}

/// Reads, checks and compiles every rule under `paths`. What does not compile is reported, not an error.
pub(crate) fn load(paths: &[PathBuf]) -> Loaded {
    let mut unreadable = Vec::new();
    let sources =
        rule_sources(paths).into_iter().filter_map(|source| source.map_err(|error| unreadable.push(error)).ok());
    let set = RuleSet::check(sources.collect(), &Catalog::builtin());
    let mut loaded = Loaded { rules: vec![], remarked: vec![], unreadable, elsewhere: vec![], limited: vec![] };
    for mut file in set.files {
        if let Some(rule) = file.rule.take() {
            loaded.take(&rule);
        }
        if !file.diagnostics.is_empty() {
            loaded.remarked.push(file);
        }
    }
    loaded
}

impl Loaded {
    fn take(&mut self, rule: &CheckedRule) {
        let header = rule.header.clone().expect("a checked rule file has a header");
        if !header.platform.iter().any(|platform| platform == std::env::consts::OS) {
            return self.elsewhere.push(rule.name().to_owned());
        }
        let columns = rule.query.columns_read();
        let absent: Vec<_> = columns.iter().filter(|(_, column)| column.access == Access::Uncollected).collect();
        if !absent.is_empty() {
            self.limited.push((rule.name().to_owned(), absent.iter().map(|(_, column)| column.name).collect()));
        }
        let plan = plan(&rule.query);
        let output = rule.query.output[..rule.query.visible].to_vec();
        self.rules.push(Rule {
            name: rule.name().to_owned(),
            path: PathBuf::from(&rule.source.path),
            revision: rule.revision.clone(),
            key: rule.match_key().columns,
            window_micros: header.window_micros(),
            output,
            header,
            installed: Installed::new(&plan),
            plan,
            reads_samples: rule.query.reads_samples(),
            loaded: false,
            quarantined: None,
        });
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
                    let path = std::mem::take(&mut new.path);
                    *new = Rule { path, ..old };
                }
            } else if is_lost(&old) && !is_taken(&old, &self.rules) {
                turnover.kept.push(old.name.clone());
                self.rules.push(old);
            } else {
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
