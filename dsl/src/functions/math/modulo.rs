//! `mod`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static MOD: Function = Function {
    name: "mod",
    args: &[("number", REAL), ("divisor", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The remainder with the sign of the number, fractions included; NULL for a divisor of 0. `%` works on whole \
          numbers.",
    examples: &[("mod(7.5, 2)", "1.5"), ("mod(-7, 3)", "-1.0"), ("mod(1, 0)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0) % row.real(1))),
    ..Function::BASE
};
