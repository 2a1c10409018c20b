//! The one evaluator of expressions: full queries, changes and the matcher's verification all come here.
//!
//! It works on columns and a selection of their rows, so one row and a million take the same path. Every expression is
//! total: a value or NULL for every row, never an error, so the order in which conditions are tried cannot be seen.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType,
};
use arrow_array::{
    Array, ArrayRef, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, PrimitiveArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array,
};
use daemoneye_dsl::convert;
use daemoneye_dsl::expr::{Arithmetic, Collation, Comparison, Expr, ExprKind};
use daemoneye_dsl::pattern::Pattern;
use daemoneye_dsl::types::{Timestamp, Type, Value};

pub(crate) use crate::cell::compare_values;
use crate::cell::{Cell, Cells};

/// Rows and the time at which expressions over them are evaluated.
#[derive(Clone, Copy)]
pub(crate) struct Evaluator<'a> {
    columns: &'a [ArrayRef],
    len: usize,
    now: Timestamp,
    /// What a subquery is evaluated for.
    params: &'a [Value],
}

/// Which rows of the batch, ascending.
#[derive(Clone, Copy)]
enum Selection<'s> {
    All,
    Some(&'s [u32]),
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(rows: &'a RecordBatch, now: Timestamp, params: &'a [Value]) -> Self {
        Self { params, ..Self::over(rows.columns(), rows.num_rows(), now) }
    }

    /// Over columns of that length; nothing is evaluated for anything.
    pub(crate) fn over(columns: &'a [ArrayRef], len: usize, now: Timestamp) -> Self {
        Self { columns, len, now, params: &[] }
    }

    /// How many rows there are.
    pub(crate) fn row_count(&self) -> usize {
        self.len
    }

    /// The values of `expr`, one per row.
    pub(crate) fn values(&self, expr: &Expr) -> ArrayRef {
        self.value(expr, Selection::All)
    }

    /// The rows for which the condition is true: neither false nor NULL.
    pub(crate) fn matching(&self, condition: &Expr) -> Vec<u32> {
        self.select(condition, Selection::All)
    }

    /// Whether the condition is true for that row.
    pub(crate) fn truth_at(&self, condition: &Expr, row: u32) -> Option<bool> {
        let truth = self.truth(condition, Selection::Some(&[row]));
        truth.is_valid(0).then(|| truth.value(0))
    }

    fn len(&self, selection: Selection<'_>) -> usize {
        match selection {
            Selection::All => self.len,
            Selection::Some(rows) => rows.len(),
        }
    }

    /// The selected rows for which the condition is true. A conjunct looks only at what those before it left, an
    /// alternative only at what those before it did not take.
    fn select(&self, condition: &Expr, within: Selection<'_>) -> Vec<u32> {
        match &condition.kind {
            ExprKind::And(parts) => {
                let mut left = self.select(&parts[0], within);
                for part in &parts[1..] {
                    if left.is_empty() {
                        break;
                    }
                    left = self.select(part, Selection::Some(&left));
                }
                left
            }
            ExprKind::Or(parts) => {
                let mut found = Vec::new();
                let mut open = self.row_numbers(within);
                for part in parts {
                    if open.is_empty() {
                        break;
                    }
                    let taken = self.select(part, Selection::Some(&open));
                    open = difference(&open, &taken);
                    found.extend(taken);
                }
                found.sort_unstable();
                found
            }
            _ => {
                let truth = self.truth(condition, within);
                let rows = self.row_numbers(within);
                rows.into_iter()
                    .enumerate()
                    .filter(|(at, _)| truth.is_valid(*at) && truth.value(*at))
                    .map(|(_, row)| row)
                    .collect()
            }
        }
    }

    fn row_numbers(&self, selection: Selection<'_>) -> Vec<u32> {
        match selection {
            Selection::All => (0..u32::try_from(self.len).expect("a batch has fewer than 2^32 rows")).collect(),
            Selection::Some(rows) => rows.to_vec(),
        }
    }

    fn truth(&self, expr: &Expr, selection: Selection<'_>) -> BooleanArray {
        self.value(expr, selection).as_boolean().clone()
    }

    fn value(&self, expr: &Expr, selection: Selection<'_>) -> ArrayRef {
        let len = self.len(selection);
        match &expr.kind {
            ExprKind::Column { index, .. } => match selection {
                Selection::All => self.columns[*index].clone(),
                Selection::Some(rows) => take(&self.columns[*index], rows),
            },
            ExprKind::Literal(value) => expr.ty.array(std::iter::repeat_n(value.clone(), len)),
            ExprKind::Parameter { index, .. } => expr.ty.array(std::iter::repeat_n(self.params[*index].clone(), len)),
            ExprKind::Outer { .. } | ExprKind::Subquery(_) => unreachable!("lowering leaves none in a plan"),
            ExprKind::Now => Arc::new(TimestampMicrosecondArray::from(vec![self.now.0; len])),
            ExprKind::Cast(of) | ExprKind::Widen(of) => cast(&self.value(of, selection), expr.ty),
            ExprKind::Not(of) => booleans(self.truth(of, selection).iter().map(|truth| truth.map(std::ops::Not::not))),
            ExprKind::And(parts) => self.connect(parts, selection, false),
            ExprKind::Or(parts) => self.connect(parts, selection, true),
            ExprKind::Compare { op, left, right, collation } => {
                let (left, right) = (self.operand(left, selection), self.operand(right, selection));
                compare(*op, &left, &right, *collation, len)
            }
            ExprKind::IsNull(of) => {
                let values = self.value(of, selection);
                booleans((0..len).map(|row| Some(values.is_null(row))))
            }
            ExprKind::IsTrue(of) => booleans(self.truth(of, selection).iter().map(|truth| Some(truth == Some(true)))),
            ExprKind::In { value, list, has_null, collation } => {
                is_in(&self.value(value, selection), list, *has_null, *collation)
            }
            ExprKind::Match { value, pattern } => {
                let texts = self.value(value, selection);
                booleans(texts.as_string::<i32>().iter().map(|text| text.map(|text| pattern.is_match(text))))
            }
            ExprKind::MatchDynamic { value, pattern, glob, escape } => {
                let (texts, patterns) = (self.value(value, selection), self.value(pattern, selection));
                let pairs = texts.as_string::<i32>().iter().zip(patterns.as_string::<i32>());
                booleans(pairs.map(|(text, pattern)| {
                    let (text, pattern) = (text?, pattern?);
                    Some(if *glob { Pattern::is_glob(text, pattern) } else { Pattern::is_like(text, pattern, *escape) })
                }))
            }
            ExprKind::Arithmetic { op, left, right } => {
                arithmetic(*op, expr.ty, &self.value(left, selection), &self.value(right, selection))
            }
            ExprKind::Negate(of) => negate(&self.value(of, selection), expr.ty),
            ExprKind::BitNot(of) => {
                Arc::new(self.value(of, selection).as_primitive::<Int64Type>().unary::<_, Int64Type>(|bits| !bits))
            }
            ExprKind::Concat(left, right) => {
                let (left, right) = (self.value(left, selection), self.value(right, selection));
                let pairs = left.as_string::<i32>().iter().zip(right.as_string::<i32>());
                Arc::new(pairs.map(|(left, right)| Some([left?, right?].concat())).collect::<StringArray>())
            }
            ExprKind::Case { branches, otherwise } => self.case(branches, otherwise, expr.ty, selection),
            ExprKind::Call { function, args, prepared } => {
                let args: Vec<_> = args.iter().map(|arg| self.value(arg, selection)).collect();
                function.evaluate(&args, len, expr.ty, prepared)
            }
        }
    }

    /// AND (`absorbing` false) or OR (`absorbing` true): the absorbing value wins over NULL.
    fn connect(&self, parts: &[Expr], selection: Selection<'_>, absorbing: bool) -> ArrayRef {
        let columns: Vec<_> = parts.iter().map(|part| self.truth(part, selection)).collect();
        booleans((0..self.len(selection)).map(|row| {
            let mut answer = Some(!absorbing);
            for column in &columns {
                match column.is_valid(row).then(|| column.value(row)) {
                    Some(value) if value == absorbing => return Some(absorbing),
                    Some(_) => {}
                    None => answer = None,
                }
            }
            answer
        }))
    }

    fn case(&self, branches: &[(Expr, Expr)], otherwise: &Expr, ty: Type, selection: Selection<'_>) -> ArrayRef {
        let all = self.row_numbers(selection);
        let mut open = all.clone();
        // For each selected row, which result column and which row of it.
        let mut source = vec![(0, 0); all.len()];
        let mut results = Vec::new();
        let results_of = branches.iter().map(|(when, then)| (Some(when), then)).chain([(None, otherwise)]);
        for (when, then) in results_of {
            let taken = when.map_or_else(|| open.clone(), |when| self.select(when, Selection::Some(&open)));
            let mut at = 0;
            for (nth, row) in taken.iter().enumerate() {
                at += all[at..].binary_search(row).expect("taken from the selection");
                source[at] = (results.len(), nth);
            }
            open = difference(&open, &taken);
            results.push(self.value(then, Selection::Some(&taken)));
        }
        let columns: Vec<_> = results.iter().map(AsRef::as_ref).collect();
        if all.is_empty() {
            return ty.array([]);
        }
        arrow_select::interleave::interleave(&columns, &source).expect("the branches have one type")
    }

    fn operand(&self, expr: &Expr, selection: Selection<'_>) -> Operand {
        match &expr.kind {
            ExprKind::Literal(value) => Operand::Constant(value.clone()),
            ExprKind::Parameter { index, .. } => Operand::Constant(self.params[*index].clone()),
            ExprKind::Now => Operand::Constant(Value::Timestamp(self.now.0)),
            _ => Operand::Column(self.value(expr, selection)),
        }
    }
}

