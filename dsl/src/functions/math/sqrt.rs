//! `sqrt`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static SQRT: Function = Function {
    name: "sqrt",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The square root; NULL for a negative number.",
    examples: &[("sqrt(2.25)", "1.5"), ("sqrt(-1)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0).sqrt())),
    ..Function::BASE
};
