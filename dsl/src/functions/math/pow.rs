//! `pow` and `power`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

const fn entry(name: &'static str, examples: &'static [(&'static str, &'static str)]) -> Function {
    Function {
        name,
        args: &[("base", REAL), ("exponent", REAL)],
        returns: Gives::One(Type::Real),
        doc: "The base to that power; NULL where there is no real result.",
        examples,
        eval: |call| call.real(|row| Some(row.real(0).powf(row.real(1)))),
        ..Function::BASE
    }
}

pub(super) static POW: Function = entry("pow", &[("pow(2, 10)", "1024.0"), ("pow(-8, 0.5)", "NULL")]);
pub(super) static POWER: Function = entry("power", &[("power(2, -1)", "0.5")]);