/// One side of a comparison.
enum Operand {
    Column(ArrayRef),
    Constant(Value),
}

impl Operand {
    /// The value for each row.
    fn cells<'a>(&'a self) -> impl Fn(usize) -> Cell<'a> {
        let (column, constant) = match self {
            Self::Column(column) => (Some(Cells::of(column)), Cell::Null),
            Self::Constant(value) => (None, Cell::of(value)),
        };
        move |row| column.map_or(constant, |column| column.at(row))
    }
}

fn take(column: &ArrayRef, rows: &[u32]) -> ArrayRef {
    arrow_select::take::take(column, &UInt32Array::from(rows.to_vec()), None).expect("rows of this batch")
}

fn booleans(truth: impl Iterator<Item = Option<bool>>) -> ArrayRef {
    Arc::new(truth.collect::<BooleanArray>())
}

/// Ascending `all` without ascending `taken`.
fn difference(all: &[u32], taken: &[u32]) -> Vec<u32> {
    let mut taken = taken.iter().peekable();
    all.iter().copied().filter(|row| taken.next_if_eq(&row).is_none()).collect()
}

fn compare(op: Comparison, left: &Operand, right: &Operand, collation: Collation, len: usize) -> ArrayRef {
    let (left, right) = (left.cells(), right.cells());
    booleans((0..len).map(|row| left(row).compare(op, right(row), collation)))
}

