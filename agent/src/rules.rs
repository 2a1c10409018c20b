//! The rules that run: loaded, compiled, installed; and those that do not, with the reason.

use std::path::PathBuf;

use daemoneye_dsl::header::Header;
use daemoneye_dsl::query::{CheckedRule, Output};
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::{Access, Catalog};
use daemoneye_planner::{Installed, Plan, plan};
use daemoneye_storage::paths::rule_sources;

/// A rule that runs.
pub(crate) struct Rule {
    pub(crate) name: String,
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
    pub(crate) unreadable: Vec<std::io::Error>,
    /// Rules for other systems.
    pub(crate) elsewhere: Vec<String>,
    /// Rules with columns that are always NULL here.
    pub(crate) limited: Vec<(String, Vec<String>)>,
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
            self.limited
                .push((rule.name().to_owned(), absent.iter().map(|(_, column)| column.name.to_string()).collect()));
        }
        let plan = plan(&rule.query);
        let output = rule.query.output[..rule.query.visible].to_vec();
        self.rules.push(Rule {
            name: rule.name().to_owned(),
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
        let with_errors = |file: &&RuleFile| daemoneye_dsl::diagnostic::error_count(&file.diagnostics) > 0;
        self.unreadable.len() + self.remarked.iter().filter(with_errors).count()
    }
}
