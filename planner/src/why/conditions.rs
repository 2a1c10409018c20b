//! Conditions over rows: which hold for which, and which row comes nearest.

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use daemoneye_dsl::expr::{Expr, ExprKind};
use daemoneye_dsl::types::Value;

use super::{NEAREST_MAX, Named, Near};
use crate::eval::Evaluator;

/// Columns that tell a row from others, beside those of the conditions.
const TELLING: [&str; 3] = ["pid", "name", "proc_id"];

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
            (failing.len(), std::cmp::Reverse(failing.first().copied()))
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

/// Of pairs whose left side has `width` columns, the right sides that satisfy all conditions but one. A single condition
/// has none: all rows fail it alike.
pub(super) fn nearest_partners(judged: &[(RecordBatch, Judged)], conjuncts: &[Expr], width: usize) -> Vec<Near> {
    if conjuncts.len() < 2 {
        return vec![];
    }
    let names = names(conjuncts, width);
    let near = judged.iter().flat_map(|(pairs, judged)| {
        judged.all_but_one().map(|(row, fails)| Near { row: told(pairs, row as usize, &names), fails })
    });
    near.take(NEAREST_MAX).collect()
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

/// The columns of an expression, of which only those before `width` are there, with their values in the only row.
pub(super) fn values_of(expr: &Expr, row: &RecordBatch, width: usize) -> Vec<Named> {
    let width = width.min(row.num_columns());
    let names = names(std::slice::from_ref(expr), 0);
    let names: Vec<_> = names.into_iter().filter(|(at, name)| *at < width && !name.contains("(SELECT")).collect();
    told(row, 0, &names)
}

/// The fields of a plan that say which row it is, then those of its conditions.
pub(super) fn telling(fields: &[crate::plan::Field], conjuncts: &[Expr]) -> Vec<(usize, String)> {
    let own = names(conjuncts, 0);
    let known = TELLING.iter().filter_map(|name| {
        let at = fields.iter().position(|field| super::trace::plain(&field.name) == **name)?;
        Some((at, fields[at].name.clone()))
    });
    let mut all: Vec<_> = known.collect();
    all.extend(own.into_iter().filter(|(at, _)| *at < fields.len()));
    all.sort_by_key(|(at, _)| *at);
    all.dedup_by_key(|(at, _)| *at);
    all
}
