//! `pi`.

use std::f64::consts::PI;

use crate::functions::{Function, Gives};
use crate::types::Type;

pub(super) static PI_NUMBER: Function = Function {
    name: "pi",
    returns: Gives::One(Type::Real),
    doc: "The ratio of a circle's circumference to its diameter.",
    examples: &[("round(pi(), 4)", "3.1416")],
    eval: |call| call.real(|_| Some(PI)),
    ..Function::BASE
};
