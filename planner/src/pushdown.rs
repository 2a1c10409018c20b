//! What of a scan's filter the store can use to leave rows out: what indexes tell, and tests of single columns.

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use daemoneye_dsl::expr::Expr;
use daemoneye_dsl::tables::Table;
use daemoneye_dsl::types::Value;
use daemoneye_storage::{Probe, Question, Scan, Test};

use crate::batch::batch;
use crate::matcher;
use crate::plan::Lookback;

/// A scan of a table's columns, without rows that the filter, over the columns that are read, does not let through, as
/// far as the store can tell; nor rows that do not meet `since`. `over` evaluates an expression over rows.
pub(crate) fn scan<T>(
    table: &Table,
    columns: &[usize],
    filter: Option<&Expr>,
    since: Option<Vec<Probe>>,
    over: &dyn Fn(&RecordBatch, &Expr) -> ArrayRef,
    read: impl FnOnce(&Scan<'_>) -> T,
) -> T {
    let conjuncts: Vec<Expr> = filter.cloned().map(Expr::into_conjuncts).unwrap_or_default();
    let constant = |expr: &Expr| {
        let value = over(&batch(vec![], 1), expr);
        Value::at(value.as_ref(), 0)
    };
    let required: Vec<Vec<Probe>> = conjuncts
        .iter()
        .map(|conjunct| folded(conjunct.clone(), &constant))
        .flat_map(|conjunct| matcher::probes(&conjunct))
        .map(|group| group.into_iter().map(|probe| Probe { column: columns[probe.column], ..probe }).collect())
        .chain(since)
        .collect();
    let tested: Vec<(usize, Expr)> = conjuncts.iter().filter_map(of_one_column).collect();
    let passes: Vec<_> = tested
        .iter()
        .map(|(_, condition)| {
            move |values: &ArrayRef| -> BooleanArray {
                over(&batch(vec![values.clone()], values.len()), condition).as_boolean().clone()
            }
        })
        .collect();
    let tests: Vec<Test<'_>> =
        tested.iter().zip(&passes).map(|((at, _), passes)| Test { column: columns[*at], passes }).collect();
    read(&Scan { required: &required, tests: &tests, ..Scan::all(table, columns) })
}

/// What leaves rows out that lie further back than any can matter.
pub(crate) fn since(lookback: Lookback, now: i64) -> Vec<Probe> {
    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact in a double for centuries")]
    let from = now.saturating_sub(lookback.micros) as f64;
    let column = lookback.column;
    vec![Probe { column, question: Question::AtLeast(from) }, Probe { column, question: Question::Null }]
}

/// The expression with the values of parts that no row changes.
pub(crate) fn folded(mut expr: Expr, constant: &dyn Fn(&Expr) -> Value) -> Expr {
    if expr.as_literal().is_some() {
        return expr;
    }
    if expr.columns().is_empty() {
        let value = constant(&expr);
        return Expr::literal(value, expr.ty);
    }
    for operand in expr.operands_mut() {
        let own = std::mem::replace(operand, Expr::null());
        *operand = folded(own, constant);
    }
    expr
}

/// What the tests of a scan do not say of a filter.
pub(crate) fn untested(filter: &Expr) -> Vec<Expr> {
    let mut conjuncts = filter.clone().into_conjuncts();
    conjuncts.retain(|conjunct| of_one_column(conjunct).is_none());
    conjuncts
}

/// The column that a condition is about, if it is one, and the condition with that column as the only one.
fn of_one_column(condition: &Expr) -> Option<(usize, Expr)> {
    let columns = condition.columns();
    let column = *columns.first()?;
    columns.iter().all(|other| *other == column).then(|| (column, condition.clone().with_columns(&|_| 0)))
}
