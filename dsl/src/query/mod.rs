//! The checked SELECT: names resolved, types known. What the planner lowers to relational algebra.
//!
//! ```text
//! Query = Body, ORDER BY, LIMIT       Body = Select | Values | Set (two queries)
//! Select: FROM ─► WHERE ─► GROUP BY, aggregates, HAVING ─► windows ─► columns ─► DISTINCT
//! ```
//!
//! Columns are positions: before grouping in the row of FROM (its tables side by side, left to right), after it in the
//! group's row (keys, aggregates, bare columns); values of windows follow. An expression of a subquery reaches the row
//! that it is evaluated for by [`ExprKind::Outer`].

mod from;
mod group;
mod window;

use std::collections::BTreeMap;

pub use from::{Auto, Derived, From, Join, JoinKind, ListRef, Part, Recursive, Right, TableRef, Working};
pub use group::{Aggregate, AggregateKind, Bare, Group, OrderTerm};
pub use window::{Bound, Frame, FrameUnits, Window, WindowFunction};

use crate::diagnostic::Source;
use crate::expr::{Collation, Expr, ExprKind};
use crate::header::{Annotation, Header};
use crate::lists::List;
use crate::tables::Column;
use crate::types::Type;

/// A rule that compiles, or a typed statement.
#[derive(Clone, Debug)]
pub struct CheckedRule {
    /// The text it came from.
    pub source: Source,
    /// The header; a typed statement has none.
    pub header: Option<Header>,
    /// The annotations as written.
    pub annotations: Vec<Annotation>,
    /// First 12 hex digits of BLAKE3 over canonical header, SQL, and the lists that it reads.
    pub revision: String,
    /// Columns that it names and no record has, once each; they are NULL.
    pub absent: Vec<Absent>,
    /// The SELECT.
    pub query: Query,
}

/// A column that no record of a file has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Absent {
    /// The table.
    pub table: String,
    /// The column, as first written.
    pub column: String,
}

impl CheckedRule {
    /// The rule's handle: the stem of its file's name.
    pub fn name(&self) -> &str {
        self.source.stem()
    }
}

/// A whole query, alone or within another.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Where its rows come from.
    pub body: Body,
    /// The result's columns.
    pub output: Vec<Output>,
    /// ORDER BY, by positions in the body's row, which may have columns after those of the result.
    pub order: Vec<SortKey>,
    /// At most that many rows.
    pub limit: Option<u64>,
    /// After leaving out so many.
    pub offset: u64,
}

/// What a query's rows are.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// SELECT.
    Select(Box<Select>),
    /// VALUES: rows of constants, or of values of an enclosing row.
    Values(Vec<Vec<Expr>>),
    /// UNION and its like.
    Set(Box<SetOperation>),
}

/// One SELECT.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// Where rows come from.
    pub from: From,
    /// WHERE, a BOOLEAN.
    pub filter: Option<Expr>,
    /// GROUP BY and aggregates.
    pub group: Option<Group>,
    /// Window functions, over the row so far.
    pub windows: Vec<Window>,
    /// The values of the columns; those after the query's output only serve ORDER BY.
    pub columns: Vec<Expr>,
    /// Equal rows once.
    pub distinct: bool,
}

/// Two queries with columns of the same types.
#[derive(Clone, Debug, PartialEq)]
pub struct SetOperation {
    /// Which one.
    pub op: SetOp,
    /// The left operand.
    pub left: Query,
    /// The right one.
    pub right: Query,
}

/// How the rows of two queries become one relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetOp {
    /// The rows of both.
    UnionAll,
    /// The rows of both, equal ones once.
    Union,
    /// The rows that are in both, once.
    Intersect,
    /// The rows of the left that are not in the right, once.
    Except,
}

impl SetOp {
    /// As SQL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnionAll => "UNION ALL",
            Self::Union => "UNION",
            Self::Intersect => "INTERSECT",
            Self::Except => "EXCEPT",
        }
    }
}

/// A column of a result.
#[expect(clippy::struct_excessive_bools, reason = "independent facts of a column")]
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    /// Its name; unique in the result.
    pub name: String,
    /// The type of its values.
    pub ty: Type,
    /// Every value is the constant NULL, which takes any type.
    pub null: bool,
    /// It names a process for its whole life.
    pub identity: bool,
    /// It changes without the match changing: it comes from a volatile column or from `now()`.
    pub volatile: bool,
    /// It is a GROUP BY key.
    pub group_key: bool,
}

/// One ORDER BY term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SortKey {
    /// The position in the body's row.
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// NULLs before everything else.
    pub nulls_first: bool,
    /// How text compares.
    pub collation: Collation,
}

