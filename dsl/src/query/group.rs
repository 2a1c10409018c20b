//! GROUP BY and the aggregates.

use super::SortKey;
use crate::expr::Expr;
use crate::types::Type;

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

/// An ORDER BY term with its own expression.
#[derive(Clone, Debug, PartialEq)]
pub struct OrderTerm {
    /// What is ordered by, over the input row.
    pub expr: Expr,
    /// How; its `column` means nothing here.
    pub key: SortKey,
}

/// `expr DESC`, as SQL writes it.
impl std::fmt::Display for OrderTerm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.expr, self.key)
    }
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

pub(super) fn write_list<T: std::fmt::Display>(f: &mut std::fmt::Formatter<'_>, items: &[T]) -> std::fmt::Result {
    items.iter().enumerate().try_for_each(|(at, item)| write!(f, "{}{item}", if at > 0 { ", " } else { "" }))
}
