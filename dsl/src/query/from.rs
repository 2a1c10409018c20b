//! FROM: tables, queries and joins, side by side.

use std::sync::Arc;

use super::{Output, Query};
use crate::expr::{Expr, Place};
use crate::lists::List;
use crate::tables::Table;
use crate::tables::lineage::Lineage;

/// FROM. Its conditions are over the row of the whole FROM, also those of a join in parentheses.
#[derive(Clone, Debug, PartialEq)]
pub enum From {
    /// No table: one row without columns.
    Nothing,
    /// A table of the catalog.
    Table(TableRef),
    /// `list('name')`.
    List(ListRef),
    /// A query in FROM, or a common table expression where it is named.
    Query(Box<Derived>),
    /// A recursive common table expression.
    Recursive(Box<Recursive>),
    /// Within the step of a recursive one, the rows that its last round gave.
    Working(Working),
    /// Two inputs side by side.
    Join(Box<Join>),
}

/// A table and what it is called here.
#[derive(Clone, Debug, PartialEq)]
pub struct TableRef {
    /// The table.
    pub table: Arc<Table>,
    /// The alias, or its own name.
    pub alias: String,
    /// Where its name was written.
    pub place: Place,
    /// Of [`crate::tables::processes_at`], the constant moment whose samples it has.
    pub as_of: Option<Expr>,
}

/// A list as a table with one column.
#[derive(Clone, Debug, PartialEq)]
pub struct ListRef {
    /// The list.
    pub list: Arc<List>,
    /// What it is called here.
    pub alias: String,
}

/// A query as a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Derived {
    /// The query.
    pub query: Query,
    /// What it is called here.
    pub alias: String,
}

/// `base UNION [ALL] step`, the step reading what the round before gave, until a round gives nothing new.
#[derive(Clone, Debug, PartialEq)]
pub struct Recursive {
    /// What it is called here.
    pub alias: String,
    /// Tells its working tables from those of others.
    pub id: usize,
    /// The rows of the first round.
    pub base: Query,
    /// The rows of each further round.
    pub step: Query,
    /// UNION: a row that was there before is not new.
    pub distinct: bool,
    /// It ends with so many rows.
    pub limit: Option<u64>,
}

/// The rows of the last round of a [`Recursive`].
#[derive(Clone, Debug, PartialEq)]
pub struct Working {
    /// Of which one.
    pub id: usize,
    /// What it is called here.
    pub alias: String,
    /// Its columns.
    pub columns: Vec<Output>,
}

/// A join.
#[derive(Clone, Debug, PartialEq)]
pub struct Join {
    /// The left input.
    pub left: From,
    /// The right one.
    pub right: Right,
    /// Whether rows without a match stay.
    pub kind: JoinKind,
    /// The condition over both rows; none is always true.
    pub on: Option<Expr>,
    /// AUTO JOIN: the right side is asked for, not collected.
    pub auto: Option<Auto>,
}

/// What makes a join an AUTO JOIN.
#[derive(Clone, Debug, PartialEq)]
pub struct Auto {
    /// The program that is asked.
    pub collector: &'static str,
    /// For which rows of the left side it is asked; none is for all.
    pub when: Option<Expr>,
    /// Where `AUTO JOIN` was written.
    pub place: Place,
}

/// The right side of a join.
#[derive(Clone, Debug, PartialEq)]
pub enum Right {
    /// An input of its own.
    From(From),
    /// `ancestors(process)` or `descendants(process)`: for each left row the relatives of one process, nearest first.
    Lineage {
        /// Above or below.
        lineage: Lineage,
        /// The process's `proc_id`, over the left row.
        process: Expr,
        /// The columns, as a table.
        table: TableRef,
    },
}

/// What becomes of rows without a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinKind {
    /// They are left out.
    Inner,
    /// Left rows stay, with NULLs on the right.
    Left,
    /// Right rows stay, with NULLs on the left.
    Right,
    /// Both stay.
    Full,
}

impl JoinKind {
    /// Whether left rows without a match stay.
    pub fn keeps_left(self) -> bool {
        matches!(self, Self::Left | Self::Full)
    }

