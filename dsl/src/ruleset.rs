//! Many rule files together: what only shows when they are seen side by side.

use std::collections::HashMap;

use crate::check::{Checked, check_once, check_rule};
use crate::diagnostic::{Diagnostic, Source, error_count};
use crate::header::Annotation;
use crate::lints::{Further, lint};
use crate::query::CheckedRule;
use crate::tables::lineage::Lineage;
use crate::tables::{Catalog, Kind};

/// Rule files, checked.
#[derive(Debug)]
pub struct RuleSet {
    /// In the order in which they were given.
    pub files: Vec<RuleFile>,
}

/// One file and what was found in it.
#[derive(Debug)]
pub struct RuleFile {
    /// Its text.
    pub source: Source,
    /// The rule, if it compiles and can run.
    pub rule: Option<CheckedRule>,
    /// The rule, if it compiles and cannot run yet.
    pub unavailable: Option<CheckedRule>,
    /// Every finding.
    pub diagnostics: Vec<Diagnostic>,
}

impl RuleSet {
    /// Checks every file by itself, then that no two rules have the same id or name (DE103): alerts and their
    /// deduplication are kept by id, and people speak of rules by name. The first keeps it.
    pub fn check(sources: Vec<Source>, catalog: &Catalog) -> Self {
        Self::of(sources, |source| check_rule(source, catalog))
    }

    /// The same, with everything that can be said of rules that compile.
    pub fn lint(sources: Vec<Source>, catalog: &Catalog, further: &Further) -> Self {
        Self::of(sources, |source| lint(source, catalog, further))
    }

    /// Checks files that are run once: a header is checked where there is one.
    pub fn check_once(sources: Vec<Source>, catalog: &Catalog) -> Self {
        Self::of(sources, |source| check_once(source, catalog))
    }

    fn of(sources: Vec<Source>, check: impl Fn(&Source) -> Checked) -> Self {
        let file = |source: Source| {
            let Checked { rule, unavailable, diagnostics } = check(&source);
            RuleFile { source, rule, unavailable, diagnostics }
        };
        let mut set = Self { files: sources.into_iter().map(file).collect() };
        set.refuse_repeats("id", |rule| rule.header.as_ref().map(|header| header.id.clone()));
        set.refuse_repeats("name", |rule| Some(rule.name().to_owned()));
        set.files.iter_mut().for_each(RuleFile::refuse_other_tables);
        set
    }

    fn refuse_repeats(&mut self, what: &str, of: impl Fn(&CheckedRule) -> Option<String>) {
        let mut first: HashMap<String, String> = HashMap::new();
        for file in &mut self.files {
            let Some((rule, value)) = file.rule.as_ref().and_then(|rule| Some((rule, of(rule)?))) else { continue };
            let Some(path) = first.get(&value) else {
                first.insert(value, file.source.path.clone());
                continue;
            };
            let id = rule.annotations.iter().find(|annotation| annotation.key == "id");
            let span = id.map_or(0..0, Annotation::value_span);
            let message = format!("the {what} `{value}` is that of another rule, {path}");
            file.diagnostics
                .push(Diagnostic::error("DE103", span, message).help(format!("give it a {what} of its own")));
            file.rule = None;
        }
    }

    /// The rules that compile.
    pub fn rules(&self) -> impl Iterator<Item = &CheckedRule> {
        self.files.iter().filter_map(|file| file.rule.as_ref())
    }

    /// The same with the rules that cannot run yet in their places: to be looked at, not to be run.
    #[must_use]
    pub fn with_unavailable(mut self) -> Self {
        for file in &mut self.files {
            file.rule = file.rule.take().or_else(|| file.unavailable.take());
        }
        self
    }

    /// The files that do not.
    pub fn refused(&self) -> impl Iterator<Item = &RuleFile> {
        self.files.iter().filter(|file| error_count(&file.diagnostics) > 0)
    }
}

/// The tables whose changes a collector reports: what a rule can run on.
const RULE_TABLES: [&str; 3] = ["processes", "process_starts", "process_exits"];

impl RuleFile {
    /// DE311: a rule runs on changes; the other tables are the record of what was. The records of a file are run over
    /// once.
    fn refuse_other_tables(&mut self) {
        let Some(rule) = &self.rule else { return };
        let tables = rule.query.tables();
        let runs = |name: &str| RULE_TABLES.contains(&name) || Lineage::named(name).is_some();
        let other = tables.iter().find(|it| it.table.kind != Kind::Records && !runs(&it.table.name));
        let Some(other) = other.map(|it| &*it.table.name) else { return };
        let at = self.source.text.rfind(other).map_or(0..0, |at| at..at + other.len());
        let message = format!("a rule cannot run on `{other}`");
        let help = format!("rules run on the changes of {}; query `{other}` by hand", RULE_TABLES.join(", "));
        self.diagnostics.push(Diagnostic::error("DE311", at, message).help(help));
        self.rule = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(path: &str, id: &str) -> Source {
        let text = format!(
            "-- @id: 00000000-0000-0000-0000-00000000000{id}\n-- @title: t\n-- @level: low\n-- @status: test\n\
             -- @description: d\n-- @tags: attack.execution\n-- @platform: linux\nSELECT proc_id FROM processes\n"
        );
        Source { path: path.to_owned(), text }
    }

    #[test]
    fn ids_and_names_are_unique() {
        let sources =
            vec![source("a/x.sql", "1"), source("b/y.sql", "1"), source("b/x.sql", "2"), source("z.sql", "3")];
        let set = RuleSet::check(sources, &Catalog::builtin());
        let names: Vec<_> = set.rules().map(CheckedRule::name).collect();
        assert_eq!(names, ["x", "z"]);
        let refused: Vec<_> = set.refused().map(|file| (file.source.path.as_str(), file.diagnostics[0].code)).collect();
        assert_eq!(refused, [("b/y.sql", "DE103"), ("b/x.sql", "DE103")]);
    }
}
