//! Relational algebra: a closed set of operations over rows of known types.
//!
//! A plan describes; [`crate::operators`] does. Columns are positions in the input row, as in
//! [`daemoneye_dsl::expr::Expr`].

use std::fmt;
use std::sync::Arc;

use daemoneye_dsl::expr::{Collation, Expr};
use daemoneye_dsl::query::{Aggregate, JoinKind, SortKey};
use daemoneye_dsl::tables::{Column, Table, ancestors};
use daemoneye_dsl::types::{Type, display_interval};

/// An operation and its inputs.
#[derive(Clone, Debug)]
pub enum Plan {
    /// One row without columns.
    Unit,
    /// The rows of a table.
    Scan {
        /// The table.
        table: Arc<Table>,
        /// What the statement calls it.
        alias: String,
        /// Positions in the table that are read: the output row.
        columns: Vec<usize>,
        /// Which rows, over the output row.
        filter: Option<Expr>,
        /// How far back rows can matter.
        lookback: Option<Lookback>,
    },
    /// The rows for which the predicate is true.
    Filter {
        /// The input.
        input: Box<Plan>,
        /// A BOOLEAN over the input row.
        predicate: Expr,
    },
    /// Expressions over each row.
    Project {
        /// The input.
        input: Box<Plan>,
        /// Name and expression of each output column.
        columns: Vec<(String, Expr)>,
    },
    /// Pairs of rows.
    Join {
        /// The left input.
        left: Box<Plan>,
        /// The right input.
        right: Box<Plan>,
        /// Whether left rows without a match stay.
        kind: JoinKind,
        /// Pairs of expressions, over the left and over the right row, that must be equal and not NULL.
        keys: Vec<(Expr, Expr)>,
        /// What else must hold, over both rows.
        on: Option<Expr>,
    },
    /// Each row with each ancestor of a process.
    Ancestors {
        /// The input.
        input: Box<Plan>,
        /// The process's `proc_id`, over the input row.
        process: Expr,
        /// What the statement calls the ancestors.
        alias: String,
        /// Positions in [`ancestors::table`] that are read; they follow the input row.
        columns: Vec<usize>,
        /// Whether rows without an ancestor stay.
        kind: JoinKind,
        /// What must hold, over both rows.
        on: Option<Expr>,
    },
    /// One row per group: keys, then aggregates. Without keys exactly one.
    Aggregate {
        /// The input.
        input: Box<Plan>,
        /// The keys over the input row.
        keys: Vec<Expr>,
        /// The aggregates.
        aggregates: Vec<Aggregate>,
    },
    /// Equal rows once.
    Distinct {
        /// The input.
        input: Box<Plan>,
    },
    /// Rows in order, and how many of them. Rows with equal keys are ordered by all their columns.
    Sort {
        /// The input.
        input: Box<Plan>,
        /// The order; none keeps the input's.
        keys: Vec<SortKey>,
        /// At most that many.
        limit: Option<u64>,
        /// After leaving out so many.
        offset: u64,
    },
}

/// A filter admits only rows whose TIMESTAMP column is at least `now() - micros`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookback {
    /// The position in the table.
    pub column: usize,
    /// How far back, in microseconds.
    pub micros: i64,
}

