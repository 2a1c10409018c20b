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
pub const JOINS_MAX: usize = 64;
/// Operations that a statement may come to once BETWEEN, coalesce and the like are spelled out (DE027).
pub const OPERATIONS_MAX: usize = 262_144;
/// Bytes that a compiled regular expression may take (DE209).
pub const REGEX_SIZE_MAX: usize = 4 << 20;
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