    /// Whether right rows without a match stay.
    pub fn keeps_right(self) -> bool {
        matches!(self, Self::Right | Self::Full)
    }
}

impl From {
    /// Its parts from left to right, each with the position of its first column.
    pub fn parts(&self) -> Vec<(Part<'_>, usize)> {
        let mut parts = Vec::new();
        self.collect(&mut parts, &mut 0);
        parts
    }

    fn collect<'a>(&'a self, parts: &mut Vec<(Part<'a>, usize)>, width: &mut usize) {
        let mut add = |part: Part<'a>| {
            parts.push((part, *width));
            *width += part.width();
        };
        match self {
            Self::Nothing => {}
            Self::Table(table) => add(Part::Table(table)),
            Self::List(list) => add(Part::List(list)),
            Self::Query(derived) => add(Part::Query(derived)),
            Self::Recursive(recursive) => add(Part::Recursive(recursive)),
            Self::Working(working) => add(Part::Working(working)),
            Self::Join(join) => {
                join.left.collect(parts, width);
                match &join.right {
                    Right::From(right) => right.collect(parts, width),
                    Right::Lineage { table, .. } => {
                        parts.push((Part::Table(table), *width));
                        *width += table.table.columns.len();
                    }
                }
            }
        }
    }

    /// The number of columns of the row.
    pub fn width(&self) -> usize {
        self.parts().iter().map(|(part, _)| part.width()).sum()
    }

    /// The conditions of its joins.
    pub(crate) fn conditions(&self) -> Vec<&Expr> {
        let Self::Join(join) = self else { return vec![] };
        let mut conditions = join.left.conditions();
        conditions.extend(&join.on);
        if let Right::From(right) = &join.right {
            conditions.extend(right.conditions());
        }
        conditions
    }

    /// The conditions and table arguments.
    pub(super) fn exprs(&self) -> Vec<&Expr> {
        let Self::Join(join) = self else { return vec![] };
        let mut exprs = join.left.exprs();
        exprs.extend(&join.on);
        exprs.extend(join.auto.iter().flat_map(|auto| &auto.when));
        match &join.right {
            Right::From(right) => exprs.extend(right.exprs()),
            Right::Lineage { process, .. } => exprs.push(process),
        }
        exprs
    }

    /// The same, to be changed.
    pub(crate) fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let Self::Join(join) = self else { return vec![] };
        let mut exprs = join.left.exprs_mut();
        exprs.extend(&mut join.on);
        exprs.extend(join.auto.iter_mut().flat_map(|auto| &mut auto.when));
        match &mut join.right {
            Right::From(right) => exprs.extend(right.exprs_mut()),
            Right::Lineage { process, .. } => exprs.push(process),
        }
        exprs
    }

    pub(super) fn queries_mut(&mut self) -> Vec<&mut Query> {
        match self {
            Self::Nothing | Self::Table(_) | Self::List(_) | Self::Working(_) => vec![],
            Self::Query(derived) => vec![&mut derived.query],
            Self::Recursive(recursive) => vec![&mut recursive.base, &mut recursive.step],
            Self::Join(join) => {
                let mut queries = join.left.queries_mut();
                if let Right::From(right) = &mut join.right {
                    queries.extend(right.queries_mut());
                }
                queries
            }
        }
    }
}

/// What stands in FROM, without the joins.
#[derive(Clone, Copy, Debug)]
pub enum Part<'a> {
    /// A table of the catalog, or the result of a table function.
    Table(&'a TableRef),
    /// A list.
    List(&'a ListRef),
    /// A query.
    Query(&'a Derived),
    /// A recursive query.
    Recursive(&'a Recursive),
    /// The working table of one.
    Working(&'a Working),
}

impl Part<'_> {
    /// The number of its columns.
    pub fn width(&self) -> usize {
        match self {
            Self::Table(table) => table.table.columns.len(),
            Self::List(_) => 1,
            Self::Query(derived) => derived.query.output.len(),
            Self::Recursive(recursive) => recursive.base.output.len(),
            Self::Working(working) => working.columns.len(),
        }
    }
}
