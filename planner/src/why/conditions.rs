//! Conditions over rows: which hold for which, and which row comes nearest.

use std::cmp::Reverse;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::types::Value;

use super::trace::plain;
use super::{Alternative, Condition, NEAREST_MAX, Named, Near};
use crate::eval::Evaluator;
use crate::operators::Context;
use crate::plan::{Field, Plan};

impl Condition {
    /// A condition of which nothing is known yet.
    pub(super) fn new(expr: &Expr) -> Self {
        Self {
            text: expr.to_string(),
            span: expr.place.is_known().then(|| expr.place.span()),
            holds: None,
            values: vec![],
            held_by: None,
            subqueries: vec![],
            alternative: None,
        }
    }

    /// A condition with what it sees in the only row, as far as its columns are there.
    pub(super) fn seen(
        expr: &Expr,
        row: &RecordBatch,
        context: &Context<'_>,
        is_answer: &dyn Fn(usize) -> bool,
    ) -> Self {
        let known = expr.columns().iter().all(|at| *at < row.num_columns());
        let holds = if known { context.evaluator(row).truth_at(expr, 0) } else { None };
        let alternative = match &expr.kind {
            ExprKind::Or(parts) if known && holds != Some(true) => {
                let seen = |expr: &Expr| Self::seen(expr, row, context, is_answer);
                nearest_alternative(parts, &seen)
            }
            _ => None,
        };
        Self { holds, values: values_of(expr, row, |at| !is_answer(at)), alternative, ..Self::new(expr) }
    }
}

/// The first of the alternatives of which the fewest conditions fail, and of those the most hold.
fn nearest_alternative(parts: &[Expr], seen: &dyn Fn(&Expr) -> Condition) -> Option<Alternative> {
    let conditions = |part: &Expr| part.clone().into_conjuncts().iter().map(seen).collect::<Vec<_>>();
    let all = parts.iter().map(conditions).enumerate();
    let score = |(_, conditions): &(usize, Vec<Condition>)| {
        let held = conditions.iter().filter(|it| it.holds == Some(true)).count();
        (conditions.len() - held, Reverse(held))
    };
    let (at, conditions) = all.min_by_key(score)?;
    Some(Alternative { number: at + 1, of: parts.len(), conditions })
}

/// Whether a column of a plan's rows is the answer of a subquery.
pub(super) fn is_answer(plan: &Plan, column: usize) -> bool {
    match plan {
        Plan::Apply { input, .. } => column == input.width() || is_answer(input, column),
        Plan::Filter { input, .. } => is_answer(input, column),
        _ => false,
    }
}

/// Columns that tell a row from others, beside those of the conditions.
const TELLING: [&str; 2] = ["pid", "name"];

/// For each condition, for each row, whether it holds.
pub(super) struct Judged {
    truths: Vec<BooleanArray>,
    rows: usize,
}

impl Judged {
    pub(super) fn new(conjuncts: &[Expr], evaluator: &Evaluator<'_>) -> Self {
        let truths = conjuncts.iter().map(|it| evaluator.values(it).as_boolean().clone()).collect();
        Self { truths, rows: evaluator.row_count() }
    }

    fn holds(&self, condition: usize, row: usize) -> bool {
        let truth = &self.truths[condition];
        truth.is_valid(row) && truth.value(row)
    }

    fn failing(&self, row: usize) -> impl Iterator<Item = usize> {
        (0..self.truths.len()).filter(move |condition| !self.holds(*condition, row))
    }

    /// The rows for which all hold.
    pub(super) fn kept(&self) -> Vec<u32> {
        (0u32..).take(self.rows).filter(|row| self.failing(*row as usize).next().is_none()).collect()
    }

    /// The row for which most hold; of several, the one whose first failing condition stands last.
    pub(super) fn nearest(&self) -> u32 {
        let score = |row: &u32| {
            let failing: Vec<_> = self.failing(*row as usize).collect();
            (failing.len(), Reverse(failing.first().copied()))
        };
        (0u32..).take(self.rows).min_by_key(score).unwrap_or_default()
    }

    /// The rows for which all but one hold, with which.
    pub(super) fn all_but_one(&self) -> impl Iterator<Item = (u32, usize)> {
        (0u32..).take(self.rows).filter_map(|row| {
            let mut failing = self.failing(row as usize);
            Some((row, failing.next()?)).filter(|_| failing.next().is_none())
        })
    }

    /// How many rows satisfy a condition.
    pub(super) fn held_by(&self, condition: usize) -> usize {
        (0..self.rows).filter(|row| self.holds(condition, *row)).count()
    }
}

/// Pairs of which none satisfies all conditions, those of each left row together.
pub(super) struct Pairs {
    pub(super) judged: Vec<(RecordBatch, Judged)>,
    /// Columns of the left side.
    pub(super) width: usize,
    /// Those of the right one.
    pub(super) fields: Vec<Field>,
}

impl Pairs {
    /// The right sides that satisfy all conditions but one. A single condition has none: all rows fail it alike.
    pub(super) fn nearest(&self, conjuncts: &[Expr]) -> Vec<Near> {
        if conjuncts.len() < 2 {
            return vec![];
        }
        let read = names(conjuncts, self.width).into_iter().map(|(at, name)| (at - self.width, name));
        let names: Vec<_> = telling(&self.fields, read).into_iter().map(|(at, name)| (at + self.width, name)).collect();
        let near = self.judged.iter().flat_map(|(pairs, judged)| {
            judged.all_but_one().map(|(row, fails)| Near { row: told(pairs, row as usize, &names), fails })
        });
        near.take(NEAREST_MAX).collect()
    }

    /// How many pairs satisfy a condition, and how many there are.
    pub(super) fn held_by(&self, condition: usize) -> (usize, usize) {
        let held = self.judged.iter().map(|(_, judged)| judged.held_by(condition)).sum();
        (held, self.judged.iter().map(|(pairs, _)| pairs.num_rows()).sum())
    }
}

/// The columns of the conditions from position `width` on, by name.
pub(super) fn names(conjuncts: &[Expr], width: usize) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for conjunct in conjuncts {
        conjunct.walk(&mut |expr| {
            if let ExprKind::Column { index, name } = &expr.kind
                && *index >= width
                && !names.iter().any(|(at, _)| at == index)
            {
                names.push((*index, name.to_string()));
            }
        });
    }
    names
}

/// A row's values in these columns.
pub(super) fn told(rows: &RecordBatch, row: usize, names: &[(usize, String)]) -> Vec<Named> {
    let known = names.iter().filter(|(at, _)| *at < rows.num_columns());
    known.map(|(at, name)| (name.clone(), Value::at(rows.column(*at), row))).collect()
}

/// The columns of an expression with their values in the only row, those that are there.
pub(super) fn values_of(expr: &Expr, row: &RecordBatch, is_shown: impl Fn(usize) -> bool) -> Vec<Named> {
    let names: Vec<_> = names(std::slice::from_ref(expr), 0).into_iter().filter(|(at, _)| is_shown(*at)).collect();
    told(row, 0, &names)
}

/// The fields that say which row it is, then others that are read.
pub(super) fn telling(fields: &[Field], read: impl Iterator<Item = (usize, String)>) -> Vec<(usize, String)> {
    let known = TELLING.iter().filter_map(|name| {
        let at = fields.iter().position(|field| plain(&field.name) == **name)?;
        Some((at, fields[at].name.clone()))
    });
    let mut all: Vec<_> = known.collect();
    for (at, name) in read {
        if at < fields.len() && !all.iter().any(|(known, _)| *known == at) {
            all.push((at, name));
        }
    }
    all
}
