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

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::Source;
use crate::expr::{Collation, Expr, ExprKind, Place};
use crate::header::{Annotation, Header};
use crate::lists::List;
use crate::tables::lineage::Lineage;
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

/// GROUP BY; without keys, one group for everything.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The keys over the input row.
    pub keys: Vec<Expr>,
    /// The aggregates.
    pub aggregates: Vec<Aggregate>,
    /// Columns that are neither.
    pub bare: Bare,
    /// HAVING, over the group's row.
    pub having: Option<Expr>,
}

/// Columns beside the aggregates that are no keys: all take their values from one row of the group. As in SQLite that is
/// the row of the least or greatest value where the only aggregate is one `min` or `max`. Among equals, and elsewhere,
/// it is the row whose bare columns are least, so that the answer depends on the rows alone.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bare {
    /// The columns over the input row.
    pub columns: Vec<Expr>,
    /// The `min` or `max` that picks the row, by its place among the aggregates.
    pub picked_by: Option<usize>,
}

/// One aggregate call.
#[derive(Clone, Debug, PartialEq)]
pub struct Aggregate {
    /// Which one.
    pub kind: AggregateKind,
    /// The arguments over the input row; `count(*)` has none.
    pub args: Vec<Expr>,
    /// Equal values once.
    pub distinct: bool,
    /// FILTER, over the input row.
    pub filter: Option<Expr>,
    /// ORDER BY within the call, over the input row.
    pub order: Vec<OrderTerm>,
    /// The result's type.
    pub ty: Type,
}

/// An ORDER BY term with its own expression.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderTerm {
    /// What is ordered by, over the input row.
    pub expr: Expr,
    /// How; its `column` means nothing here.
    pub key: SortKey,
}

/// The aggregates. Each ignores NULL arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AggregateKind {
    /// Some value that is not NULL: the least.
    AnyValue,
    /// The mean as REAL; NULL of nothing.
    Avg,
    /// The number of rows, or of arguments that are not NULL.
    Count,
    /// The texts with a separator between them, in the order given, else their own.
    GroupConcat,
    /// The greatest value.
    Max,
    /// The first argument where the second is greatest; the least of several.
    MaxBy,
    /// The least value.
    Min,
    /// The first argument where the second is least; the least of several.
    MinBy,
    /// The sum; NULL of nothing, and where it does not fit 64 bits.
    Sum,
    /// The sum as REAL; 0.0 of nothing.
    Total,
}

impl AggregateKind {
    /// Every aggregate with its name.
    pub const ALL: [(&'static str, Self); 11] = [
        ("any_value", Self::AnyValue),
        ("avg", Self::Avg),
        ("count", Self::Count),
        ("group_concat", Self::GroupConcat),
        ("string_agg", Self::GroupConcat),
        ("max", Self::Max),
        ("max_by", Self::MaxBy),
        ("min", Self::Min),
        ("min_by", Self::MinBy),
        ("sum", Self::Sum),
        ("total", Self::Total),
    ];

    /// As SQL writes it.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).expect("every kind is listed").0
    }
}

impl std::fmt::Display for Aggregate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}({}", self.kind.name(), if self.distinct { "DISTINCT " } else { "" })?;
        if self.args.is_empty() {
            f.write_str("*")?;
        }
        write_list(f, &self.args)?;
        if !self.order.is_empty() {
            f.write_str(" ORDER BY ")?;
            write_list(f, &self.order)?;
        }
        f.write_str(")")?;
        self.filter.as_ref().map_or(Ok(()), |filter| write!(f, " FILTER (WHERE {filter})"))
    }
}

/// `expr DESC`, as SQL writes it.
impl std::fmt::Display for OrderTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.expr, self.key)
    }
}

fn write_list<T: std::fmt::Display>(f: &mut std::fmt::Formatter<'_>, items: &[T]) -> std::fmt::Result {
    items.iter().enumerate().try_for_each(|(at, item)| write!(f, "{}{item}", if at > 0 { ", " } else { "" }))
}

/// One window function call: a value for each row, from the rows around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// What it computes.
    pub function: WindowFunction,
    /// PARTITION BY: rows with the same values are looked at together.
    pub partition: Vec<Expr>,
    /// ORDER BY within the partition.
    pub order: Vec<OrderTerm>,
    /// Which rows of the partition, seen from each.
    pub frame: Frame,
    /// The result's type.
    pub ty: Type,
}

/// What a window computes.
#[derive(Clone, Debug, PartialEq)]
pub enum WindowFunction {
    /// An aggregate over the frame.
    Aggregate(Aggregate),
    /// The row's number in its partition.
    RowNumber,
    /// The number of the first of its peers.
    Rank,
    /// The number of its group of peers.
    DenseRank,
    /// (rank - 1) / (rows - 1).
    PercentRank,
    /// The share of rows up to its last peer.
    CumeDist,
    /// The number of its part, of so many equal parts.
    Ntile(Expr),
    /// A value of the row that many rows before (`lag`) or after (`lead`).
    Shift {
        /// The value.
        value: Expr,
        /// How many rows.
        by: Expr,
        /// Where there is no such row.
        otherwise: Expr,
        /// After, else before.
        ahead: bool,
    },
    /// A value of the frame's first row.
    FirstValue(Expr),
    /// Of its last.
    LastValue(Expr),
    /// Of its n-th.
    NthValue(Expr, Expr),
}

