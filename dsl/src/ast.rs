//! What was written: one SELECT, not yet checked.

use sqlparser::ast::{Expr, Query};
use sqlparser::keywords::Keyword;

use crate::diagnostic::{Source, Span};

/// A rule file or a typed statement, split and parsed.
#[derive(Debug)]
pub(crate) struct Rule {
    /// The text it came from.
    pub(crate) source: Source,
    /// The SELECT. Deep: it is moved, never cloned or printed, and dropped on a thread with a large stack.
    pub(crate) query: Box<Query>,
    /// Where lines of the SQL begin in the source: turns the parser's line and column into bytes.
    pub(crate) positions: Positions,
    /// Every keyword and its place: most of the parser's nodes do not know theirs.
    pub(crate) keywords: Vec<(Keyword, Span)>,
    /// Every parameter as written and where.
    pub(crate) placeholders: Vec<(String, usize)>,
    /// The clauses of the dialect's own that were taken out before parsing.
    pub(crate) versions: Vec<Version>,
    /// The joins whose AUTO was taken out, with their WHEN.
    pub(crate) autos: Vec<Auto>,
    /// The SQL's tokens, comments left out, joined by one space: part of a rule's revision.
    pub(crate) canonical_sql: String,
}

/// `FOR SYSTEM_TIME …` after a table or its alias.
#[derive(Debug)]
pub(crate) struct Version {
    /// Where the word before it ends.
    pub(crate) after: usize,
    pub(crate) span: Span,
    pub(crate) moment: Moment,
}

/// `AUTO JOIN table ON … WHEN …`, of which `JOIN table ON …` was left to the parser.
#[derive(Debug)]
pub(crate) struct Auto {
    /// Where the table begins.
    pub(crate) table: usize,
    /// The place of `AUTO JOIN`.
    pub(crate) span: Span,
    /// The condition of WHEN.
    pub(crate) when: Option<Box<Expr>>,
}

/// Which versions of a table.
#[derive(Debug)]
pub(crate) enum Moment {
    /// `AS OF`: those of one moment.
    At(Box<Expr>),
    /// `BETWEEN`: those of any moment from the first to the second.
    Between(Box<Expr>, Box<Expr>),
}

/// Turns line and column (in characters) of the SQL into byte offsets of the source, in constant time: a rule may be
/// one line of many thousand tokens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    /// The number of the first character of each line.
    line_starts: Vec<usize>,
    /// The byte of each character; empty where every character is one byte.
    bytes: Vec<usize>,
    len: usize,
    base: usize,
}

impl Positions {
    /// For `sql`, which begins at byte `base` of its source.
    pub(crate) fn new(sql: &str, base: usize) -> Self {
        let breaks = sql.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(breaks).collect();
        let bytes = if sql.is_ascii() { vec![] } else { sql.char_indices().map(|(at, _)| at).collect() };
        Self { line_starts, bytes, len: sql.len(), base }
    }

    /// The byte of the source at a parser's location; `None` for its empty location (line 0).
    pub(crate) fn offset(&self, location: sqlparser::tokenizer::Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let character = *self.line_starts.get(line)? + column;
        let byte = if self.bytes.is_empty() { Some(character) } else { self.bytes.get(character).copied() };
        Some(self.base + byte.unwrap_or(self.len).min(self.len))
    }

    /// The bytes of the source that a parser's span covers.
    pub(crate) fn span(&self, span: sqlparser::tokenizer::Span) -> Option<Span> {
        let (start, end) = (self.offset(span.start)?, self.offset(span.end)?);
        Some(start..end.max(start))
    }
}
