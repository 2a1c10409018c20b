//! The checked SELECT: names resolved, types known. What the planner lowers to relational algebra.

use std::sync::Arc;

use crate::diagnostic::Source;
use crate::expr::{Collation, Expr};
use crate::header::{Annotation, Header};
use crate::tables::{Column, Table};
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
    /// First 12 hex digits of BLAKE3 over canonical header and SQL.
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

/// One SELECT.
///
/// The input row is the concatenation of the tables of `from`, left to right. With a `group`, `output` reads the
/// group's row instead: keys, then aggregates.
#[derive(Clone, Debug)]
pub struct Query {
    /// Where rows come from.
    pub from: From,
    /// WHERE, a BOOLEAN.
    pub filter: Option<Expr>,
    /// GROUP BY and aggregates.
    pub group: Option<Group>,
    /// The result's columns; those from `visible` on only serve ORDER BY.
    pub output: Vec<Output>,
    /// How many output columns the author asked for.
    pub visible: usize,
    /// Equal rows once.
    pub distinct: bool,
    /// ORDER BY, by positions in `output`.
    pub order: Vec<SortKey>,
    /// At most that many rows.
    pub limit: Option<u64>,
    /// After leaving out so many.
    pub offset: u64,
}

/// FROM.
#[derive(Clone, Debug)]
pub enum From {
    /// No table: one row without columns.
    Nothing,
    /// A table of the catalog.
    Table(TableRef),
    /// Two inputs side by side.
    Join(Box<Join>),
}

/// A table and what it is called here.
#[derive(Clone, Debug)]
pub struct TableRef {
    /// The table.
    pub table: Arc<Table>,
    /// The alias, or its own name.
    pub alias: String,
}

impl TableRef {
    /// Whether the statement calls it so; names compare without case.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.alias.eq_ignore_ascii_case(name)
    }
}

/// A join.
#[derive(Clone, Debug)]
pub struct Join {
    /// The left input.
    pub left: From,
    /// The right one.
    pub right: Right,
    /// Whether left rows without a match stay.
    pub kind: JoinKind,
    /// The condition over both rows; none is always true.
    pub on: Option<Expr>,
}

/// The right side of a join.
#[derive(Clone, Debug)]
pub enum Right {
    /// An input of its own.
    From(From),
    /// `ancestors(process)`: for each left row the ancestors of one process, nearest first.
    Ancestors {
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
}

/// GROUP BY; without keys, one group for everything.
#[derive(Clone, Debug)]
pub struct Group {
    /// The keys over the input row.
    pub keys: Vec<Expr>,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
    /// HAVING, over the group's row.
    pub having: Option<Expr>,
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub kind: AggregateKind,
    /// The argument over the input row; `count(*)` has none.
    pub arg: Option<Expr>,
    /// Equal values once.
    pub distinct: bool,
    /// FILTER, over the input row.
    pub filter: Option<Expr>,
    /// The result's type.
    pub ty: Type,
}

/// The aggregates. Each ignores NULL arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// The number of rows, or of arguments that are not NULL.
    Count,
    /// The sum; NULL of nothing, and where it does not fit 64 bits.
    Sum,
    /// The mean as REAL; NULL of nothing.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
}

impl AggregateKind {
    /// Every aggregate with its name.
    pub const ALL: [(&'static str, Self); 5] =
        [("avg", Self::Avg), ("count", Self::Count), ("max", Self::Max), ("min", Self::Min), ("sum", Self::Sum)];

    /// As SQL writes it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).expect("every kind is listed").0
    }
}

impl std::fmt::Display for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({}", self.kind.name(), if self.distinct { "DISTINCT " } else { "" })?;
        match &self.arg {
            Some(arg) => write!(f, "{arg})")?,
            None => write!(f, "*)")?,
        }
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " FILTER (WHERE {filter})"))
    }
}

/// A column of the result.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its name; unique in the result.
    pub name: String,
    /// Its value.
    pub expr: Expr,
    /// It names a process for its whole life.
    pub identity: bool,
    /// It changes without the match changing: it comes from a volatile column or from `now()`.
    pub volatile: bool,
    /// It is a GROUP BY key.
    pub group_key: bool,
}

/// One ORDER BY term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SortKey {
    /// The position in [`Query::output`].
    pub column: usize,
    /// Greatest first.
    pub descending: bool,
    /// NULLs before everything else.
    pub nulls_first: bool,
    /// How text compares.
    pub collation: Collation,
}

impl From {
    /// Every table, left to right, with the position of its first column in the row.
    pub fn tables(&self) -> Vec<(&TableRef, usize)> {
        let mut tables = Vec::new();
        self.collect(&mut tables, &mut 0);
        tables
    }

    fn collect<'a>(&'a self, tables: &mut Vec<(&'a TableRef, usize)>, width: &mut usize) {
        let mut add = |table: &'a TableRef, width: &mut usize| {
            tables.push((table, *width));
            *width += table.table.columns.len();
        };
        match self {
            Self::Nothing => {}
            Self::Table(table) => add(table, width),
            Self::Join(join) => {
                join.left.collect(tables, width);
                match &join.right {
                    Right::From(right) => right.collect(tables, width),
                    Right::Ancestors { table, .. } => {
                        tables.push((table, *width));
                        *width += table.table.columns.len();
                    }
                }
            }
        }
    }

    /// The number of columns of the row.
    pub fn width(&self) -> usize {
        self.tables().iter().map(|(table, _)| table.table.columns.len()).sum()
    }
}

impl Query {
    /// Every column of the catalog that the query reads, by table and position in the input row.
    pub fn columns_read(&self) -> Vec<(&TableRef, &Column)> {
        let mut used = Vec::new();
        let mut note = |expr: &Expr| used.extend(expr.columns());
        collect_on(&self.from, &mut note);
        self.filter.iter().for_each(&mut note);
        match &self.group {
            Some(group) => {
                group.keys.iter().for_each(&mut note);
                for aggregate in &group.aggregates {
                    aggregate.arg.iter().chain(&aggregate.filter).for_each(&mut note);
                }
            }
            None => self.output.iter().for_each(|output| note(&output.expr)),
        }
        used.sort_unstable();
        used.dedup();
        let tables = self.from.tables();
        let find = |index: usize| {
            let (table, start) = tables.iter().rev().find(|(_, start)| *start <= index)?;
            Some((*table, table.table.columns.get(index - start)?))
        };
        used.into_iter().filter_map(find).collect()
    }
}

fn collect_on(from: &From, note: &mut impl FnMut(&Expr)) {
    if let From::Join(join) = from {
        collect_on(&join.left, note);
        join.on.iter().for_each(&mut *note);
        match &join.right {
            Right::From(right) => collect_on(right, note),
            Right::Ancestors { process, .. } => note(process),
        }
    }
}
