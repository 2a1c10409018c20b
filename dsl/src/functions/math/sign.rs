//! `sign`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static SIGN: Function = Function {
    name: "sign",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Integer),
    doc: "-1, 0 or 1.",
    examples: &[("sign(-2.5)", "-1"), ("sign(0)", "0"), ("sign(7)", "1")],
    eval: |call| call.integer(|row| row.real(0).partial_cmp(&0.0).map(|order| order as i64)),
    ..Function::BASE
};
