//! `sign`.

use super::{Function, by_row};
use crate::types::{Type, Value};

pub(super) static SIGN: Function = Function {
    name: "sign",
    args: &[Type::Real],
    optional: 0,
    returns: Type::Integer,
    doc: "-1, 0 or 1 as the number is negative, zero or positive.",
    examples: &[("sign(-3)", "-1"), ("sign(0.0)", "0"), ("sign(2)", "1")],
    eval: |args| {
        by_row(args, Type::Integer, |values| {
            let number = values[0].as_real().unwrap_or_default();
            Value::Integer(i64::from(number > 0.0) - i64::from(number < 0.0))
        })
    },
};
