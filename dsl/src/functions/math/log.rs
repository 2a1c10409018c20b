//! `log`.

use crate::functions::{Function, Gives, REAL};
use crate::types::Type;

pub(super) static LOG: Function = Function {
    name: "log",
    args: &[("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The logarithm to base 10, as in SQLite; NULL for 0 and less. The natural one is `ln`.",
    examples: &[("log(100)", "2.0"), ("log(0)", "NULL")],
    eval: |call| call.real(|row| Some(row.real(0)).filter(|number| *number > 0.0).map(f64::log10)),
    ..Function::BASE
};

pub(super) static LOG_BASE: Function = Function {
    name: "log",
    args: &[("base", REAL), ("number", REAL)],
    returns: Gives::One(Type::Real),
    doc: "The logarithm to a base, which comes first and must be greater than 1; NULL for 0 and less.",
    examples: &[("log(2, 8)", "3.0"), ("log(1, 8)", "NULL")],
    eval: |call| {
        call.real(|row| {
            let (base, number) = (row.real(0), row.real(1));
            (base > 1.0 && number > 0.0).then(|| number.ln() / base.ln())
        })
    },
    ..Function::BASE
};
