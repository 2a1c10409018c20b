//! What was written: one SELECT, not yet checked.

use sqlparser::ast::Query;

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
    /// The SQL's tokens, comments left out, joined by one space: part of a rule's revision.
    pub(crate) canonical_sql: String,
}

/// Turns line and column (in characters) of the SQL into byte offsets of the source.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    line_starts: Vec<usize>,
    text: String,
    base: usize,
}

impl Positions {
    /// For `sql`, which begins at byte `base` of its source.
    pub(crate) fn new(sql: &str, base: usize) -> Self {
        let breaks = sql.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { line_starts: std::iter::once(0).chain(breaks).collect(), text: sql.to_owned(), base }
    }

    /// The byte of the source at a parser's location; `None` for its empty location (line 0).
    pub(crate) fn offset(&self, location: sqlparser::tokenizer::Location) -> Option<usize> {
        let line = usize::try_from(location.line).ok()?.checked_sub(1)?;
        let column = usize::try_from(location.column).ok()?.checked_sub(1)?;
        let start = *self.line_starts.get(line)?;
        let rest = &self.text[start..];
        let within = rest.char_indices().nth(column).map_or(rest.len(), |(at, _)| at);
        Some(self.base + start + within)
    }

    /// The bytes of the source that a parser's span covers.
    pub(crate) fn span(&self, span: sqlparser::tokenizer::Span) -> Option<Span> {
        let (start, end) = (self.offset(span.start)?, self.offset(span.end)?);
        Some(start..end.max(start))
    }
}
