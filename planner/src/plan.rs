//! Relational algebra: a closed set of operations over rows of known types.
//!
//! A plan describes; [`crate::operators`] does. Columns are positions in the input row, as in
//! [`daemoneye_dsl::expr::Expr`].

use std::fmt;
use std::sync::Arc;

use daemoneye_dsl::expr::{Collation, Expr, ExprKind};
use daemoneye_dsl::lists::{self, List};
use daemoneye_dsl::query::{Aggregate, Bare, JoinKind, SetOp, SortKey, Window};
use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::tables::{Column, Table};
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
        /// The constant moment whose samples it has, of the table that has some.
        as_of: Option<Expr>,
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
    /// Each row with the rows that a collector answers for it.
    AutoJoin {
        /// The rows on the left.
        left: Box<Plan>,
        /// The table that is asked for.
        right: Box<Plan>,
        /// What must hold, over both rows.
        on: Expr,
        /// For which rows on the left it is asked, over them.
        when: Option<Expr>,
        /// Who is asked.
        collector: &'static str,
    },
    /// Each row with a subquery's answer for it, as one more column.
    Apply {
        /// The input.
        input: Box<Plan>,
        /// The subquery's plan; its parameters are [`ExprKind::Parameter`]s.
        subplan: Box<Plan>,
        /// Their values, over the input row.
        params: Vec<Expr>,
        /// What is asked.
        question: Question,
    },
    /// The rows that equal values which are known before any row is read, found by an index over the input. Only within
    /// a subquery's plan.
    Lookup {
        /// The input, the same for every evaluation of the subquery.
        input: Box<Plan>,
        /// Pairs of an expression over the input row and one over parameters, that must be equal and not NULL.
        keys: Vec<(Expr, Expr)>,
        /// What else must hold, over the input row.
        rest: Option<Expr>,
    },
    /// Rows of constants.
    Values {
        /// The rows.
        rows: Vec<Vec<Expr>>,
        /// Their columns.
        fields: Vec<Field>,
    },
    /// The values of a list.
    List {
        /// The list.
        list: Arc<List>,
        /// What the statement calls it.
        alias: String,
    },
    /// The rows of two inputs as one relation.
    Set {
        /// How.
        op: SetOp,
        /// The left input.
        left: Box<Plan>,
        /// The right input.
        right: Box<Plan>,
    },
    /// The rows of `base`, then those that `step` makes of the rows of the round before, until it makes none.
    Recursive {
        /// The first round.
        base: Box<Plan>,
        /// Each further one; [`Plan::Working`] of this id stands for the rows of the round before.
        step: Box<Plan>,
        /// Tells it from others.
        id: usize,
        /// A row that was there before is not new.
        distinct: bool,
        /// It ends with so many rows.
        limit: Option<u64>,
    },
    /// Within the step of a [`Plan::Recursive`], the rows of the round before.
    Working {
        /// Of which one.
        id: usize,
        /// Its columns.
        fields: Vec<Field>,
    },
    /// Each row with the values of window functions, after its own columns.
    Window {
        /// The input.
        input: Box<Plan>,
        /// The functions.
        windows: Vec<Window>,
    },
    /// Each row with each relative of a process.
    Lineage {
        /// Above or below.
        lineage: Lineage,
        /// The input.
        input: Box<Plan>,
        /// The process's `proc_id`, over the input row.
        process: Expr,
        /// What the statement calls the relatives.
        alias: String,
        /// Positions in [`Lineage::table`] that are read; they follow the input row.
        columns: Vec<usize>,
        /// Whether rows without a relative stay.
        kind: JoinKind,
        /// What must hold, over both rows.
        on: Option<Expr>,
    },
    /// One row per group: keys, aggregates, then columns that are neither. Without keys exactly one.
    Aggregate {
        /// The input.
        input: Box<Plan>,
        /// The keys over the input row.
        keys: Vec<Expr>,
        /// The aggregates.
        aggregates: Vec<Aggregate>,
        /// Columns from one row of the group.
        bare: Bare,
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

/// What is asked of a subquery.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The first row's value; NULL where there is none.
    Value,
    /// Whether there is a row.
    Exists,
    /// Whether the values, over the input row, equal those of a row. Three-valued.
    In(Vec<Expr>, Collation),
}

/// A filter admits only rows whose TIMESTAMP column is at least `now() - micros`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lookback {
    /// The position in the table.
    pub column: usize,
    /// How far back, in microseconds.
    pub micros: i64,
}

