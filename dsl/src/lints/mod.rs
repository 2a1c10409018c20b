//! Every code that a finding can have: what it means, why, an example that has it and one that has not.
//!
//! What does not compile is found by the compiler ([`crate::check`]); what compiles and is probably not as meant, by a
//! function over the checked rule. Both kinds are described here, one file each, and everything that speaks of codes
//! reads [`ALL`]: `lint`, `lint --explain`, the reports, the reference, the tests that run the examples.

mod absent_column;
mod allowance_without_reason;
mod ambiguous_name;
mod annotation_below_sql;
mod argument_order;
mod argv_only;
mod attack;
mod auto_join_unavailable;
mod bad_dedup_window;
mod bad_escape;
mod bad_id;
mod bad_moment;
mod bad_recursion;
mod bad_regex;
mod bad_value;
mod bare_column;
mod clock_as_text;
mod column_counts_differ;
mod compared;
mod compound_order;
mod dedup_column_missing;
mod distinct_order;
mod duplicate_rule;
mod exact_path;
mod findings;
mod fix;
mod forbidden_function;
mod hopeless_argument;
mod letter_case;
mod list_too_long;
mod malformed_tag;
mod misplaced_aggregate;
mod missing_id;
mod missing_key;
mod misused_window;
mod moments;
mod name_and_path;
mod nested_too_deep;
mod never_equal;
mod no_identity;
mod no_such_column_number;
mod no_versions;
mod nobody_to_ask;
mod not_one_select;
mod nullable_not_in;
mod order_or_limit;
mod outside_dialect;
mod pid_join;
mod recomputed;
mod repeated_key;
mod row_shape;
mod rule_on_record;
mod subject;
pub mod suppress;
mod syntax_error;
mod tab_in_header;
mod tactic_mismatch;
mod text_too_long;
mod title_column_missing;
mod too_many_columns;
mod too_many_joins;
mod too_many_operations;
mod too_many_queries;
mod too_many_terms;
mod too_many_tokens;
mod type_mismatch;
mod unbounded_state;
mod uncollected_column;
mod unformattable;
mod unknown_attack_id;
mod unknown_collation;
mod unknown_column;
mod unknown_function;
mod unknown_key;
mod unknown_list;
mod unknown_table;
mod unknown_type;
mod unordered_values;
mod unset_parameter;
mod unused_allowance;
mod wildcard_equality;
mod window_over_state;
mod windows_case;
mod wrong_arguments;

pub use fix::{Fixed, fix};
pub use recomputed::RECOMPUTED;
pub use subject::{Rows, Subject};
pub use unbounded_state::UNBOUNDED_STATE;

use crate::check::{Checked, check_rule_unsuppressed};
use crate::diagnostic::{Diagnostic, Severity, Source, Span};
use crate::query::CheckedRule;
use crate::tables::Catalog;

/// Judgements of other parts over a rule that compiles.
pub type Further = dyn Fn(&CheckedRule, &mut Vec<Diagnostic>);

/// No such judgements: those of the language alone.
pub const NOTHING_FURTHER: &Further = &|_, _| ();

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
    Rule(fn(&Subject<'_>, &mut Vec<Diagnostic>)),
    /// The planner, over a rule that compiles.
    Planner,
    /// `fmt`, which leaves the file as it is.
    Formatter,
}

/// Every code, in order.
pub static ALL: &[&Lint] = &[
    &syntax_error::SYNTAX_ERROR,
    &not_one_select::NOT_ONE_SELECT,
    &outside_dialect::OUTSIDE_DIALECT,
    &forbidden_function::FORBIDDEN_FUNCTION,
    &unformattable::UNFORMATTABLE,
    &allowance_without_reason::ALLOWANCE_WITHOUT_REASON,
    &unused_allowance::UNUSED_ALLOWANCE,
    &text_too_long::TEXT_TOO_LONG,
    &too_many_tokens::TOO_MANY_TOKENS,
    &too_many_terms::TOO_MANY_TERMS,
    &nested_too_deep::NESTED_TOO_DEEP,
    &list_too_long::LIST_TOO_LONG,
    &too_many_columns::TOO_MANY_COLUMNS,
    &too_many_joins::TOO_MANY_JOINS,
    &too_many_operations::TOO_MANY_OPERATIONS,
    &too_many_queries::TOO_MANY_QUERIES,
    &missing_id::MISSING_ID,
    &unknown_key::UNKNOWN_KEY,
    &duplicate_rule::DUPLICATE_RULE,
    &tab_in_header::TAB_IN_HEADER,
    &annotation_below_sql::ANNOTATION_BELOW_SQL,
    &missing_key::MISSING_KEY,
    &bad_id::BAD_ID,
    &bad_value::BAD_VALUE,
    &bad_dedup_window::BAD_DEDUP_WINDOW,
    &unknown_attack_id::UNKNOWN_ATTACK_ID,
    &repeated_key::REPEATED_KEY,
    &tactic_mismatch::TACTIC_MISMATCH,
    &malformed_tag::MALFORMED_TAG,
    &title_column_missing::TITLE_COLUMN_MISSING,
    &no_identity::NO_IDENTITY,
    &dedup_column_missing::DEDUP_COLUMN_MISSING,
    &unknown_column::UNKNOWN_COLUMN,
    &unknown_table::UNKNOWN_TABLE,
    &unknown_function::UNKNOWN_FUNCTION,
    &unknown_type::UNKNOWN_TYPE,
    &type_mismatch::TYPE_MISMATCH,
    &bad_moment::BAD_MOMENT,
    &uncollected_column::UNCOLLECTED_COLUMN,
    &bad_escape::BAD_ESCAPE,
    &bad_regex::BAD_REGEX,
    &ambiguous_name::AMBIGUOUS_NAME,
    &hopeless_argument::HOPELESS_ARGUMENT,
    &absent_column::ABSENT_COLUMN,
    &unset_parameter::UNSET_PARAMETER,
    &no_versions::NO_VERSIONS,
    &letter_case::LETTER_CASE,
    &wildcard_equality::WILDCARD_EQUALITY,
    &nullable_not_in::NULLABLE_NOT_IN,
    &unknown_list::UNKNOWN_LIST,
    &pid_join::PID_JOIN,
    &name_and_path::NAME_AND_PATH,
    &misplaced_aggregate::MISPLACED_AGGREGATE,
    &bare_column::BARE_COLUMN,
    &unknown_collation::UNKNOWN_COLLATION,
    &no_such_column_number::NO_SUCH_COLUMN_NUMBER,
    &distinct_order::DISTINCT_ORDER,
    &compound_order::COMPOUND_ORDER,
    &misused_window::MISUSED_WINDOW,
    &column_counts_differ::COLUMN_COUNTS_DIFFER,
    &bad_recursion::BAD_RECURSION,
    &row_shape::ROW_SHAPE,
    &unordered_values::UNORDERED_VALUES,
    &never_equal::NEVER_EQUAL,
    &wrong_arguments::WRONG_ARGUMENTS,
    &unbounded_state::UNBOUNDED_STATE,
    &window_over_state::WINDOW_OVER_STATE,
    &clock_as_text::CLOCK_AS_TEXT,
    &order_or_limit::ORDER_OR_LIMIT,
    &RECOMPUTED,
    &rule_on_record::RULE_ON_RECORD,
    &auto_join_unavailable::AUTO_JOIN_UNAVAILABLE,
    &nobody_to_ask::NOBODY_TO_ASK,
    &argv_only::ARGV_ONLY,
    &exact_path::EXACT_PATH,
    &argument_order::ARGUMENT_ORDER,
    &windows_case::WINDOWS_CASE,
];

/// The one with this code or name.
pub fn find(code: &str) -> Option<&'static Lint> {
    ALL.iter().copied().find(|lint| lint.code.eq_ignore_ascii_case(code) || lint.name == code)
}

