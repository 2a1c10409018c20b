//! Single values where they lie, and the questions about them that conditions ask: comparisons and lists.
//!
//! Whole columns ([`crate::eval`]) and single rows ([`crate::matcher`]) are answered by the same functions.

use std::cmp::Ordering;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, BinaryArray, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use daemoneye_dsl::convert;
use daemoneye_dsl::expr::{Collation, Comparison};
use daemoneye_dsl::types::{Type, Value};

/// A [`Value`] that borrows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cell<'a> {
    Null,
    Integer(i64),
    Real(f64),
    Text(&'a str),
    Blob(&'a [u8]),
    Boolean(bool),
    Timestamp(i64),
    Interval(i64),
}

impl<'a> Cell<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Integer(value) => Self::Integer(*value),
            Value::Real(value) => Self::Real(*value),
            Value::Text(value) => Self::Text(value),
            Value::Blob(value) => Self::Blob(value),
            Value::Boolean(value) => Self::Boolean(*value),
            Value::Timestamp(value) => Self::Timestamp(*value),
            Value::Interval(value) => Self::Interval(*value),
        }
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self, Self::Null)
    }

    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Integer(value) => Value::Integer(value),
            Self::Real(value) => Value::Real(value),
            Self::Text(value) => Value::Text(value.to_owned()),
            Self::Blob(value) => Value::Blob(value.to_owned()),
            Self::Boolean(value) => Value::Boolean(value),
            Self::Timestamp(value) => Value::Timestamp(value),
            Self::Interval(value) => Value::Interval(value),
        }
    }

    /// The order of two values that are not NULL and of one type, or numbers.
    pub(crate) fn order(self, other: Cell<'_>, collation: Collation) -> Ordering {
        match (self, other) {
            (Self::Text(left), Cell::Text(right)) => collation.compare(left, right),
            (Self::Integer(left), Cell::Integer(right))
            | (Self::Timestamp(left), Cell::Timestamp(right))
            | (Self::Interval(left), Cell::Interval(right)) => left.cmp(&right),
            (Self::Real(left), Cell::Real(right)) => left.partial_cmp(&right).expect("a REAL is never NaN"),
            (Self::Integer(left), Cell::Real(right)) => compare_mixed(left, right),
            (Self::Real(left), Cell::Integer(right)) => compare_mixed(right, left).reverse(),
            (left, right) => left.to_value().compare(&right.to_value()),
        }
    }

    /// `self op other`.
    pub(crate) fn compare(self, op: Comparison, other: Cell<'_>, collation: Collation) -> Option<bool> {
        match (op, self.is_null() || other.is_null()) {
            (_, false) => Some(op.holds(self.order(other, collation))),
            (Comparison::Is | Comparison::IsNot, true) => {
                let both = self.is_null() && other.is_null();
                Some(both == (op == Comparison::Is))
            }
            (_, true) => None,
        }
    }

    /// `self IN (list)`, or with a NULL in the list; it is in the order of the collation.
    pub(crate) fn is_in(self, list: &[Value], has_null: bool, collation: Collation) -> Option<bool> {
        // Nothing is in an empty list, not even NULL.
        if list.is_empty() && !has_null {
            return Some(false);
        }
        if self.is_null() {
            return None;
        }
        let found = list.binary_search_by(|item| Cell::of(item).order(self, collation)).is_ok();
        if found { Some(true) } else { (!has_null).then_some(false) }
    }
}

/// The order of two values that are not NULL and of one type, or numbers.
pub(crate) fn compare_values(left: &Value, right: &Value, collation: Collation) -> Ordering {
    Cell::of(left).order(Cell::of(right), collation)
}

/// An INTEGER with a REAL by exact value, without rounding the INTEGER to 53 bits.
fn compare_mixed(integer: i64, real: f64) -> Ordering {
    // 2^63 is the least double above every i64.
    if real >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if real < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    let whole = convert::saturate(real);
    let fraction = real - real.trunc();
    integer.cmp(&whole).then(0.0.partial_cmp(&fraction).expect("a REAL is never NaN"))
}

/// The values of a column, whose type is asked for once.
#[derive(Clone, Copy)]
pub(crate) enum Cells<'a> {
    Integer(&'a Int64Array),
    Real(&'a Float64Array),
    Text(&'a StringArray),
    Blob(&'a BinaryArray),
    Boolean(&'a BooleanArray),
    Timestamp(&'a TimestampMicrosecondArray),
    Interval(&'a DurationMicrosecondArray),
}

impl<'a> Cells<'a> {
    pub(crate) fn of(column: &'a dyn Array) -> Self {
        match Type::from_arrow(column.data_type()).expect("every column has a layout of ours") {
            Type::Integer => Self::Integer(column.as_primitive::<Int64Type>()),
            Type::Real => Self::Real(column.as_primitive::<Float64Type>()),
            Type::Text => Self::Text(column.as_string::<i32>()),
            Type::Blob => Self::Blob(column.as_binary::<i32>()),
            Type::Boolean => Self::Boolean(column.as_boolean()),
            Type::Timestamp => Self::Timestamp(column.as_primitive::<TimestampMicrosecondType>()),
            Type::Interval => Self::Interval(column.as_primitive::<DurationMicrosecondType>()),
        }
    }

    #[inline]
    pub(crate) fn at(self, row: usize) -> Cell<'a> {
        fn cell<'a, T: Array>(array: &'a T, row: usize, value: impl FnOnce(&'a T) -> Cell<'a>) -> Cell<'a> {
            if array.is_null(row) { Cell::Null } else { value(array) }
        }
        match self {
            Self::Integer(array) => cell(array, row, |array| Cell::Integer(array.value(row))),
            Self::Real(array) => cell(array, row, |array| Cell::Real(array.value(row))),
            Self::Text(array) => cell(array, row, |array| Cell::Text(array.value(row))),
            Self::Blob(array) => cell(array, row, |array| Cell::Blob(array.value(row))),
            Self::Boolean(array) => cell(array, row, |array| Cell::Boolean(array.value(row))),
            Self::Timestamp(array) => cell(array, row, |array| Cell::Timestamp(array.value(row))),
            Self::Interval(array) => cell(array, row, |array| Cell::Interval(array.value(row))),
        }
    }

    pub(crate) fn len(self) -> usize {
        match self {
            Self::Integer(array) => array.len(),
            Self::Real(array) => array.len(),
            Self::Text(array) => array.len(),
            Self::Blob(array) => array.len(),
            Self::Boolean(array) => array.len(),
            Self::Timestamp(array) => array.len(),
            Self::Interval(array) => array.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_and_reals_compare_exactly() {
        assert_eq!(compare_mixed(i64::MAX, 9_223_372_036_854_775_807.0), Ordering::Less);
        assert_eq!(compare_mixed(9_007_199_254_740_993, 9_007_199_254_740_992.0), Ordering::Greater);
        assert_eq!(compare_mixed(-1, -1.5), Ordering::Greater);
        assert_eq!(compare_mixed(1, 1.5), Ordering::Less);
        assert_eq!(compare_mixed(i64::MIN, f64::NEG_INFINITY), Ordering::Greater);
    }
}
