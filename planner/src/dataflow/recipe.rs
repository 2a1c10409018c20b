//! What an operator does, apart from what it holds: two rules that need the same of the same inputs share it.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem::discriminant;
use std::sync::{Arc, LazyLock};

use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::query::{SetOp, SortKey};
use daemoneye_dsl::tables::lineage::Lineage;

use super::expiry::Until;
use super::steps::aggregate::Grouping;
use super::steps::pair::PairKind;
use super::steps::temporal::Turning;
use crate::plan::Plan;

#[derive(Clone, Debug)]
pub(crate) enum Recipe {
    /// Columns of the rows of a source for which a condition holds, by its number there.
    Leg {
        source: usize,
        condition: Option<usize>,
        columns: Vec<usize>,
    },
    Filter(Expr),
    Project(Vec<Expr>),
    Columns(Vec<usize>),
    Union,
    /// Rows by key, and how long they are kept.
    Arrange {
        keys: Vec<Expr>,
        until: Option<Until>,
    },
    Pair {
        kind: PairKind,
        on: Option<Box<Expr>>,
    },
    Aggregate(Box<Grouping>),
    Distinct,
    Set(SetOp),
    Top {
        keys: Vec<SortKey>,
        limit: Option<u64>,
        offset: u64,
    },
    Temporal(Vec<Turning>),
    /// The relatives of the processes whose ids the input has: id and columns of the table of relatives.
    Kin {
        lineage: Lineage,
        columns: Vec<usize>,
    },
    /// In the step of a recursion, the rows of the round before; in its first round those of its base.
    Working,
    /// Rows of the base, then what the step makes of the rows of the round before, round by round. The inputs are the
    /// base and the step; these nodes run in each round.
    Recursion {
        working: usize,
        rounds: Vec<usize>,
    },
    /// The operation at the top of a plan, whose inputs are the operator's: taken anew.
    Recomputed(Box<Plan>),
}

impl Recipe {
    /// Whether two do the same to the same inputs. What is taken anew, and a recursion, is nobody else's.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Leg { source, condition, columns },
                Self::Leg { source: other, condition: other_condition, columns: other_columns },
            ) => (source, condition, columns) == (other, other_condition, other_columns),
            (Self::Filter(one), Self::Filter(other)) => one == other,
            (Self::Project(one), Self::Project(other)) => one == other,
            (Self::Arrange { keys, until }, Self::Arrange { keys: other, until: other_until }) => {
                keys == other && until == other_until
            }
            (Self::Columns(one), Self::Columns(other)) => one == other,
            (Self::Union, Self::Union) | (Self::Distinct, Self::Distinct) => true,
            (Self::Pair { kind, on }, Self::Pair { kind: other, on: other_on }) => (kind, on) == (other, other_on),
            (Self::Aggregate(one), Self::Aggregate(other)) => one == other,
            (Self::Set(one), Self::Set(other)) => one == other,
            (
                Self::Top { keys, limit, offset },
                Self::Top { keys: other, limit: other_limit, offset: other_offset },
            ) => (keys, limit, offset) == (other, other_limit, other_offset),
            (Self::Temporal(one), Self::Temporal(other)) => one == other,
            (Self::Kin { lineage, columns }, Self::Kin { lineage: other, columns: other_columns }) => {
                lineage == other && columns == other_columns
            }
            _ => false,
        }
    }

    /// What it does, in a word.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Leg { .. } | Self::Filter(_) => "a condition",
            Self::Project(_) | Self::Columns(_) => "SELECT",
            Self::Union | Self::Set(_) => "a set operation",
            Self::Arrange { .. } | Self::Pair { kind: PairKind::Join(_), .. } => "a join",
            Self::Pair { .. } => "a subquery",
            Self::Aggregate(_) => "GROUP BY",
            Self::Distinct => "DISTINCT",
            Self::Top { .. } => "ORDER BY/LIMIT",
            Self::Temporal(_) => "a window of time",
            Self::Kin { .. } => "the relatives of processes",
            Self::Working | Self::Recursion { .. } => "a recursion",
            Self::Recomputed(plan) => match **plan {
                Plan::Window { .. } => "OVER",
                Plan::Join { .. } => "a join",
                Plan::Apply { .. } => "a subquery",
                Plan::Recursive { .. } => "a recursion",
                Plan::Aggregate { .. } => "GROUP BY",
                _ => "an operation",
            },
        }
    }

    /// Equal for those that are the same; nothing for one that is nobody else's.
    pub(crate) fn fingerprint(&self, inputs: &[usize]) -> Option<u64> {
        let mut hasher = DefaultHasher::new();
        discriminant(self).hash(&mut hasher);
        inputs.hash(&mut hasher);
        match self {
            Self::Leg { source, condition, columns } => (source, condition, columns).hash(&mut hasher),
            Self::Filter(expr) => feed(expr, &mut hasher),
            Self::Project(exprs) | Self::Arrange { keys: exprs, .. } => {
                for expr in exprs {
                    feed(expr, &mut hasher);
                }
            }
            Self::Columns(columns) | Self::Kin { columns, .. } => columns.hash(&mut hasher),
            Self::Pair { on, .. } => on.iter().for_each(|expr| feed(expr, &mut hasher)),
            Self::Aggregate(grouping) => {
                let calls = grouping.aggregates.iter().flat_map(|call| call.exprs());
                grouping.keys.iter().chain(calls).for_each(|expr| feed(expr, &mut hasher));
            }
            Self::Temporal(turning) => turning.iter().for_each(|it| feed(&it.moment, &mut hasher)),
            Self::Union | Self::Distinct | Self::Set(_) | Self::Top { .. } => {}
            Self::Recomputed(_) | Self::Working | Self::Recursion { .. } => return None,
        }
        Some(hasher.finish())
    }
}

/// A hash of what an expression does.
pub(crate) fn fingerprint(expr: &Expr) -> u64 {
    let mut hasher = DefaultHasher::new();
    feed(expr, &mut hasher);
    hasher.finish()
}

fn feed(expr: &Expr, hasher: &mut DefaultHasher) {
    discriminant(&expr.kind).hash(hasher);
    match &expr.kind {
        ExprKind::Column { index, .. } => index.hash(hasher),
        ExprKind::Literal(value) => {
            let mut bytes = Vec::new();
            value.encode_key(&mut bytes);
            bytes.hash(hasher);
        }
        ExprKind::Compare { op, .. } => discriminant(op).hash(hasher),
        ExprKind::In { list, .. } => {
            let mut bytes = Vec::new();
            for value in list.iter() {
                value.encode_key(&mut bytes);
            }
            bytes.hash(hasher);
        }
        ExprKind::Match { pattern, .. } => pattern.source().hash(hasher),
        ExprKind::Call { function, .. } => function.name.hash(hasher),
        _ => {}
    }
    expr.operands().into_iter().for_each(|operand| feed(operand, hasher));
}

/// The expression without what only people read: the names of columns.
pub(crate) fn nameless(mut expr: Expr) -> Expr {
    static NONE: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from(""));
    if let ExprKind::Column { name, .. } = &mut expr.kind {
        *name = NONE.clone();
    }
    for operand in expr.operands_mut() {
        let own = std::mem::replace(operand, Expr::null());
        *operand = nameless(own);
    }
    expr
}
