//! Every code that a finding can have: what it means, why, an example that has it and one that has not.
//!
//! What does not compile is found by the compiler ([`crate::check`]); what compiles and is probably not as meant, by a
//! function over the checked rule. Both kinds are described here, one file each, and everything that speaks of codes
//! reads [`ALL`]: `lint`, `lint --explain`, the reports, the reference, the tests that run the examples.

mod fix;
mod pid_join;
mod subject;
pub mod suppress;
mod unknown_column;

pub use fix::{Fixed, fix};
pub use subject::{Rows, Subject};

use crate::check::{Checked, check_rule_unsuppressed};
use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::tables::Catalog;

/// A code and what can be said of it.
#[derive(Debug)]
pub struct Lint {
    /// The code, such as `DE220`: it never changes its meaning and is never used again.
    pub code: &'static str,
    /// Its name in words, such as `pid-join`.
    pub name: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is found, as one sentence.
    pub summary: &'static str,
    /// Why it matters and what to do instead, in Markdown.
    pub why: &'static str,
    /// A rule that has it.
    pub fires: Example,
    /// The same rule without it.
    pub silent: Example,
    /// What finds it.
    pub check: Check,
}

/// A rule as an example.
#[derive(Clone, Copy, Debug)]
pub enum Example {
    /// A statement alone, to be put below an ordinary header.
    Statement(&'static str),
    /// A whole rule file.
    File(&'static str),
    /// One that is too long to be shown.
    Made {
        /// What is shown of it.
        shown: &'static str,
        /// The statement.
        statement: fn() -> String,
    },
}

/// What finds it.
#[derive(Clone, Copy, Debug)]
pub enum Check {
    /// The compiler, on its way.
    Compiler,
    /// A function over a rule that compiles.
    Rule(fn(Subject<'_>, &mut Vec<Diagnostic>)),
}

/// Every code, in order.
pub static ALL: &[&Lint] = &[&unknown_column::UNKNOWN_COLUMN, &pid_join::PID_JOIN];

/// The one with this code or name.
pub fn find(code: &str) -> Option<&'static Lint> {
    ALL.iter().copied().find(|lint| lint.code.eq_ignore_ascii_case(code) || lint.name == code)
}

impl Lint {
    /// Whether it is a judgement over a rule that compiles.
    pub fn judges(&self) -> bool {
        matches!(self.check, Check::Rule(_))
    }

    /// A finding of this kind.
    pub fn at(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(self.code, self.severity, span, message)
    }
}

/// The header of examples that are statements alone.
pub const EXAMPLE_HEADER: &str = "\
-- @id: 00000000-0000-4000-8000-000000000000
-- @title: an example
-- @level: low
-- @status: test
-- @description: An example.
-- @tags: attack.execution
-- @platform: linux
";

impl Example {
    /// As shown to people.
    pub fn shown(&self) -> &'static str {
        match self {
            Self::Statement(text) | Self::File(text) => text,
            Self::Made { shown, .. } => shown,
        }
    }

    /// As a rule file.
    pub fn source(self) -> Source {
        let text = match self {
            Self::Statement(text) => format!("{EXAMPLE_HEADER}{text}\n"),
            Self::File(text) => (*text).to_owned(),
            Self::Made { statement, .. } => format!("{EXAMPLE_HEADER}{}\n", statement()),
        };
        Source { path: "rules/example.sql".to_owned(), text }
    }
}

/// Compiles a rule file and runs every lint over it. What the file allows with a reason is left out.
pub fn lint(source: &Source, catalog: &Catalog) -> Checked {
    let mut checked = check_rule_unsuppressed(source, catalog);
    if let Some(rule) = &checked.rule {
        let subject = Subject::new(rule);
        for lint in ALL {
            if let Check::Rule(check) = lint.check {
                check(subject, &mut checked.diagnostics);
            }
        }
    }
    suppress::in_lint(source, &mut checked.diagnostics);
    checked.diagnostics.sort_by_key(|diagnostic| diagnostic.span().start);
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(example: &Example) -> Vec<&'static str> {
        let source = example.source();
        let found = lint(&source, &Catalog::builtin()).diagnostics;
        for it in &found {
            assert!(it.span().end <= source.text.len(), "{it:?}");
            assert!(!it.render(&source, crate::diagnostic::Style::default()).is_empty());
        }
        found.iter().map(|it| it.code).collect()
    }

    #[test]
    fn every_example_has_its_code_or_not() {
        for lint in ALL {
            assert!(codes(&lint.fires).contains(&lint.code), "{} does not fire: {:?}", lint.code, codes(&lint.fires));
            assert_eq!(codes(&lint.silent), <[&str; 0]>::default(), "the good example of {} has findings", lint.code);
        }
    }

    #[test]
    fn codes_are_in_order_and_names_are_unique() {
        assert!(ALL.is_sorted_by(|one, other| one.code < other.code));
        let mut names: Vec<_> = ALL.iter().map(|lint| lint.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
    }
}
