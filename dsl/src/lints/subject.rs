//! What a lint looks at: a rule that compiles, its queries, and what their columns are.

use std::cell::OnceCell;

use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use super::compared::{Compared, compared};
use crate::ast::Positions;
use crate::diagnostic::{Source, Span};
use crate::dialect::Sqlite;
use crate::expr::{Expr, ExprKind};
use crate::header::{self, Header};
use crate::query::{Body, CheckedRule, From, Part, Query, Select, TableRef};
use crate::tables::Column;

/// A rule to be judged.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// The rule.
    pub rule: &'a CheckedRule,
    selects: Vec<Rows<'a>>,
    compared: OnceCell<Vec<Compared<'a>>>,
}

/// One SELECT of it, and where its columns come from.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    /// The query.
    pub query: &'a Query,
    /// Its body.
    pub select: &'a Select,
    parts: Vec<(Part<'a>, usize)>,
}

impl<'a> Subject<'a> {
    /// For a rule.
    pub fn new(rule: &'a CheckedRule) -> Self {
        let select = |query: &'a Query| match &query.body {
            Body::Select(select) => Some(Rows::new(query, select)),
            Body::Values(_) | Body::Set(_) => None,
        };
        let selects = rule.query.all().into_iter().filter_map(select).collect();
        Self { rule, selects, compared: OnceCell::new() }
    }

    /// Its text.
    pub fn source(&self) -> &'a Source {
        &self.rule.source
    }

    /// Its header; a statement typed by hand has none.
    pub fn header(&self) -> Option<&'a Header> {
        self.rule.header.as_ref()
    }

    /// Every SELECT, those within others included.
    pub fn selects(&self) -> &[Rows<'a>] {
        &self.selects
    }

    /// Every comparison of a column with constant text in its conditions.
    pub(super) fn compared(&self) -> &[Compared<'a>] {
        self.compared.get_or_init(|| compared(self))
    }

    /// Whether it is conditions on the rows of one table and nothing else.
    pub fn is_filter(&self) -> bool {
        let query = &self.rule.query;
        let [rows] = self.selects.as_slice() else { return false };
        let select = rows.select;
        let plain = select.group.is_none() && select.windows.is_empty() && !select.distinct && query.order.is_empty();
        let one_table = matches!(select.from, From::Table(_)) && matches!(query.body, Body::Select(_));
        plain && one_table && query.limit.is_none() && query.offset == 0 && !query.uses_now()
    }

    /// Whether its header names the platform.
    pub fn runs_on(&self, platform: &str) -> bool {
        self.header().is_some_and(|header| header.platform.iter().any(|it| it == platform))
    }

    /// The last place where a word is written as such, not within text or a comment; the beginning where there is none.
    pub fn last_word(&self, word: &str) -> Span {
        self.words(word).pop().unwrap_or(0..0)
    }

    /// The first place.
    pub fn word(&self, word: &str) -> Span {
        self.words(word).into_iter().next().unwrap_or(0..0)
    }

    /// Whether there is one.
    pub fn has_word(&self, word: &str) -> bool {
        !self.words(word).is_empty()
    }

    fn words(&self, word: &str) -> Vec<Span> {
        let (_, sql_start) = header::read(self.source(), &mut Vec::new());
        let sql = &self.source().text[sql_start..];
        let positions = Positions::new(sql, sql_start);
        let tokens = Tokenizer::new(&Sqlite, sql).tokenize_with_location().unwrap_or_default();
        let is_word = |token: &TokenWithSpan| matches!(&token.token, Token::Word(it) if it.quote_style.is_none() && it.value.eq_ignore_ascii_case(word));
        tokens.iter().filter(|token| is_word(token)).filter_map(|token| positions.span(token.span)).collect()
    }

    /// What to write for a LIKE with this pattern so that it is a GLOB; nothing where the patterns differ in more than
    /// `%` and `*`.
    pub(super) fn like_as_glob(&self, whole: &Span, pattern: &str) -> Option<Vec<(Span, String)>> {
        let text = self.text(whole.clone());
        let operator = text.to_ascii_uppercase().find("LIKE")?;
        let literal = text.rfind(&format!("'{}'", pattern.replace('\'', "''")))?;
        if pattern.contains(['_', '*', '?', '[', '\''])
            || literal < operator
            || text.to_ascii_uppercase().contains("ESCAPE")
        {
            return None;
        }
        let (operator, literal) = (whole.start + operator, whole.start + literal);
        let glob = format!("'{}'", pattern.replace('%', "*"));
        let (like, old) = (operator..operator + "LIKE".len(), literal..literal + glob.len());
        Some(vec![(like, "GLOB".to_owned()), (old, glob)])
    }

    /// The text at a place.
    pub fn text(&self, span: Span) -> &'a str {
        self.rule.source.text.get(span).unwrap_or_default()
    }
}

impl<'a> Rows<'a> {
    pub(super) fn new(query: &'a Query, select: &'a Select) -> Self {
        Self { query, select, parts: select.from.parts() }
    }

    /// The tables of the catalog in its FROM, each with its number among the inputs.
    pub fn numbered_tables(&self) -> impl Iterator<Item = (usize, &'a TableRef)> {
        let inputs = self.parts.iter().enumerate();
        inputs.filter_map(|(at, (part, _))| if let Part::Table(table) = part { Some((at, *table)) } else { None })
    }

    /// The number of the input that has the column at `index`.
    pub fn input_of(&self, index: usize) -> usize {
        self.parts.iter().rposition(|(_, start)| *start <= index).unwrap_or_default()
    }

    /// The number of inputs side by side.
    pub fn inputs(&self) -> usize {
        self.parts.len()
    }

    /// The table and column that an expression over the row of FROM is, if it is one of the catalog.
    pub fn column(&self, expr: &Expr) -> Option<(&'a TableRef, &'a Column)> {
        let ExprKind::Column { index, .. } = expr.kind else { return None };
        self.table_column(index)
    }

    /// The same by its place in the row of FROM.
    pub fn table_column(&self, index: usize) -> Option<(&'a TableRef, &'a Column)> {
        let (part, start) = self.parts.get(self.input_of(index))?;
        let Part::Table(table) = part else { return None };
        Some((table, table.table.columns.get(index - start)?))
    }

    /// WHERE and the conditions of joins.
    pub fn conditions(&self) -> Vec<&'a Expr> {
        let mut conditions = self.select.from.conditions();
        conditions.extend(&self.select.filter);
        conditions
    }

    /// Every expression over the row of FROM: conditions, keys, arguments of aggregates, and the columns returned where
    /// there are no groups.
    pub fn over_from(&self) -> Vec<&'a Expr> {
        let mut exprs = self.conditions();
        match &self.select.group {
            Some(group) => {
                exprs.extend(&group.keys);
                exprs.extend(&group.bare.columns);
                exprs.extend(group.aggregates.iter().flat_map(|aggregate| aggregate.exprs()));
            }
            None => exprs.extend(&self.select.columns),
        }
        exprs
    }
}
