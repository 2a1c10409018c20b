//! Rules that were checked, as reports and closing lines see them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use daemoneye_dsl::diagnostic::{Diagnostic, Region, Safety, Severity, Source};
use daemoneye_dsl::lints;
use daemoneye_dsl::ruleset::RuleSet;
use daemoneye_settings::paths::Unreadable;

use crate::screen::count;

/// Hexadecimal digits of a fingerprint.
const FINGERPRINT_LEN: usize = 32;

/// What one run has found.
pub(super) struct Linted {
    /// The rules and their findings.
    pub(super) set: RuleSet,
    /// What could not be read.
    pub(super) unreadable: Vec<Unreadable>,
    /// Files that could not be mended, as was said.
    pub(super) unfixed: usize,
    /// The mildest finding that makes the check fail.
    pub(super) fail_on: Severity,
    /// Whether people want to see notes.
    pub(super) shows_notes: bool,
    /// How long it took.
    pub(super) elapsed: Duration,
}

/// A finding and the text that it is about.
#[derive(Clone, Copy)]
pub(super) struct Finding<'a> {
    pub(super) source: &'a Source,
    pub(super) diagnostic: &'a Diagnostic,
}

impl Linted {
    /// In the order of files and of their text.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding<'_>> {
        self.set.files.iter().flat_map(|file| {
            let source = &file.source;
            file.diagnostics.iter().map(move |diagnostic| Finding { source, diagnostic })
        })
    }

    /// The gravest first: who reads only the first ones reads those that matter.
    pub(super) fn gravest_first(&self) -> Vec<Finding<'_>> {
        let mut findings: Vec<_> = self.findings().collect();
        findings.sort_by_key(|finding| Reverse(finding.diagnostic.severity));
        findings
    }

    /// Findings of that severity.
    pub(super) fn number(&self, severity: Severity) -> usize {
        self.findings().filter(|finding| finding.diagnostic.severity == severity).count()
    }

    /// `3 errors, 1 warning`, and notes if there are any.
    pub(super) fn numbers(&self) -> String {
        let [errors, warnings, notes] = Severity::ALL.map(|(_, severity)| self.number(severity));
        let notes = if notes > 0 { format!(", {}", count(notes, "note", "notes")) } else { String::new() };
        format!("{}, {}{notes}", count(errors, "error", "errors"), count(warnings, "warning", "warnings"))
    }

    /// The line below everything.
    pub(super) fn counts(&self) -> String {
        let fixable = |safety| {
            let of = |finding: &Finding<'_>| finding.diagnostic.offered_fix().is_some_and(|fix| fix.safety == safety);
            self.findings().filter(of).count()
        };
        let (safe, other) = (fixable(Safety::Safe), fixable(Safety::ChangesMeaning));
        let mut more = Vec::new();
        if safe > 0 {
            more.push(format!("{safe} fixable with --fix"));
        }
        if other > 0 {
            more.push(format!("{other} with --fix --unsafe-fixes"));
        }
        if !self.shows_notes && self.number(Severity::Note) > 0 {
            more.push("--notes shows the notes".to_owned());
        }
        let more = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
        let rules = count(self.set.files.len(), "rule", "rules");
        format!("checked {rules} in {} ms: {}{more}", self.elapsed.as_millis(), self.numbers())
    }

    /// One of the codes found, to show how a code is asked about.
    pub(super) fn code_to_explain(&self) -> Option<&'static str> {
        let shown = |finding: &Finding<'_>| self.shows_notes || finding.diagnostic.severity > Severity::Note;
        self.gravest_first().into_iter().filter(shown).find_map(|it| Some(lints::find(it.diagnostic.code)?.code))
    }
}

impl<'a> Finding<'a> {
    /// The file as a repository knows it: below the working directory its path from there.
    pub(super) fn path(&self) -> &'a str {
        from_here(&self.source.path)
    }

    pub(super) fn region(&self) -> Region {
        self.source.region(self.diagnostic.span())
    }

    /// What is wrong, where it says more, why it matters and what to do, a line each.
    pub(super) fn text(&self) -> String {
        let it = self.diagnostic;
        let help = it.help.as_ref().map(|help| format!("help: {}", help.text));
        let note = it.note.as_ref().map(|note| format!("note: {note}"));
        std::iter::once(it.message.clone()).chain(note).chain(help).collect::<Vec<_>>().join("\n")
    }

    /// The text of the line, without what stands around it.
    fn line(&self) -> &'a str {
        self.source.text.lines().nth(self.region().line - 1).unwrap_or_default().trim()
    }
}

/// For each finding a name that it keeps while lines move: what, in which file, on which text, the how manyth such.
pub(super) fn fingerprints(findings: &[Finding<'_>]) -> Vec<String> {
    let mut seen: HashMap<[&str; 3], usize> = HashMap::new();
    let mut known = Vec::with_capacity(findings.len());
    for finding in findings {
        let parts = [finding.diagnostic.code, finding.path(), finding.line()];
        let before = seen.entry(parts).or_insert(0);
        let whole = format!("{}\0{before}", parts.join("\0"));
        *before += 1;
        known.push(blake3::hash(whole.as_bytes()).to_hex()[..FINGERPRINT_LEN].to_owned());
    }
    known
}

/// A path as seen from the working directory, if it lies below.
pub(super) fn from_here(path: &str) -> &str {
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| Path::new(path).strip_prefix(here).ok()?.to_str());
    let mut path = below.unwrap_or(path);
    while let Some(rest) = path.strip_prefix("./") {
        path = rest;
    }
    path
}
