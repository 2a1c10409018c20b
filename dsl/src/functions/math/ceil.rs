//! `ceil` and `ceiling`.

use crate::functions::{Function, Gives, INTEGER, REAL};
use crate::types::Type;

pub(super) static CEIL: Function = Function {
    name: "ceil",
    args: &[("number", INTEGER)],
    returns: Gives::One(Type::Integer),
    doc: "The INTEGER itself.",
    examples: &[("ceil(7)", "7")],
    eval: |call| call.integer(|row| Some(row.integer(0))),
    ..Function::BASE
};

pub(super) static CEIL_REAL: Function = Function {
    name: "ceil",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The least whole number that is not less.",
    examples: &[("ceil(1.2)", "2.0"), ("ceil(-1.2)", "-1.0")],
    eval: |call| call.real(|row| Some(row.real(0).ceil())),
    ..Function::BASE
};

pub(super) static CEILING: Function = Function {
    name: "ceiling",
    args: &[("number", INTEGER)],
    returns: Gives::One(Type::Integer),
    doc: "The INTEGER itself.",
    examples: &[("ceiling(7)", "7")],
    eval: |call| call.integer(|row| Some(row.integer(0))),
    ..Function::BASE
};

pub(super) static CEILING_REAL: Function = Function {
    name: "ceiling",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The least whole number that is not less.",
    examples: &[("ceiling(1.2)", "2.0"), ("ceiling(-1.2)", "-1.0")],
    eval: |call| call.real(|row| Some(row.real(0).ceil())),
    ..Function::BASE
};
