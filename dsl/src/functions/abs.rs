//! `abs`.

use super::{Function, by_row, integer};
use crate::types::{Type, Value};

pub(super) static ABS_INTEGER: Function = Function {
    name: "abs",
    args: &[Type::Integer],
    optional: 0,
    returns: Type::Integer,
    doc: "The number without its sign; NULL for the one INTEGER whose opposite does not fit.",
    examples: &[("abs(-7)", "7"), ("abs(NULL)", "NULL")],
    eval: |args| {
        by_row(args, Type::Integer, |values| integer(&values[0]).checked_abs().map_or(Value::Null, Value::Integer))
    },
};

pub(super) static ABS_REAL: Function = Function {
    name: "abs",
    args: &[Type::Real],
    optional: 0,
    returns: Type::Real,
    doc: "The number without its sign.",
    examples: &[("abs(-1.5)", "1.5")],
    eval: |args| by_row(args, Type::Real, |values| values[0].as_real().map_or(Value::Null, |it| Value::Real(it.abs()))),
};
