//! The rules that run: loaded, compiled, installed; and those that do not, with the reason.

use std::path::PathBuf;

use daemoneye_dsl::header::{DEDUP_WINDOW_DEFAULT_MICROS, Header};
use daemoneye_dsl::query::{CheckedRule, Output};
use daemoneye_dsl::ruleset::{RuleFile, RuleSet};
use daemoneye_dsl::tables::{Access, Catalog, Kind};
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
        let reads_samples = columns.iter().any(|(table, column)| column.volatile && table.table.kind == Kind::State);
        let output = rule.query.output[..rule.query.visible].to_vec();
        self.rules.push(Rule {
            name: rule.name().to_owned(),
            revision: rule.revision.clone(),
            key: key(&header, &output),
            window_micros: header.dedup.as_ref().map_or(DEDUP_WINDOW_DEFAULT_MICROS, |dedup| dedup.window_micros),
            output,
            header,
            installed: Installed::new(&plan),
            plan,
            reads_samples,
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

/// What tells one match from another: the `@dedup` columns; else the GROUP BY keys; else the processes that the row
/// names; else everything that is not a sample.
fn key(header: &Header, output: &[Output]) -> Vec<usize> {
    let places = |wanted: &dyn Fn(&Output) -> bool| -> Vec<usize> {
        output.iter().enumerate().filter(|(_, column)| wanted(column)).map(|(at, _)| at).collect()
    };
    if let Some(dedup) = &header.dedup {
        let named = dedup.columns.iter().filter_map(|(name, _)| output.iter().position(|column| column.name == *name));
        return named.collect();
    }
    let candidates = [
        places(&|column| column.group_key),
        places(&|column| column.identity),
        places(&|column| !column.volatile),
        places(&|_| true),
    ];
    candidates.into_iter().find(|key| !key.is_empty()).unwrap_or_default()
}
