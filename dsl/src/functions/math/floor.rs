//! `floor`.

use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::Type;

pub(super) static FLOOR: Function = Function {
    name: "floor",
    args: &[("number", INTEGER)],
    returns: Gives::One(Type::Integer),
    doc: "The INTEGER itself.",
    examples: &[("floor(7)", "7")],
    eval: |call| call.integer(|row| Some(row.integer(0))),
    ..Function::BASE
};

pub(super) static FLOOR_REAL: Function = Function {
    name: "floor",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The greatest whole number that is not greater.",
    examples: &[("floor(1.8)", "1.0"), ("floor(-1.2)", "-2.0")],
    eval: |call| call.real(|row| Some(row.real(0).floor())),
    ..Function::BASE
};
