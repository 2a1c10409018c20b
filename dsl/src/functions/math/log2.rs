//! `log2`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static LOG2: Function = Function {
    name: "log2",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The logarithm to base 2; NULL for 0 and less.",
    examples: &[("log2(8)", "3.0"), ("log2(-1)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0)).filter(|number| *number > 0.0).map(f64::log2)),
    ..Function::BASE
};