fn is_in(values: &ArrayRef, list: &[Value], has_null: bool, collation: Collation) -> ArrayRef {
    let cells = Cells::of(values);
    booleans((0..cells.len()).map(|row| cells.at(row).is_in(list, has_null, collation)))
}

fn cast(values: &ArrayRef, to: Type) -> ArrayRef {
    to.array((0..values.len()).map(|row| convert::cast(Value::at(values, row), to)))
}

fn negate(values: &ArrayRef, ty: Type) -> ArrayRef {
    match ty {
        Type::Real => Arc::new(values.as_primitive::<Float64Type>().unary::<_, Float64Type>(std::ops::Neg::neg)),
        Type::Interval => Arc::new(
            values.as_primitive::<DurationMicrosecondType>().unary_opt::<_, DurationMicrosecondType>(i64::checked_neg),
        ),
        _ => Arc::new(values.as_primitive::<Int64Type>().unary_opt::<_, Int64Type>(i64::checked_neg)),
    }
}

fn arithmetic(op: Arithmetic, ty: Type, left: &ArrayRef, right: &ArrayRef) -> ArrayRef {
    if ty == Type::Real && op == Arithmetic::Remainder {
        let pairs = left.as_primitive::<Int64Type>().iter().zip(right.as_primitive::<Int64Type>());
        #[expect(clippy::cast_precision_loss, reason = "as in SQLite, the remainder of INTEGERs becomes REAL")]
        return Arc::new(
            pairs.map(|(left, right)| integer(op, left?, right?).map(|it| it as f64)).collect::<Float64Array>(),
        );
    }
    if ty == Type::Real {
        let pairs = left.as_primitive::<Float64Type>().iter().zip(right.as_primitive::<Float64Type>());
        return Arc::new(pairs.map(|(left, right)| reals(op, left?, right?)).collect::<Float64Array>());
    }
    // INTEGER, TIMESTAMP and INTERVAL all are 64-bit integers, and so is every mix of them that the checker lets through.
    let (left, right) = (integers(left), integers(right));
    let pairs = left.iter().zip(&right);
    let values = pairs.map(|(left, right)| integer(op, left?, right?));
    match ty {
        Type::Timestamp => Arc::new(values.collect::<TimestampMicrosecondArray>()),
        Type::Interval => Arc::new(values.collect::<DurationMicrosecondArray>()),
        _ => Arc::new(values.collect::<Int64Array>()),
    }
}