impl Lint {
    /// Whether it is a judgement over a rule that compiles.
    pub fn judges(&self) -> bool {
        matches!(self.check, Check::Rule(_) | Check::Planner)
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

/// Compiles a rule file and runs every lint over it, and `further` ones that know more than the language. What the file
/// allows with a reason is left out.
pub fn lint(source: &Source, catalog: &Catalog, further: &Further) -> Checked {
    let mut checked = check_rule_unsuppressed(source, catalog);
    if let Some(rule) = &checked.rule {
        let subject = Subject::new(rule);
        for lint in ALL {
            if let Check::Rule(check) = lint.check {
                check(&subject, &mut checked.diagnostics);
            }
        }
        further(rule, &mut checked.diagnostics);
    }
    suppress::in_lint(source, &mut checked.diagnostics);
    checked.diagnostics.sort_by_key(|diagnostic| diagnostic.span().start);
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(example: Example) -> Vec<Diagnostic> {
        let source = example.source();
        let found = example.findings();
        for it in &found {
            assert!(it.span().end <= source.text.len(), "{it:?}");
            assert!(!it.render(&source, crate::diagnostic::Style::default()).is_empty());
        }
        found
    }

    #[test]
    fn every_example_has_its_code_or_not() {
        let mut wrong = Vec::new();
        for lint in ALL {
            if matches!(lint.check, Check::Planner | Check::Formatter) {
                continue;
            }
            let bad = found(lint.fires);
            let ours = bad.iter().find(|it| it.code == lint.code);
            if ours.map(|it| it.severity) != Some(lint.severity) {
                wrong.push(format!("{}: its bad example has {bad:?}", lint.code));
            }
            let good = found(lint.silent);
            if !good.is_empty() {
                wrong.push(format!("{}: its good example has {good:?}", lint.code));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn words_are_sentences() {
        for lint in ALL {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            assert!(lint.name.chars().all(is_name), "{}", lint.name);
            assert!(lint.summary.ends_with('.') && lint.why.ends_with('.'), "{}", lint.code);
        }
    }

    /// The codes in the source of this crate and the planner's, tests and descriptions left out.
    #[expect(clippy::disallowed_methods, reason = "a test looks at the source")]
    fn emitted() -> std::collections::BTreeSet<String> {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        let code = regex::Regex::new("\"(DE[0-9]{3})\"").unwrap();
        let mut codes = std::collections::BTreeSet::new();
        let mut folders = vec![root.join("src"), root.join("../planner/src")];
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
                let describes = folder.ends_with("lints") && !path.ends_with("suppress.rs");
                if path.is_dir() && !path.ends_with("tests") {
                    folders.push(path);
                } else if path.extension().is_some_and(|it| it == "rs") && !describes {
                    let text = std::fs::read_to_string(&path).unwrap();
                    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                    codes.extend(code.captures_iter(text).map(|found| found[1].to_owned()));
                }
            }
        }
        codes
    }

    #[test]
    fn what_is_emitted_is_described_and_what_is_described_is_emitted() {
        let emitted = emitted();
        let compiler = |lint: &&&Lint| matches!(lint.check, Check::Compiler | Check::Formatter);
        let described = ALL.iter().filter(compiler).map(|lint| lint.code.to_owned()).collect();
        assert_eq!(emitted, described);
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
