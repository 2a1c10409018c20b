//! `trunc`.

use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::Type;

pub(super) static TRUNC: Function = Function {
    name: "trunc",
    args: &[("number", INTEGER)],
    returns: Gives::One(Type::Integer),
    doc: "The INTEGER itself.",
    examples: &[("trunc(7)", "7")],
    eval: |call| call.integer(|row| Some(row.integer(0))),
    ..Function::BASE
};

pub(super) static TRUNC_REAL: Function = Function {
    name: "trunc",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The number without what follows the point.",
    examples: &[("trunc(1.8)", "1.0"), ("trunc(-1.8)", "-1.0")],
    eval: |call| call.real(|row| Some(row.real(0).trunc())),
    ..Function::BASE
};
