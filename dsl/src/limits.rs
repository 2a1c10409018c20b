//! Every bound of the language, each with a diagnostic of its own that says which one it was.

/// Bytes of text in one file or statement (DE020).
pub const TEXT_LEN_MAX: usize = 256 * 1024;
/// Tokens in one statement, white space and comments not counted (DE021). Real rules reach 8,459.
pub const TOKENS_MAX: usize = 32_768;
/// Operands of AND and OR in one statement (DE022). Real rules reach 1,100.
pub const TERMS_MAX: usize = 8_192;
/// Parentheses within parentheses (DE023).
pub const NESTING_MAX: usize = 100;
/// Operations within operations, parentheses not counted; a chain of AND or OR is one (DE023). Typed expressions are
/// evaluated and dropped recursively, on ordinary stacks.
pub const DEPTH_MAX: usize = 128;
/// Values in one IN list (DE024).
pub const IN_LIST_MAX: usize = 10_000;
/// Columns of one result (DE025).
pub const OUTPUT_MAX: usize = 256;
/// Joins in one statement (DE026).
pub const JOINS_MAX: usize = 16;
/// Operations that a statement may come to once BETWEEN, coalesce and the like are spelled out (DE027).
pub const OPERATIONS_MAX: usize = 262_144;
/// Bytes that a compiled regular expression may take (DE209).
pub const REGEX_SIZE_MAX: usize = 4 << 20;