fn integers(values: &ArrayRef) -> Int64Array {
    fn bits<T: ArrowPrimitiveType<Native = i64>>(values: &PrimitiveArray<T>) -> Int64Array {
        values.reinterpret_cast::<Int64Type>()
    }
    match Type::from_arrow(values.data_type()) {
        Some(Type::Timestamp) => bits(values.as_primitive::<TimestampMicrosecondType>()),
        Some(Type::Interval) => bits(values.as_primitive::<DurationMicrosecondType>()),
        _ => values.as_primitive::<Int64Type>().clone(),
    }
}

/// What does not fit 64 bits, and division by zero, is NULL.
fn integer(op: Arithmetic, left: i64, right: i64) -> Option<i64> {
    match op {
        Arithmetic::Add => left.checked_add(right),
        Arithmetic::Subtract => left.checked_sub(right),
        Arithmetic::Multiply => left.checked_mul(right),
        Arithmetic::Divide => left.checked_div(right),
        Arithmetic::Remainder => {
            // The remainder by -1 is 0 also where the quotient does not fit.
            if right == -1 { Some(0) } else { left.checked_rem(right) }
        }
        Arithmetic::BitAnd => Some(left & right),
        Arithmetic::BitOr => Some(left | right),
        Arithmetic::ShiftLeft => Some(shift(left, right)),
        Arithmetic::ShiftRight => Some(shift(left, right.saturating_neg())),
    }
}

/// To the left by `by` bits, to the right when negative, as SQLite: 64 and more empty it, keeping the sign on the right.
fn shift(bits: i64, by: i64) -> i64 {
    match by {
        0..64 => bits << by,
        64.. => 0,
        -63..0 => bits >> -by,
        _ => bits >> 63,
    }
}

fn reals(op: Arithmetic, left: f64, right: f64) -> Option<f64> {
    let value = match op {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide if right == 0.0 => return None,
        Arithmetic::Divide => left / right,
        // The checker makes the operands of the others INTEGER.
        _ => return None,
    };
    (!value.is_nan()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_are_sqlite_s() {
        assert_eq!((shift(1, 3), shift(8, -3), shift(1, 64), shift(-1, -70), shift(5, -64)), (8, 1, 0, -1, 0));
    }
}
