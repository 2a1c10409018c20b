//! `max` and `min` of several arguments.

use std::cmp::Ordering;

use crate::functions::call::Call;
use crate::functions::{Function, Gives, Takes};
use crate::types::Value;

pub(super) static MAX: Function = Function {
    name: "max",
    args: &[("value", Takes::Alike), ("value", Takes::Alike)],
    repeats: true,
    returns: Gives::Alike,
    doc: "The greatest of the values; NULL if one is NULL. With one argument it is the aggregate.",
    examples: &[("max(1, 3, 2)", "3"), ("max('a', 'b')", "'b'"), ("max(1, NULL)", "NULL")],
    eval: |call| best(call, Ordering::Greater),
    ..Function::BASE
};

pub(super) static MIN: Function = Function {
    name: "min",
    args: &[("value", Takes::Alike), ("value", Takes::Alike)],
    repeats: true,
    returns: Gives::Alike,
    doc: "The least of the values; NULL if one is NULL. With one argument it is the aggregate.",
    examples: &[("min(1, 3, 2)", "1"), ("min(1.5, 2)", "1.5"), ("min(NULL, 2)", "NULL")],
    eval: |call| best(call, Ordering::Less),
    ..Function::BASE
};

fn best(call: Call<'_>, better: Ordering) -> arrow_array::ArrayRef {
    call.value(|row| {
        let rest = (1..row.len()).map(|at| row.value(at));
        Some(rest.fold(row.value(0), |best: Value, value| if value.compare(&best) == better { value } else { best }))
    })
}
