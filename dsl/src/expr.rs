//! Typed expressions: what the checker makes of the text and the only thing that is ever evaluated.
//!
//! A closed set. Every expression has a type, every coercion is a [`ExprKind::Cast`] that can be seen in `explain`, and
//! every operation is total: it gives a value or NULL for every input, whatever a process calls itself.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::diagnostic::Span;
use crate::functions::{Function, Prepared};
use crate::pattern::Pattern;
use crate::query::{Subquery, SubqueryKind};
use crate::types::{Type, Value, display_interval};

/// An expression with its type.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    /// What it does.
    pub kind: ExprKind,
    /// The type of its values.
    pub ty: Type,
    /// Where it was written.
    pub place: Place,
}

/// Where something was written, for findings. Equal to every other place: the same expression written twice is one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Place {
    start: u32,
    end: u32,
}

impl Place {
    /// The bytes of the source; empty for what the compiler added.
    pub fn span(self) -> Span {
        self.start as usize..self.end as usize
    }

    /// Whether it was written, not added by the compiler.
    pub fn is_known(self) -> bool {
        self.end > self.start
    }
}

/// Text is at most as long as [`crate::limits::TEXT`] can be set to, so its places fit.
impl From<&Span> for Place {
    fn from(span: &Span) -> Self {
        let offset = |at| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: offset(span.start), end: offset(span.end) }
    }
}

impl PartialEq for Place {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// The operations. Columns are positions in the input row.
#[derive(Clone, Debug, PartialEq)]
pub enum ExprKind {
    /// The input's column at `index`; `name` is for people.
    Column {
        /// Position in the input row.
        index: usize,
        /// As shown by `explain`, with its table.
        name: Arc<str>,
    },
    /// A column of a row around the query: of the row that the query is evaluated for, or one further out. Only in a
    /// checked query; in a plan it is a [`ExprKind::Parameter`].
    Outer {
        /// How many rows out; 1 is the nearest.
        level: usize,
        /// Position in that row.
        index: usize,
        /// For people.
        name: Arc<str>,
    },
    /// In the plan of a subquery, a value that is given for each evaluation.
    Parameter {
        /// Its number.
        index: usize,
        /// For people.
        name: Arc<str>,
    },
    /// A query's answer. Only in a checked query; in a plan it is a column that another operation adds.
    Subquery(Box<Subquery>),
    /// A constant.
    Literal(Value),
    /// The time of evaluation: the snapshot's, constant within one evaluation.
    Now,
    /// The same value in another type; NULL where there is none.
    Cast(Box<Expr>),
    /// An INTEGER where other results of the same CASE are REAL: the same number as REAL. What is computed from the CASE is
    /// computed from the INTEGER.
    Widen(Box<Expr>),
    /// True and false exchanged.
    Not(Box<Expr>),
    /// All of them; at least two. Three-valued.
    And(Vec<Expr>),
    /// Any of them; at least two. Three-valued.
    Or(Vec<Expr>),
    /// A comparison of two values of one type, or of INTEGER with REAL by exact value.
    Compare {
        /// Which one.
        op: Comparison,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
        /// How text compares.
        collation: Collation,
    },
    /// Whether the operand is NULL; never NULL itself.
    IsNull(Box<Expr>),
    /// Whether the operand is true; never NULL itself.
    IsTrue(Box<Expr>),
    /// Whether the operand equals one of the constants.
    In {
        /// The operand.
        value: Box<Expr>,
        /// Constants of the operand's type in the order of the collation, each once, NULLs left out.
        list: Arc<[Value]>,
        /// Whether the list had a NULL: then "not found" is unknown.
        has_null: bool,
        /// How text compares.
        collation: Collation,
    },
    /// LIKE, GLOB or REGEXP with a constant pattern.
    Match {
        /// The text.
        value: Box<Expr>,
        /// Compiled at load.
        pattern: Arc<Pattern>,
    },
    /// LIKE or GLOB with a pattern from the row.
    MatchDynamic {
        /// The text.
        value: Box<Expr>,
        /// The pattern's text.
        pattern: Box<Expr>,
        /// GLOB, else LIKE.
        glob: bool,
        /// LIKE's ESCAPE.
        escape: Option<char>,
    },
    /// `+ - * / % & | << >>`.
    Arithmetic {
        /// Which one.
        op: Arithmetic,
        /// Left operand.
        left: Box<Expr>,
        /// Right operand.
        right: Box<Expr>,
    },
    /// `-x`.
    Negate(Box<Expr>),
    /// `~x`.
    BitNot(Box<Expr>),
    /// `a || b`.
    Concat(Box<Expr>, Box<Expr>),
    /// The first branch whose condition is true, else the last expression.
    Case {
        /// Condition and result.
        branches: Vec<(Expr, Expr)>,
        /// Where none is true.
        otherwise: Box<Expr>,
    },
    /// A function of the registry.
    Call {
        /// Which one.
        function: &'static Function,
        /// Its arguments, of the declared types.
        args: Vec<Expr>,
        /// What it made of those that are constant.
        prepared: Arc<Prepared>,
    },
}

/// `= <> < <= > >=`, and `IS`, which takes NULL as a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `=`
    Equal,
    /// `<>`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterEqual,
    /// `IS NOT DISTINCT FROM`
    Is,
    /// `IS DISTINCT FROM`
    IsNot,
}