impl Lookback {
    /// What reaches as far back as both, if it is the same column that says so.
    pub(crate) fn farther(self, other: Self) -> Option<Self> {
        (self.column == other.column).then(|| Self { micros: self.micros.max(other.micros), ..self })
    }
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
            Self::Filter { input, .. }
            | Self::Lookup { input, .. }
            | Self::Distinct { input }
            | Self::Sort { input, .. } => input.fields(),
            Self::Set { left, .. } => left.fields(),
            Self::Recursive { base, .. } => base.fields(),
            Self::Values { fields, .. } | Self::Working { fields, .. } => fields.clone(),
            Self::List { alias, .. } => vec![Field { name: format!("{alias}.{}", lists::COLUMN), ty: Type::Text }],
            Self::Apply { input, subplan, question, .. } => {
                let ty = match question {
                    Question::Value => subplan.fields()[0].ty,
                    Question::Exists | Question::In(..) => Type::Boolean,
                };
                let mut fields = input.fields();
                fields.push(Field { name: question.to_string(), ty });
                fields
            }
            Self::Window { input, windows } => {
                let added = windows.iter().map(|window| Field { name: window.to_string(), ty: window.ty });
                input.fields().into_iter().chain(added).collect()
            }
            Self::Project { columns, .. } => {
                columns.iter().map(|(name, expr)| Field { name: name.clone(), ty: expr.ty }).collect()
            }
            Self::Join { left, right, .. } | Self::AutoJoin { left, right, .. } => {
                left.fields().into_iter().chain(right.fields()).collect()
            }
            Self::Lineage { lineage, input, alias, columns, .. } => {
                let table = lineage.table();
                input.fields().into_iter().chain(columns.iter().map(|at| of(alias, &table.columns[*at]))).collect()
            }
            Self::Aggregate { keys, aggregates, bare, .. } => {
                let of = |expr: &Expr| Field { name: expr.to_string(), ty: expr.ty };
                let aggregates = aggregates.iter().map(|it| Field { name: it.to_string(), ty: it.ty });
                keys.iter().map(of).chain(aggregates).chain(bare.columns.iter().map(of)).collect()
            }
        }
    }

    /// The number of columns of the result.
    pub fn width(&self) -> usize {
        self.fields().len()
    }

    /// The inputs, left to right: what changes reach this operation through.
    pub fn inputs(&self) -> Vec<&Self> {
        match self {
            Self::Unit
            | Self::Scan { .. }
            | Self::Values { .. }
            | Self::List { .. }
            | Self::Recursive { .. }
            | Self::Working { .. } => vec![],
            Self::Filter { input, .. }
            | Self::Lookup { input, .. }
            | Self::Apply { input, .. }
            | Self::Window { input, .. }
            | Self::Project { input, .. }
            | Self::Lineage { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Distinct { input }
            | Self::Sort { input, .. } => vec![input],
            Self::Join { left, right, .. } | Self::AutoJoin { left, right, .. } | Self::Set { left, right, .. } => {
                vec![left, right]
            }
        }
    }

    /// The plans that this operation evaluates by itself, as often as it needs.
    pub fn subplans(&self) -> Vec<&Self> {
        match self {
            Self::Apply { subplan, .. } => vec![subplan],
            Self::Recursive { base, step, .. } => vec![base, step],
            _ => vec![],
        }
    }

    /// Inputs and subplans.
    pub fn children(&self) -> Vec<&Self> {
        self.inputs().into_iter().chain(self.subplans()).collect()
    }

    /// The plan with each child replaced by `change` of it.
    #[must_use]
    pub fn map_children(mut self, change: &mut impl FnMut(Self) -> Self) -> Self {
        let mut replace = |child: &mut Box<Self>| {
            let old = std::mem::replace(&mut **child, Self::Unit);
            **child = change(old);
        };
        match &mut self {
            Self::Unit | Self::Scan { .. } | Self::Values { .. } | Self::List { .. } | Self::Working { .. } => {}
            Self::Filter { input, .. }
            | Self::Lookup { input, .. }
            | Self::Window { input, .. }
            | Self::Project { input, .. }
            | Self::Lineage { input, .. }
            | Self::Aggregate { input, .. }
            | Self::Distinct { input }
            | Self::Sort { input, .. } => replace(input),
            Self::Join { left: one, right: other, .. }
            | Self::AutoJoin { left: one, right: other, .. }
            | Self::Set { left: one, right: other, .. }
            | Self::Apply { input: one, subplan: other, .. }
            | Self::Recursive { base: one, step: other, .. } => {
                replace(one);
                replace(other);
            }
        }
        self
    }

    /// The tables that are scanned, without repeats.
    pub fn tables(&self) -> Vec<Arc<Table>> {
        let mut tables: Vec<Arc<Table>> = self.children().into_iter().flat_map(Self::tables).collect();
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
        self.exprs().into_iter().any(Expr::uses_now) || self.children().into_iter().any(Self::uses_now)
    }

    /// Whether its rows are the same whatever a subquery around it is evaluated for, and in every round of a recursion.
    pub(crate) fn is_constant(&self) -> bool {
        !self.reads_parameters() && self.working().is_empty()
    }

    fn reads_parameters(&self) -> bool {
        let own = self.exprs().into_iter().any(has_parameter);
        // A subquery's plan has parameters of its own; those of this plan are among the values it is given.
        let within = match self {
            Self::Recursive { base, step, .. } => base.reads_parameters() || step.reads_parameters(),
            _ => false,
        };
        own || within || self.inputs().into_iter().any(Self::reads_parameters)
    }

    /// The recursions outside of this plan whose rounds it reads.
    fn working(&self) -> Vec<usize> {
        let mut ids: Vec<usize> = self.children().into_iter().flat_map(Self::working).collect();
        match self {
            Self::Working { id, .. } => ids.push(*id),
            Self::Recursive { id, .. } => ids.retain(|other| other != id),
            _ => {}
        }
        ids
    }

    /// The expressions of this operation, without those of its children.
    pub fn exprs(&self) -> Vec<&Expr> {
        match self {
            Self::Unit
            | Self::Distinct { .. }
            | Self::Sort { .. }
            | Self::Set { .. }
            | Self::List { .. }
            | Self::Recursive { .. }
            | Self::Working { .. } => vec![],
            Self::Scan { filter, as_of, .. } => filter.iter().chain(as_of).collect(),
            Self::Filter { predicate, .. } => vec![predicate],
            Self::Project { columns, .. } => columns.iter().map(|(_, expr)| expr).collect(),
            Self::Join { keys, on, .. } => keys.iter().flat_map(|(left, right)| [left, right]).chain(on).collect(),
            Self::AutoJoin { on, when, .. } => std::iter::once(on).chain(when).collect(),
            Self::Lookup { keys, rest, .. } => keys.iter().flat_map(|(own, given)| [own, given]).chain(rest).collect(),
            Self::Apply { params, question: Question::In(values, _), .. } => params.iter().chain(values).collect(),
            Self::Apply { params, .. } => params.iter().collect(),
            Self::Values { rows, .. } => rows.iter().flatten().collect(),
            Self::Window { windows, .. } => windows.iter().flat_map(Window::exprs).collect(),
            Self::Lineage { process, on, .. } => std::iter::once(process).chain(on).collect(),
            Self::Aggregate { keys, aggregates, bare, .. } => {
                keys.iter().chain(aggregates.iter().flat_map(Aggregate::exprs)).chain(&bare.columns).collect()
            }
        }
    }

    fn line(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unit => f.write_str("Unit"),
            Self::Scan { table, alias, columns, filter, lookback, as_of } => {
                write!(f, "Table: {}", table.name)?;
                if *alias != table.name {
                    write!(f, " as {alias}")?;
                }
                if columns.len() < table.columns.len() {
                    let names: Vec<_> = columns.iter().map(|at| &*table.columns[*at].name).collect();
                    write!(f, " [{}]", names.join(", "))?;
                }
                if let Some(as_of) = as_of {
                    write!(f, " as of {as_of}")?;
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
                let all = if all.is_empty() { "everything".to_owned() } else { all.join(", ") };
                write!(f, "{}Join: {all}", kept(*kind))
            }
            Self::AutoJoin { on, when, collector, .. } => {
                write!(f, "AutoJoin: {on}")?;
                when.as_ref().map_or(Ok(()), |when| write!(f, ", when {when}"))?;
                write!(f, ", asks {collector}")
            }
            Self::Lookup { keys, rest, .. } => {
                let keys = keys.iter().map(|(own, given)| format!("{own} = {given}"));
                let all: Vec<_> = keys.chain(rest.iter().map(ToString::to_string)).collect();
                write!(f, "Lookup: {}", all.join(", "))
            }
            Self::Apply { params, question, .. } => {
                let params: Vec<_> = params.iter().map(ToString::to_string).collect();
                write!(f, "Apply: {question}")?;
                if params.is_empty() { f.write_str(", once") } else { write!(f, " for each {}", params.join(", ")) }
            }
            Self::Values { rows, .. } => write!(f, "Values: {} rows", rows.len()),
            Self::List { list, alias } => {
                write!(f, "List: {} as {alias} ({} values)", list.name, list.values.len())
            }
            Self::Set { op, .. } => write!(f, "Set: {}", op.name()),
            Self::Recursive { distinct, limit, .. } => {
                f.write_str(if *distinct { "Recursive: new rows" } else { "Recursive: all rows" })?;
                limit.map_or(Ok(()), |limit| write!(f, ", at most {limit}"))
            }
            Self::Working { .. } => f.write_str("Rows of the round before"),
            Self::Window { windows, .. } => {
                let windows: Vec<_> = windows.iter().map(ToString::to_string).collect();
                write!(f, "Window: {}", windows.join(", "))
            }
            Self::Lineage { lineage, process, alias, kind, on, .. } => {
                let word = match lineage {
                    Lineage::Ancestors => "Ancestors",
                    Lineage::Descendants => "Descendants",
                };
                write!(f, "{}{word}: {process} as {alias}", kept(*kind))?;
                on.as_ref().map_or(Ok(()), |on| write!(f, ", {on}"))
            }
            Self::Aggregate { keys, aggregates, bare, .. } => {
                let keys: Vec<_> = keys.iter().map(ToString::to_string).collect();
                let bare = bare.columns.iter().map(|column| format!("some {column}"));
                let values: Vec<_> = aggregates.iter().map(ToString::to_string).chain(bare).collect();
                write!(f, "Aggregate: {} by [{}]", values.join(", "), keys.join(", "))
            }
            Self::Distinct { .. } => f.write_str("Distinct"),
            Self::Sort { input, keys, limit, offset } => {
                write!(f, "Sort: {}", sort_text(&input.fields(), keys, *limit, *offset))
            }
        }
    }

    /// What it does, on one line, without what is below it.
    pub fn operation_text(&self) -> String {
        struct Line<'a>(&'a Plan);
        impl fmt::Display for Line<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.line(f)
            }
        }
        Line(self).to_string()
    }

    /// The lines of the tree from the top: what stands before each, and what it does.
    pub fn outline(&self) -> Vec<(String, String)> {
        let mut lines = Vec::new();
        self.outline_below("", "", &mut lines);
        lines
    }

    fn outline_below(&self, own: &str, below: &str, lines: &mut Vec<(String, String)>) {
        lines.push((own.to_owned(), self.operation_text()));
        let children = self.children();
        for (at, child) in children.iter().enumerate() {
            let (stem, goes_on) = if at + 1 == children.len() { ("└─ ", "   ") } else { ("├─ ", "│  ") };
            child.outline_below(&format!("{below}{stem}"), &format!("{below}{goes_on}"), lines);
        }
    }
}