/// A column of a plan's result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name, for people.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl Plan {
    /// The columns of the result.
    pub fn fields(&self) -> Vec<Field> {
        let of = |alias: &str, column: &Column| Field { name: format!("{alias}.{}", column.name), ty: column.ty };
        match self {
            Self::Unit => vec![],
            Self::Scan { table, alias, columns, .. } => {
                columns.iter().map(|at| of(alias, &table.columns[*at])).collect()
            }
            Self::Filter { input, .. } | Self::Distinct { input } | Self::Sort { input, .. } => input.fields(),
            Self::Project { columns, .. } => {
                columns.iter().map(|(name, expr)| Field { name: name.clone(), ty: expr.ty }).collect()
            }
            Self::Join { left, right, .. } => left.fields().into_iter().chain(right.fields()).collect(),
            Self::Ancestors { input, alias, columns, .. } => {
                let table = ancestors::table();
                input.fields().into_iter().chain(columns.iter().map(|at| of(alias, &table.columns[*at]))).collect()
            }
            Self::Aggregate { keys, aggregates, .. } => {
                let keys = keys.iter().map(|key| Field { name: key.to_string(), ty: key.ty });
                keys.chain(aggregates.iter().map(|it| Field { name: it.to_string(), ty: it.ty })).collect()
            }
        }
    }

    /// The number of columns of the result.
    pub fn width(&self) -> usize {
        self.fields().len()
    }

    /// The inputs, left to right.
    pub fn inputs(&self) -> Vec<&Self> {
        match self {
            Self::Unit | Self::Scan { .. } => vec![],
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Ancestors { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Distinct { input }
            | Self::Sort { input, .. } => vec![input],
            Self::Join { left, right, .. } => vec![left, right],
        }
    }

    /// The plan with each input replaced by `change` of it.
    #[must_use]
    pub fn map_inputs(mut self, change: &mut impl FnMut(Self) -> Self) -> Self {
        let mut replace = |input: &mut Box<Self>| {
            let old = std::mem::replace(&mut **input, Self::Unit);
            **input = change(old);
        };
        match &mut self {
            Self::Unit | Self::Scan { .. } => {}
            Self::Filter { input, .. }
            | Self::Project { input, .. }
            | Self::Ancestors { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Distinct { input }
            | Self::Sort { input, .. } => replace(input),
            Self::Join { left, right, .. } => {
                replace(left);
                replace(right);
            }
        }
        self
    }

    /// The tables that are scanned, without repeats.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> = self.inputs().into_iter().flat_map(Self::tables).collect();
        if let Self::Scan { table, .. } = self {
            tables.push(table.clone());
        }
        let mut seen = Vec::new();
        tables.retain(|table| {
            let new = !seen.contains(&table.name);
            seen.push(table.name.clone());
            new
        });
        tables
    }

    /// Whether some expression depends on the time of evaluation.
    pub fn uses_now(&self) -> bool {
        self.exprs().into_iter().any(Expr::uses_now) || self.inputs().into_iter().any(Self::uses_now)
    }

    /// The expressions of this operation, without those of its inputs.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Unit | Self::Distinct { .. } | Self::Sort { .. } => vec![],
            Self::Scan { filter, .. } => filter.iter().collect(),
            Self::Filter { predicate, .. } => vec![predicate],
            Self::Project { columns, .. } => columns.iter().map(|(_, expr)| expr).collect(),
            Self::Join { keys, on, .. } => keys.iter().flat_map(|(left, right)| [left, right]).chain(on).collect(),
            Self::Ancestors { process, on, .. } => std::iter::once(process).chain(on).collect(),
            Self::Aggregate { keys, aggregates, .. } => {
                let of_aggregates = aggregates.iter().flat_map(|it| it.arg.iter().chain(&it.filter));
                keys.iter().chain(of_aggregates).collect()
            }
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("Unit"),
            Self::Scan { table, alias, columns, filter, lookback } => {
                write!(f, "Table: {}", table.name)?;
                if *alias != table.name {
                    write!(f, " as {alias}")?;
                }
                if columns.len() < table.columns.len() {
                    let names: Vec<_> = columns.iter().map(|at| &*table.columns[*at].name).collect();
                    write!(f, " [{}]", names.join(", "))?;
                }
                if let Some(filter) = filter {
                    write!(f, " ({filter})")?;
                }
                if let Some(lookback) = lookback {
                    let column = &table.columns[lookback.column].name;
                    write!(f, " from {column} {} ago", display_interval(lookback.micros))?;
                }
                Ok(())
            }
            Self::Filter { predicate, .. } => write!(f, "Filter: {predicate}"),
            Self::Project { columns, .. } => {
                let columns: Vec<_> = columns
                    .iter()
                    .map(|(name, expr)| {
                        let shown = expr.to_string();
                        let same = shown == *name || shown.rsplit('.').next() == Some(name);
                        if same { shown } else { format!("{shown} AS {name}") }
                    })
                    .collect();
                write!(f, "Project: {}", columns.join(", "))
            }
            Self::Join { kind, keys, on, .. } => {
                let keys = keys.iter().map(|(left, right)| format!("{left} = {right}"));
                let all: Vec<_> = keys.chain(on.iter().map(ToString::to_string)).collect();
                let word = if *kind == JoinKind::Left { "LeftJoin" } else { "Join" };
                write!(f, "{word}: {}", if all.is_empty() { "everything".to_owned() } else { all.join(", ") })
            }
            Self::Ancestors { process, alias, kind, on, .. } => {
                let word = if *kind == JoinKind::Left { "LeftAncestors" } else { "Ancestors" };
                write!(f, "{word}: {process} as {alias}")?;
                on.as_ref().map_or(Ok(()), |on| write!(f, ", {on}"))
            }
            Self::Aggregate { keys, aggregates, .. } => {
                let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
                let aggregates: Vec<_> = aggregates.iter().map(ToString::to_string).collect();
                write!(f, "Aggregate: {} by [{}]", aggregates.join(", "), keys.join(", "))
            }
            Self::Distinct { .. } => f.write_str("Distinct"),
            Self::Sort { input, keys, limit, offset } => self::sort_line(f, &input.fields(), keys, *limit, *offset),
        }
    }

    fn tree(&self, f: &mut fmt::Formatter<'_>, indent: &str) -> fmt::Result {
        self.line(f)?;
        let inputs = self.inputs();
        for (at, input) in inputs.iter().enumerate() {
            let last = at + 1 == inputs.len();
            write!(f, "\n{indent}{}", if last { "└─ " } else { "├─ " })?;
            input.tree(f, &format!("{indent}{}", if last { "   " } else { "│  " }))?;
        }
        Ok(())
    }
}

fn sort_line(
    f: &mut fmt::Formatter<'_>,
    fields: &[Field],
    keys: &[SortKey],
    limit: Option<u64>,
    offset: u64,
) -> fmt::Result {
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let collate = if key.collation == Collation::NoCase { " COLLATE NOCASE" } else { "" };
            let direction = if key.descending { " DESC" } else { "" };
            let nulls = match (key.nulls_first, key.descending) {
                (true, true) => " NULLS FIRST",
                (false, false) => " NULLS LAST",
                _ => "",
            };
            format!("{}{collate}{direction}{nulls}", fields[key.column].name)
        })
        .collect();
    let mut parts = Vec::new();
    if !keys.is_empty() {
        parts.push(format!("by {}", keys.join(", ")));
    }
    if let Some(limit) = limit {
        parts.push(format!("first {limit}"));
    }
    if offset > 0 {
        parts.push(format!("after {offset}"));
    }
    write!(f, "Sort: {}", parts.join(", "))
}

/// The tree, one operation a line.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tree(f, "")
    }
}
