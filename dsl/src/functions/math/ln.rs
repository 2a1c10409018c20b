//! `ln`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static LN: Function = Function {
    name: "ln",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The natural logarithm; NULL for 0 and less.",
    examples: &[("ln(1)", "0.0"), ("ln(0)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0)).filter(|number| *number > 0.0).map(f64::ln)),
    ..Function::BASE
};