/// Whether it reads what a subquery is evaluated for.
pub(crate) fn has_parameter(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| found |= matches!(expr.kind, ExprKind::Parameter { .. }));
    found
}

/// The word for a join that keeps rows without a match.
fn kept(kind: JoinKind) -> &'static str {
    match kind {
        JoinKind::Inner => "",
        JoinKind::Left => "Left",
        JoinKind::Right => "Right",
        JoinKind::Full => "Full",
    }
}

/// The name of the column that an [`Plan::Apply`] adds.
impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Value => f.write_str("(SELECT …)"),
            Self::Exists => f.write_str("EXISTS (SELECT …)"),
            Self::In(values, collation) => {
                let values: Vec<_> = values.iter().map(ToString::to_string).collect();
                let collate = if *collation == Collation::NoCase { " COLLATE NOCASE" } else { "" };
                write!(f, "{}{collate} IN (SELECT …)", values.join(", "))
            }
        }
    }
}

/// In which order, and how many.
pub(crate) fn sort_text(fields: &[Field], keys: &[SortKey], limit: Option<u64>, offset: u64) -> String {
    let keys: Vec<_> = keys.iter().map(|key| format!("{}{key}", fields[key.column].name)).collect();
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
    parts.join(", ")
}

/// The tree, one operation a line.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.outline();
        lines
            .iter()
            .enumerate()
            .try_for_each(|(at, (stem, text))| write!(f, "{}{stem}{text}", if at > 0 { "\n" } else { "" }))
    }
}