impl WindowFunction {
    /// The expressions it reads.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Aggregate(aggregate) => aggregate.exprs(),
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => vec![],
            Self::Ntile(of) | Self::FirstValue(of) | Self::LastValue(of) => vec![of],
            Self::NthValue(of, number) => vec![of, number],
            Self::Shift { value, by, otherwise, .. } => vec![value, by, otherwise],
        }
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        match self {
            Self::Aggregate(aggregate) => aggregate.exprs_mut(),
            Self::RowNumber | Self::Rank | Self::DenseRank | Self::PercentRank | Self::CumeDist => vec![],
            Self::Ntile(of) | Self::FirstValue(of) | Self::LastValue(of) => vec![of],
            Self::NthValue(of, number) => vec![of, number],
            Self::Shift { value, by, otherwise, .. } => vec![value, by, otherwise],
        }
    }

    /// As SQL writes it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Aggregate(aggregate) => aggregate.kind.name(),
            Self::RowNumber => "row_number",
            Self::Rank => "rank",
            Self::DenseRank => "dense_rank",
            Self::PercentRank => "percent_rank",
            Self::CumeDist => "cume_dist",
            Self::Ntile(_) => "ntile",
            Self::Shift { ahead: false, .. } => "lag",
            Self::Shift { ahead: true, .. } => "lead",
            Self::FirstValue(_) => "first_value",
            Self::LastValue(_) => "last_value",
            Self::NthValue(..) => "nth_value",
        }
    }
}

impl Aggregate {
    /// The expressions it reads.
    pub fn exprs(&self) -> Vec<&Expr> {
        self.args.iter().chain(&self.filter).chain(self.order.iter().map(|term| &term.expr)).collect()
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        self.args.iter_mut().chain(&mut self.filter).chain(self.order.iter_mut().map(|term| &mut term.expr)).collect()
    }
}

impl Window {
    /// The expressions it reads.
    pub fn exprs(&self) -> Vec<&Expr> {
        let order = self.order.iter().map(|term| &term.expr);
        self.function.exprs().into_iter().chain(&self.partition).chain(order).collect()
    }

    /// The same, to be changed.
    pub fn exprs_mut(&mut self) -> Vec<&mut Expr> {
        let order = self.order.iter_mut().map(|term| &mut term.expr);
        self.function.exprs_mut().into_iter().chain(&mut self.partition).chain(order).collect()
    }
}

impl std::fmt::Display for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.function {
            WindowFunction::Aggregate(aggregate) => write!(f, "{aggregate}")?,
            function => {
                write!(f, "{}(", function.name())?;
                write_list(f, &function.exprs())?;
                f.write_str(")")?;
            }
        }
        f.write_str(" OVER (")?;
        let mut space = "";
        if !self.partition.is_empty() {
            f.write_str("PARTITION BY ")?;
            write_list(f, &self.partition)?;
            space = " ";
        }
        if !self.order.is_empty() {
            write!(f, "{space}ORDER BY ")?;
            write_list(f, &self.order)?;
            space = " ";
        }
        if self.frame != Frame::default() {
            write!(f, "{space}{}", self.frame)?;
        }
        f.write_str(")")
    }
}

/// Which rows around a row a window function looks at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Frame {
    /// What the bounds count.
    pub units: FrameUnits,
    /// Where it begins.
    pub start: Bound,
    /// Where it ends.
    pub end: Bound,
}

/// What a frame's bounds count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameUnits {
    /// Rows.
    Rows,
    /// Differences of the one ORDER BY value; CURRENT ROW means all peers.
    Range,
    /// Groups of peers.
    Groups,
}

/// One end of a frame, from the partition's first row to its last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The end of the partition that lies in that direction.
    Unbounded,
    /// That far before (negative) or after the row; whole but for RANGE.
    Offset(f64),
}

/// From the first row to the last peer: what SQL takes where no frame is written.
impl Default for Frame {
    fn default() -> Self {
        Self { units: FrameUnits::Range, start: Bound::Unbounded, end: Bound::Offset(0.0) }
    }
}

impl std::fmt::Display for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let units = match self.units {
            FrameUnits::Rows => "ROWS",
            FrameUnits::Range => "RANGE",
            FrameUnits::Groups => "GROUPS",
        };
        let bound = |bound: Bound, side: &str| match bound {
            Bound::Unbounded => format!("UNBOUNDED {side}"),
            Bound::Offset(0.0) => "CURRENT ROW".to_owned(),
            Bound::Offset(by) if by < 0.0 => format!("{} PRECEDING", -by),
            Bound::Offset(by) => format!("{by} FOLLOWING"),
        };
        write!(f, "{units} BETWEEN {} AND {}", bound(self.start, "PRECEDING"), bound(self.end, "FOLLOWING"))
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
    fn exprs(&self) -> Vec<&Expr> {
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

    fn queries_mut(&mut self) -> Vec<&mut Query> {
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