impl Comparison {
    /// The same question with the operands exchanged.
    #[must_use]
    pub fn flipped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessEqual => Self::GreaterEqual,
            Self::Greater => Self::Less,
            Self::GreaterEqual => Self::LessEqual,
            same => same,
        }
    }

    /// The answer for two values that are not NULL.
    pub fn holds(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal | Self::Is => ordering.is_eq(),
            Self::NotEqual | Self::IsNot => ordering.is_ne(),
            Self::Less => ordering.is_lt(),
            Self::LessEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterEqual => ordering.is_ge(),
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::NotEqual => "<>",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::Is => "IS NOT DISTINCT FROM",
            Self::IsNot => "IS DISTINCT FROM",
        }
    }
}

/// How text compares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Collation {
    /// By bytes.
    #[default]
    Binary,
    /// By bytes, ASCII letters as lower case.
    NoCase,
}

impl Collation {
    /// The order of two texts.
    pub fn compare(self, left: &str, right: &str) -> Ordering {
        match self {
            Self::Binary => left.cmp(right),
            Self::NoCase => {
                let lower = |byte: u8| byte.to_ascii_lowercase();
                left.bytes().map(lower).cmp(right.bytes().map(lower))
            }
        }
    }
}

/// The arithmetic operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arithmetic {
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`: INTEGER by INTEGER truncates; by zero is NULL.
    Divide,
    /// `%`: by zero is NULL.
    Remainder,
    /// `&`
    BitAnd,
    /// `|`
    BitOr,
    /// `<<`
    ShiftLeft,
    /// `>>`, keeping the sign.
    ShiftRight,
}

impl Arithmetic {
    /// As SQL writes it.
    pub fn symbol(self) -> &'static str {
        match self {
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
            Self::BitAnd => "&",
            Self::BitOr => "|",
            Self::ShiftLeft => "<<",
            Self::ShiftRight => ">>",
        }
    }
}

impl Expr {
    /// An expression that the compiler adds; [`Expr::at`] says where one was written.
    pub fn new(kind: ExprKind, ty: Type) -> Self {
        Self { kind, ty, place: Place::default() }
    }

    /// The same, written there, with what it was spelled out to; what has a place keeps it.
    #[must_use]
    pub fn at(mut self, span: &Span) -> Self {
        self.set_place(Place::from(span));
        self
    }

    fn set_place(&mut self, place: Place) {
        if !self.place.is_known() {
            self.place = place;
            self.operands_mut().into_iter().for_each(|operand| operand.set_place(place));
        }
    }

    /// A constant. A NULL takes any type.
    pub fn literal(value: Value, ty: Type) -> Self {
        Self::new(ExprKind::Literal(value), ty)
    }

    /// The constant NULL, of the type that anything takes.
    pub fn null() -> Self {
        Self::literal(Value::Null, Type::Text)
    }

    /// A BOOLEAN operation.
    pub fn boolean(kind: ExprKind) -> Self {
        Self::new(kind, Type::Boolean)
    }

    /// `value IN (list)` over constants of the value's type.
    pub fn among(value: Self, mut list: Vec<Value>, has_null: bool, collation: Collation) -> Self {
        let compare = |one: &Value, other: &Value| match (one, other) {
            (Value::Text(one), Value::Text(other)) => collation.compare(one, other),
            _ => one.compare(other),
        };
        list.sort_by(compare);
        list.dedup_by(|one, other| compare(one, other).is_eq());
        Self::boolean(ExprKind::In { value: Box::new(value), list: list.into(), has_null, collation })
    }

    /// The input's column at `index`.
    pub fn column(index: usize, ty: Type, name: impl Into<Arc<str>>) -> Self {
        Self::new(ExprKind::Column { index, name: name.into() }, ty)
    }

    /// The constant, if it is one.
    pub fn as_literal(&self) -> Option<&Value> {
        if let ExprKind::Literal(value) = &self.kind { Some(value) } else { None }
    }

    /// Whether it is the constant NULL.
    pub fn is_null(&self) -> bool {
        self.as_literal().is_some_and(Value::is_null)
    }

    /// All of `conjuncts`, nested ANDs laid flat; nothing for none.
    pub fn all(conjuncts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let mut flat = Vec::new();
        for conjunct in conjuncts {
            match conjunct.kind {
                ExprKind::And(parts) => flat.extend(parts),
                _ => flat.push(conjunct),
            }
        }
        match flat.len() {
            0 | 1 => flat.pop(),
            _ => Some(Self::boolean(ExprKind::And(flat))),
        }
    }

    /// The operands of the topmost AND, or the expression itself.
    pub fn into_conjuncts(self) -> Vec<Self> {
        match self.kind {
            ExprKind::And(parts) => parts,
            _ => vec![self],
        }
    }

    /// The direct operands.
    pub fn operands(&self) -> Vec<&Self> {
        match &self.kind {
            ExprKind::Column { .. }
            | ExprKind::Outer { .. }
            | ExprKind::Parameter { .. }
            | ExprKind::Literal(_)
            | ExprKind::Now => vec![],
            ExprKind::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::In { values, .. } => values.iter().collect(),
                SubqueryKind::Scalar | SubqueryKind::Exists => vec![],
            },
            ExprKind::Cast(of)
            | ExprKind::Widen(of)
            | ExprKind::Not(of)
            | ExprKind::IsNull(of)
            | ExprKind::IsTrue(of)
            | ExprKind::Negate(of)
            | ExprKind::BitNot(of)
            | ExprKind::In { value: of, .. }
            | ExprKind::Match { value: of, .. } => vec![of],
            ExprKind::Compare { left, right, .. }
            | ExprKind::Arithmetic { left, right, .. }
            | ExprKind::Concat(left, right)
            | ExprKind::MatchDynamic { value: left, pattern: right, .. } => vec![left, right],
            ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call { args: parts, .. } => parts.iter().collect(),
            ExprKind::Case { branches, otherwise } => {
                branches.iter().flat_map(|(when, then)| [when, then]).chain([&**otherwise]).collect()
            }
        }
    }

    /// The direct operands, to be changed.
    pub fn operands_mut(&mut self) -> Vec<&mut Self> {
        match &mut self.kind {
            ExprKind::Column { .. }
            | ExprKind::Outer { .. }
            | ExprKind::Parameter { .. }
            | ExprKind::Literal(_)
            | ExprKind::Now => vec![],
            ExprKind::Subquery(subquery) => match &mut subquery.kind {
                SubqueryKind::In { values, .. } => values.iter_mut().collect(),
                SubqueryKind::Scalar | SubqueryKind::Exists => vec![],
            },
            ExprKind::Cast(of)
            | ExprKind::Widen(of)
            | ExprKind::Not(of)
            | ExprKind::IsNull(of)
            | ExprKind::IsTrue(of)
            | ExprKind::Negate(of)
            | ExprKind::BitNot(of)
            | ExprKind::In { value: of, .. }
            | ExprKind::Match { value: of, .. } => vec![of],
            ExprKind::Compare { left, right, .. }
            | ExprKind::Arithmetic { left, right, .. }
            | ExprKind::Concat(left, right)
            | ExprKind::MatchDynamic { value: left, pattern: right, .. } => vec![left, right],
            ExprKind::And(parts) | ExprKind::Or(parts) | ExprKind::Call { args: parts, .. } => {
                parts.iter_mut().collect()
            }
            ExprKind::Case { branches, otherwise } => {
                branches.iter_mut().flat_map(|(when, then)| [when, then]).chain([&mut **otherwise]).collect()
            }
        }
    }

    /// Calls `visit` on the expression and everything below it.
    pub fn walk<'e>(&'e self, visit: &mut impl FnMut(&'e Self)) {
        visit(self);
        for operand in self.operands() {
            operand.walk(visit);
        }
    }

    /// The positions of the columns it reads, those of its subqueries included, ascending, without repeats.
    pub fn columns(&self) -> Vec<usize> {
        let mut columns = Vec::new();
        self.walk(&mut |expr| match &expr.kind {
            ExprKind::Column { index, .. } => columns.push(*index),
            ExprKind::Subquery(subquery) => columns.extend(subquery.query.columns_around()),
            _ => {}
        });
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// How many operations it is made of, itself included.
    pub fn size(&self) -> usize {
        let mut size = 0;
        self.walk(&mut |_| size += 1);
        size
    }

    /// Whether it depends on the time of evaluation.
    pub fn uses_now(&self) -> bool {
        let mut found = self.calls_now();
        self.walk(&mut |expr| {
            if let ExprKind::Subquery(subquery) = &expr.kind {
                found |= subquery.query.uses_now();
            }
        });
        found
    }

    /// The same, its subqueries left out.
    pub(crate) fn calls_now(&self) -> bool {
        let mut found = false;
        self.walk(&mut |expr| found |= expr.kind == ExprKind::Now);
        found
    }

    /// Calls `visit` for every reference that reaches out of `depth` enclosing queries, with how far beyond.
    pub(crate) fn outer_below(&mut self, depth: usize, visit: &mut dyn FnMut(&mut Self, usize)) {
        if let ExprKind::Outer { level, .. } = self.kind
            && level > depth
        {
            visit(self, level - depth);
        }
        if let ExprKind::Subquery(subquery) = &mut self.kind {
            subquery.query.outer_below(depth + 1, visit);
        }
        self.operands_mut().into_iter().for_each(|operand| operand.outer_below(depth, visit));
    }

    /// Renumbers the columns it reads.
    #[must_use]
    pub fn with_columns(mut self, to: &impl Fn(usize) -> usize) -> Self {
        self.renumber(to);
        self
    }

    fn renumber(&mut self, to: &impl Fn(usize) -> usize) {
        match &mut self.kind {
            ExprKind::Column { index, .. } => *index = to(*index),
            ExprKind::Subquery(subquery) => subquery.query.outer_mut(&mut |expr, reach| {
                if let (ExprKind::Outer { index, .. }, 1) = (&mut expr.kind, reach) {
                    *index = to(*index);
                }
            }),
            _ => {}
        }
        for operand in self.operands_mut() {
            operand.renumber(to);
        }
    }

    /// How tightly the operation binds, as SQL's precedence has it: an operand that binds less needs parentheses.
    fn binding(&self) -> u8 {
        match &self.kind {
            ExprKind::Or(_) => 1,
            ExprKind::And(_) => 2,
            ExprKind::Not(_) => 3,
            ExprKind::Compare { op, .. } => match op {
                Comparison::Equal | Comparison::NotEqual | Comparison::Is | Comparison::IsNot => 4,
                _ => 5,
            },
            ExprKind::IsNull(_)
            | ExprKind::IsTrue(_)
            | ExprKind::In { .. }
            | ExprKind::Match { .. }
            | ExprKind::MatchDynamic { .. } => 4,
            ExprKind::Subquery(subquery) if matches!(subquery.kind, SubqueryKind::In { .. }) => 4,
            ExprKind::Arithmetic { op, .. } => match op {
                Arithmetic::BitAnd | Arithmetic::BitOr | Arithmetic::ShiftLeft | Arithmetic::ShiftRight => 6,
                Arithmetic::Add | Arithmetic::Subtract => 7,
                Arithmetic::Multiply | Arithmetic::Divide | Arithmetic::Remainder => 8,
            },
            ExprKind::Concat(..) => 9,
            ExprKind::Negate(_) | ExprKind::BitNot(_) => 10,
            _ => 11,
        }
    }

    fn operand<'a>(&self, operand: &'a Self) -> Operand<'a> {
        Operand { expr: operand, parenthesised: operand.binding() <= self.binding() && operand.binding() < 11 }
    }
}

struct Operand<'a> {
    expr: &'a Expr,
    parenthesised: bool,
}

impl fmt::Display for Operand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.parenthesised { write!(f, "({})", self.expr) } else { write!(f, "{}", self.expr) }
    }
}

/// SQL of the dialect with the same meaning, on one line; columns carry the names that the author gave.
/// Values of an IN list that are shown.
const IN_LIST_SHOWN_MAX: usize = 64;

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, parts: &[Self], word: &str| {
            parts.iter().enumerate().try_for_each(|(at, part)| {
                if at > 0 {
                    write!(f, " {word} ")?;
                }
                write!(f, "{}", self.operand(part))
            })
        };
        match &self.kind {
            ExprKind::Column { name, .. } | ExprKind::Outer { name, .. } | ExprKind::Parameter { name, .. } => {
                f.write_str(name)
            }
            ExprKind::Subquery(subquery) => match &subquery.kind {
                SubqueryKind::Scalar => f.write_str("(SELECT …)"),
                SubqueryKind::Exists => f.write_str("EXISTS (SELECT …)"),
                SubqueryKind::In { values, .. } => match values.as_slice() {
                    [one] => write!(f, "{} IN (SELECT …)", self.operand(one)),
                    more => {
                        let more: Vec<_> = more.iter().map(ToString::to_string).collect();
                        write!(f, "({}) IN (SELECT …)", more.join(", "))
                    }
                },
            },
            ExprKind::Literal(value) => write_literal(value, f),
            ExprKind::Now => f.write_str("now()"),
            ExprKind::Cast(of) | ExprKind::Widen(of) => write!(f, "CAST({of} AS {})", self.ty),
            ExprKind::Not(of) => write!(f, "NOT {}", self.operand(of)),
            ExprKind::And(parts) => join(f, parts, "AND"),
            ExprKind::Or(parts) => join(f, parts, "OR"),
            ExprKind::Compare { op, left, right, collation } => {
                write!(f, "{} {} {}", self.operand(left), op.symbol(), self.operand(right))?;
                f.write_str(collate(*collation))
            }
            ExprKind::IsNull(of) => write!(f, "{} IS NULL", self.operand(of)),
            ExprKind::IsTrue(of) => write!(f, "{} IS TRUE", self.operand(of)),
            ExprKind::In { value, list, has_null, collation } => {
                write!(f, "{}{} IN (", self.operand(value), collate(*collation))?;
                for (at, item) in list.iter().take(IN_LIST_SHOWN_MAX).enumerate() {
                    if at > 0 {
                        f.write_str(", ")?;
                    }
                    write_literal(item, f)?;
                }
                if let Some(more @ 1..) = list.len().checked_sub(IN_LIST_SHOWN_MAX) {
                    write!(f, ", … {more} more")?;
                }
                f.write_str(match (has_null, list.is_empty()) {
                    (true, true) => "NULL)",
                    (true, false) => ", NULL)",
                    _ => ")",
                })
            }
            ExprKind::Match { value, pattern } => write!(f, "{} {pattern}", self.operand(value)),
            ExprKind::MatchDynamic { value, pattern, glob, escape } => {
                let word = if *glob { "GLOB" } else { "LIKE" };
                write!(f, "{} {word} {}", self.operand(value), self.operand(pattern))?;
                escape.map_or(Ok(()), |escape| write!(f, " ESCAPE '{escape}'"))
            }
            ExprKind::Arithmetic { op, left, right } => {
                write!(f, "{} {} {}", self.operand(left), op.symbol(), self.operand(right))
            }
            ExprKind::Negate(of) => write!(f, "-{}", self.operand(of)),
            ExprKind::BitNot(of) => write!(f, "~{}", self.operand(of)),
            ExprKind::Concat(left, right) => write!(f, "{} || {}", self.operand(left), self.operand(right)),
            ExprKind::Case { branches, otherwise } => {
                f.write_str("CASE")?;
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                write!(f, " ELSE {otherwise} END")
            }
            ExprKind::Call { function, args, .. } => {
                write!(f, "{}(", function.name)?;
                for (at, arg) in args.iter().enumerate() {
                    write!(f, "{}{arg}", if at > 0 { ", " } else { "" })?;
                }
                f.write_str(")")
            }
        }
    }
}

fn collate(collation: Collation) -> &'static str {
    if collation == Collation::NoCase { " COLLATE NOCASE" } else { "" }
}

fn write_literal(value: &Value, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        Value::Null => f.write_str("NULL"),
        Value::Integer(value) => write!(f, "{value}"),
        Value::Real(value) => f.write_str(&crate::convert::real_to_text(*value)),
        Value::Text(value) => write!(f, "'{}'", value.replace('\'', "''")),
        Value::Blob(value) => write!(f, "x'{}'", crate::types::hex(value)),
        Value::Boolean(value) => f.write_str(if *value { "TRUE" } else { "FALSE" }),
        Value::Timestamp(value) => write!(f, "TIMESTAMP '{}'", crate::types::Timestamp(*value).rfc3339()),
        Value::Interval(value) => write!(f, "INTERVAL '{}'", display_interval(*value)),
    }
}
