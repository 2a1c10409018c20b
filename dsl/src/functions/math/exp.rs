//! `exp`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static EXP: Function = Function {
    name: "exp",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "e to that power.",
    examples: &[("exp(0)", "1.0"), ("exp(-1e9)", "0.0")],
    eval: |call| call.real(|row| Some(row.real(0).exp())),
    ..Function::BASE
};
