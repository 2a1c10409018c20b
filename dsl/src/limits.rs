//! Every bound of the language, each with a diagnostic of its own that says which one it was.
//!
//! Those of [`Limits`] can be set. How far up is what the compiler was seen to take on the stack that it reserves.

use serde::{Deserialize, Serialize};

use crate::diagnostic::{Diagnostic, Span};

/// The bounds that can be set; the catalog carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Bytes of text in one file or statement (DE020).
    pub text: usize,
    /// Tokens in one statement, white space and comments not counted (DE021).
    pub tokens: usize,
    /// Operands of AND and OR in one statement (DE022).
    pub terms: usize,
    /// Parentheses within parentheses (DE023).
    pub nesting: usize,
    /// Joins in one statement (DE026).
    pub joins: usize,
    /// Values in one IN list (DE024).
    pub in_list: usize,
    /// Columns of one result (DE025).
    pub columns: usize,
    /// Bytes that a compiled regular expression may take (DE209).
    pub regex: usize,
}

/// One of [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The setting.
    pub setting: &'static str,
    /// What it bounds.
    pub what: &'static str,
    /// What it is where nobody says.
    pub default: usize,
    /// The most that it can be set to.
    pub max: usize,
    /// The finding.
    code: &'static str,
}

/// Bytes of text. Real rules reach 70 kB.
pub const TEXT: Limit = Limit::new("limits.text", "bytes of text in one statement", 256 << 10, 1 << 20, "DE020");
/// Tokens. Real rules reach 8,459.
pub const TOKENS: Limit = Limit::new("limits.tokens", "tokens in one statement", 32_768, 131_072, "DE021");
/// Operands of AND and OR. Real rules reach 1,100.
pub const TERMS: Limit = Limit::new("limits.terms", "operands of AND and OR in one statement", 8_192, 32_768, "DE022");
/// Parentheses within parentheses.
pub const NESTING: Limit = Limit::new("limits.nesting", "parentheses within parentheses", 100, 100, "DE023");
/// Joins.
pub const JOINS: Limit = Limit::new("limits.joins", "joins in one statement", 64, 64, "DE026");
/// Values in one IN list.
pub const IN_LIST: Limit = Limit::new("limits.in_list", "values in one IN list", 10_000, 60_000, "DE024");
/// Columns of one result.
pub const COLUMNS: Limit = Limit::new("limits.columns", "columns of one result", 256, 1_024, "DE025");

/// Bytes of a compiled regular expression; the product's largest takes 60 kB.
pub const REGEX: Limit =
    Limit::new("limits.regex", "bytes of a compiled regular expression", 4 << 20, 32 << 20, "DE209");

impl Limit {
    const fn new(setting: &'static str, what: &'static str, default: usize, max: usize, code: &'static str) -> Self {
        Self { setting, what, default, max, code }
    }

    /// What is said where there is more than is allowed.
    pub(crate) fn exceeded(self, allowed: usize, span: Span, advice: &str) -> Diagnostic {
        let message = format!("more than {allowed} {}", self.what);
        let help = if allowed < self.max {
            format!("{advice}; the setting `{}` allows up to {}", self.setting, self.max)
        } else {
            format!("{advice}; the setting `{}` allows no more", self.setting)
        };
        Diagnostic::error(self.code, span, message).help(help)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            text: TEXT.default,
            tokens: TOKENS.default,
            terms: TERMS.default,
            nesting: NESTING.default,
            joins: JOINS.default,
            in_list: IN_LIST.default,
            columns: COLUMNS.default,
            regex: REGEX.default,
        }
    }
}

/// Operations within operations, parentheses not counted; a chain of AND or OR is one (DE023). Typed expressions are
/// evaluated and dropped recursively, on ordinary stacks.
pub const DEPTH_MAX: usize = 128;
/// Operations that a statement may come to once BETWEEN, coalesce and the like are spelled out (DE027).
pub const OPERATIONS_MAX: usize = 262_144;
/// Queries in one statement, those within others included (DE028).
pub const QUERIES_MAX: usize = 256;
/// Operands of one chain of UNION, INTERSECT and EXCEPT (DE028).
pub const OPERANDS_MAX: usize = 128;
/// Bytes of text in one list file, values in it, and lists that rules can ask for.
pub const LIST_LEN_MAX: usize = 4 << 20;
/// See [`LIST_LEN_MAX`].
pub const LIST_VALUES_MAX: usize = 100_000;
/// See [`LIST_LEN_MAX`].
pub const LISTS_MAX: usize = 256;
/// Bytes in one result of a function: what is longer is NULL. Above what any column of a collector holds.
pub const RESULT_LEN_MAX: usize = 2 << 20;
/// Bytes in all results of one function over one batch: what exceeds them is NULL. An Arrow column of text ends at 2 GiB.
pub const RESULTS_LEN_MAX: usize = 1 << 30;
/// Characters that the functions comparing two texts letter by letter look at: longer ones give NULL.
pub const SIMILARITY_LEN_MAX: usize = 255;
/// Bytes of a pattern that comes from a row.
pub const DYNAMIC_PATTERN_LEN_MAX: usize = 1024;
/// Bytes that it may take when compiled, and how many of them are kept during one evaluation.
pub const DYNAMIC_REGEX_SIZE_MAX: usize = 64 << 10;
/// Compiled patterns kept during one evaluation.
pub const DYNAMIC_REGEXES_MAX: usize = 64;
/// Words in one command line that `args` tells apart.
pub const WORDS_MAX: usize = 4096;
