//! Which expressions have an affinity: in a comparison their type is applied to a literal of another one.
//!
//! As in SQLite these are columns of tables, CASTs, columns that an outer join with USING merged out of two, and columns of
//! queries that are such; a value that was computed, an aggregate's among them, is compared as it is.

use super::Checker;
use crate::expr::{Expr, ExprKind};
use crate::query::{Body, From, Part, Query, Select, SubqueryKind};

impl Checker<'_> {
    /// Whether an expression over the rows in scope has one. Aggregates and windows follow those rows' columns.
    pub(super) fn has_affinity(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Column { index, .. } => self.scope.column_at(*index).is_some_and(|column| column.affinity),
            ExprKind::Outer { level, index, .. } => {
                let scope = self.around.len().checked_sub(*level).and_then(|at| self.around.get(at));
                scope.and_then(|scope| scope.column_at(*index)).is_some_and(|column| column.affinity)
            }
            _ => merged(expr).map_or_else(|| of_value(expr), |first| self.has_affinity(first)),
        }
    }
}

/// The first of the two columns that `expr` gives the first value of: only USING and NATURAL make it of this form.
fn merged(expr: &Expr) -> Option<&Expr> {
    let ExprKind::Case { branches, otherwise } = &expr.kind else { return None };
    let [(Expr { kind: ExprKind::IsNull(first), .. }, _)] = branches.as_slice() else { return None };
    (first == otherwise).then_some(otherwise)
}

/// Whether a column of the query's result has one.
pub(super) fn of_result(query: &Query, column: usize) -> bool {
    match &query.body {
        Body::Select(select) => select.columns.get(column).is_some_and(|expr| of_selected(expr, select)),
        Body::Values(rows) => rows.first().and_then(|row| row.get(column)).is_some_and(of_value),
        // SQLite leaves open which of the queries decides.
        Body::Set(set) => of_result(&set.left, column),
    }
}

/// Whether a column of FROM has one.
pub(super) fn of_part(part: Part<'_>, column: usize) -> bool {
    match part {
        Part::Table(_) | Part::List(_) => true,
        Part::Query(derived) => of_result(&derived.query, column),
        Part::Recursive(recursive) => of_result(&recursive.base, column),
        Part::Working(_) => false,
    }
}

/// `expr` is over the row that the SELECT's columns are made of: of FROM or of a group, then windows.
fn of_selected(expr: &Expr, select: &Select) -> bool {
    let Some(group) = &select.group else { return of_row(expr, &select.from) };
    let ExprKind::Column { index, .. } = expr.kind else { return of_value(expr) };
    let of_group = match group.keys.get(index) {
        Some(key) => Some(key),
        None => index.checked_sub(group.keys.len() + group.aggregates.len()).and_then(|at| group.bare.columns.get(at)),
    };
    of_group.is_some_and(|expr| of_row(expr, &select.from))
}

fn of_row(expr: &Expr, from: &From) -> bool {
    let ExprKind::Column { index, .. } = expr.kind else {
        return merged(expr).map_or_else(|| of_value(expr), |first| of_row(first, from));
    };
    let part = from.parts().into_iter().rev().find(|(_, start)| *start <= index);
    part.is_some_and(|(part, start)| index - start < part.width() && of_part(part, index - start))
}

/// Whether something other than a column of the row at hand has one.
fn of_value(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Cast(_) | ExprKind::Outer { .. } => true,
        ExprKind::Subquery(subquery) => subquery.kind == SubqueryKind::Scalar && of_result(&subquery.query, 0),
        _ => false,
    }
}