/// What follows the expression: ` COLLATE NOCASE DESC NULLS LAST`.
impl std::fmt::Display for SortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.collation == Collation::NoCase { " COLLATE NOCASE" } else { "" })?;
        f.write_str(if self.descending { " DESC" } else { "" })?;
        f.write_str(match (self.nulls_first, self.descending) {
            (true, true) => " NULLS FIRST",
            (false, false) => " NULLS LAST",
            _ => "",
        })
    }
}

/// A subquery within an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Subquery {
    /// What is asked of it.
    pub kind: SubqueryKind,
    /// The query; [`ExprKind::Outer`] in it reads the row that the expression is evaluated for.
    pub query: Query,
}

/// What an expression asks of a subquery.
#[derive(Clone, Debug, PartialEq)]
pub enum SubqueryKind {
    /// The first row's value; NULL where there is none.
    Scalar,
    /// Whether there is a row.
    Exists,
    /// Whether the values equal those of a row. Three-valued.
    In {
        /// The values over the enclosing row, each of the type of the subquery's column, or both numbers.
        values: Vec<Expr>,
        /// How text compares.
        collation: Collation,
    },
}

impl Query {
    /// The expressions over its own rows, without those of the queries within it.
    fn exprs(&self) -> Vec<&Expr> {
        match &self.body {
            Body::Select(select) => {
                let mut exprs = select.from.exprs();
                exprs.extend(&select.filter);
                if let Some(group) = &select.group {
                    exprs.extend(&group.keys);
                    exprs.extend(group.aggregates.iter().flat_map(Aggregate::exprs));
                    exprs.extend(&group.bare.columns);
                    exprs.extend(&group.having);
                }
                exprs.extend(select.windows.iter().flat_map(Window::exprs));
                exprs.extend(&select.columns);
                exprs
            }
            Body::Values(rows) => rows.iter().flatten().collect(),
            Body::Set(_) => vec![],
        }
    }

    fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match &mut self.body {
            Body::Select(select) => {
                let mut exprs = select.from.exprs_mut();
                exprs.extend(&mut select.filter);
                if let Some(group) = &mut select.group {
                    exprs.extend(&mut group.keys);
                    exprs.extend(group.aggregates.iter_mut().flat_map(Aggregate::exprs_mut));
                    exprs.extend(&mut group.bare.columns);
                    exprs.extend(&mut group.having);
                }
                exprs.extend(select.windows.iter_mut().flat_map(Window::exprs_mut));
                exprs.extend(&mut select.columns);
                exprs
            }
            Body::Values(rows) => rows.iter_mut().flatten().collect(),
            Body::Set(_) => vec![],
        }
    }

    /// The queries in its FROM and the operands of a set operation: they see the same enclosing rows.
    fn queries(&self) -> Vec<&Self> {
        match &self.body {
            Body::Select(select) => {
                let parts = select.from.parts().into_iter();
                let of = |part| match part {
                    Part::Table(_) | Part::List(_) | Part::Working(_) => vec![],
                    Part::Query(derived) => vec![&derived.query],
                    Part::Recursive(recursive) => vec![&recursive.base, &recursive.step],
                };
                parts.flat_map(|(part, _)| of(part)).collect()
            }
            Body::Values(_) => vec![],
            Body::Set(set) => vec![&set.left, &set.right],
        }
    }

    fn queries_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.body {
            Body::Select(select) => select.from.queries_mut(),
            Body::Values(_) => vec![],
            Body::Set(set) => vec![&mut set.left, &mut set.right],
        }
    }

    /// This query and every one within it, subqueries of expressions included.
    pub fn all(&self) -> Vec<&Self> {
        let mut all = vec![self];
        let mut at = 0;
        while let Some(query) = all.get(at).copied() {
            all.extend(query.queries());
            for expr in query.exprs() {
                expr.walk(&mut |expr| {
                    if let ExprKind::Subquery(subquery) = &expr.kind {
                        all.push(&subquery.query);
                    }
                });
            }
            at += 1;
        }
        all
    }

    fn parts(&self) -> impl Iterator<Item = Part<'_>> {
        let parts = self.all().into_iter().flat_map(|query| match &query.body {
            Body::Select(select) => select.from.parts(),
            Body::Values(_) | Body::Set(_) => vec![],
        });
        parts.map(|(part, _)| part)
    }

    /// Every table of the catalog that is named anywhere in it.
    pub fn tables(&self) -> Vec<&TableRef> {
        self.parts().filter_map(|part| if let Part::Table(table) = part { Some(table) } else { None }).collect()
    }

    /// Every AUTO JOIN anywhere in it, once each, in the order of the text.
    pub fn auto_joins(&self) -> Vec<&Auto> {
        let mut found = BTreeMap::new();
        for query in self.all() {
            let Body::Select(select) = &query.body else { continue };
            let mut rest = vec![&select.from];
            while let Some(from) = rest.pop() {
                let From::Join(join) = from else { continue };
                found.extend(join.auto.iter().map(|auto| (auto.place.span().start, auto)));
                rest.push(&join.left);
                if let Right::From(right) = &join.right {
                    rest.push(right);
                }
            }
        }
        found.into_values().collect()
    }

    /// Every list that is named anywhere in it, once each, in the order of their names.
    pub fn lists(&self) -> Vec<&List> {
        let lists = self.parts().filter_map(|part| if let Part::List(it) = part { Some(&*it.list) } else { None });
        lists.map(|list| (list.name.as_str(), list)).collect::<BTreeMap<_, _>>().into_values().collect()
    }

    /// Every column of the catalog that is read anywhere in it.
    pub fn columns_read(&self) -> Vec<(&TableRef, &Column)> {
        let mut read = Vec::new();
        self.note_columns(&mut vec![], &mut read);
        read
    }

    /// `around` has the FROM of each enclosing query, the nearest last; none where its row is a group's, whose columns
    /// were noted with the group.
    fn note_columns<'q>(&'q self, around: &mut Vec<Option<&'q From>>, read: &mut Vec<(&'q TableRef, &'q Column)>) {
        for query in self.queries() {
            query.note_columns(around, read);
        }
        let Body::Select(select) = &self.body else {
            around.push(None);
            self.exprs().into_iter().for_each(|expr| note_columns(expr, around, read));
            around.pop();
            return;
        };
        let own = select.from.exprs().into_iter().chain(&select.filter);
        let grouped = select.group.iter().flat_map(|group| {
            let aggregates = group.aggregates.iter().flat_map(Aggregate::exprs);
            group.keys.iter().chain(aggregates).chain(&group.bare.columns)
        });
        let result = select.windows.iter().flat_map(Window::exprs).chain(&select.columns);
        let having = select.group.iter().flat_map(|group| &group.having);
        around.push(Some(&select.from));
        own.chain(grouped).for_each(|expr| note_columns(expr, around, read));
        if select.group.is_some() {
            around.pop();
            around.push(None);
        }
        having.chain(result).for_each(|expr| note_columns(expr, around, read));
        around.pop();
    }

    /// Calls `visit` for every reference to a row around this query, with how far out it reaches: 1 is the row that the
    /// query is evaluated for.
    pub fn outer_mut(&mut self, visit: &mut dyn FnMut(&mut Expr, usize)) {
        self.outer_below(0, visit);
    }

    pub(crate) fn outer_below(&mut self, depth: usize, visit: &mut dyn FnMut(&mut Expr, usize)) {
        self.exprs_mut().into_iter().for_each(|expr| expr.outer_below(depth, visit));
        self.queries_mut().into_iter().for_each(|query| query.outer_below(depth, visit));
    }

    /// The positions that it reads of the row that it is evaluated for.
    pub(crate) fn columns_around(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.clone().outer_mut(&mut |expr, reach| {
            if let (ExprKind::Outer { index, .. }, 1) = (&expr.kind, reach) {
                columns.push(*index);
            }
        });
        columns
    }

    /// Whether it depends on the time of evaluation.
    pub fn uses_now(&self) -> bool {
        self.all().into_iter().any(|query| query.exprs().into_iter().any(Expr::calls_now))
    }

    /// Whether its result is made of groups.
    pub fn is_grouped(&self) -> bool {
        matches!(&self.body, Body::Select(select) if select.group.is_some())
    }
}

fn note_columns<'q>(expr: &'q Expr, around: &mut Vec<Option<&'q From>>, read: &mut Vec<(&'q TableRef, &'q Column)>) {
    let mut found = |from: Option<&'q From>, index: usize| {
        let Some(from) = from else { return };
        let part = from.parts().into_iter().rev().find(|(_, start)| *start <= index);
        if let Some((Part::Table(table), start)) = part
            && let Some(column) = table.table.columns.get(index - start)
            && !read.iter().any(|(other, known)| std::ptr::eq(*other, table) && std::ptr::eq(*known, column))
        {
            read.push((table, column));
        }
    };
    match &expr.kind {
        ExprKind::Column { index, .. } => found(around.last().copied().flatten(), *index),
        ExprKind::Outer { level, index, .. } => {
            let own = around.len() - 1;
            found(own.checked_sub(*level).and_then(|at| around.get(at).copied().flatten()), *index);
        }
        _ => {}
    }
    if let ExprKind::Subquery(subquery) = &expr.kind {
        subquery.query.note_columns(around, read);
    }
    for operand in expr.operands() {
        note_columns(operand, around, read);
    }
}
