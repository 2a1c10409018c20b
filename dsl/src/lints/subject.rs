//! What a lint looks at: a rule that compiles, its queries, and what their columns are.

use crate::diagnostic::{Source, Span};
use crate::expr::{Expr, ExprKind};
use crate::header::Header;
use crate::query::{Body, CheckedRule, From, Part, Query, Select, TableRef};
use crate::tables::Column;

/// A rule to be judged.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The rule.
    pub rule: &'a CheckedRule,
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
    pub(super) fn new(rule: &'a CheckedRule) -> Self {
        Self { rule }
    }

    /// Its text.
    pub fn source(self) -> &'a Source {
        &self.rule.source
    }

    /// Its header; a statement typed by hand has none.
    pub fn header(self) -> Option<&'a Header> {
        self.rule.header.as_ref()
    }

    /// Every SELECT, those within others included.
    pub fn selects(self) -> Vec<Rows<'a>> {
        let select = |query: &'a Query| match &query.body {
            Body::Select(select) => Some(Rows { query, select, parts: select.from.parts() }),
            Body::Values(_) | Body::Set(_) => None,
        };
        self.rule.query.all().into_iter().filter_map(select).collect()
    }

    /// The text at a place.
    pub fn text(self, span: Span) -> &'a str {
        self.rule.source.text.get(span).unwrap_or_default()
    }
}

impl<'a> Rows<'a> {
    /// The tables of the catalog in its FROM.
    pub fn tables(&self) -> impl Iterator<Item = &'a TableRef> {
        self.parts.iter().filter_map(|(part, _)| if let Part::Table(table) = part { Some(*table) } else { None })
    }

    /// The number of inputs side by side.
    pub fn inputs(&self) -> usize {
        self.parts.len()
    }

    /// The table and column that an expression over the row of FROM is, if it is one of the catalog.
    pub fn column(&self, expr: &Expr) -> Option<(&'a TableRef, &'a Column)> {
        let ExprKind::Column { index, .. } = expr.kind else { return None };
        let (part, start) = self.parts.iter().rev().find(|(_, start)| *start <= index)?;
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

    /// FROM.
    pub fn from(&self) -> &'a From {
        &self.select.from
    }
}
