//! `log10`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static LOG10: Function = Function {
    name: "log10",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The logarithm to base 10; NULL for 0 and less.",
    examples: &[("log10(1000)", "3.0"), ("log10(0)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0)).filter(|number| *number > 0.0).map(f64::log10)),
    ..Function::BASE
};
