//! `abs`.

use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::Type;

pub(super) static ABS: Function = Function {
    name: "abs",
    args: &[("number", INTEGER)],
    returns: Gives::One(Type::Integer),
    doc: "The number without its sign; NULL for the one INTEGER whose opposite does not fit (SQLite fails).",
    examples: &[("abs(-7)", "7"), ("abs(NULL)", "NULL")],
    eval: |call| call.integer(|row| row.integer(0).checked_abs()),
    ..Function::BASE
};

pub(super) static ABS_REAL: Function = Function {
    name: "abs",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The number without its sign.",
    examples: &[("abs(-1.5)", "1.5")],
    eval: |call| call.real(|row| Some(row.real(0).abs())),
    ..Function::BASE
};
