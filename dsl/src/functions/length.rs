//! `length`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static LENGTH: Function = Function {
    name: "length",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Integer,
    doc: "The number of characters before the first NUL.",
    examples: &[("length('abc')", "3"), ("length('äöü')", "3"), ("length('')", "0")],
    eval: |args| {
        by_row(args, Type::Integer, |values| {
            let count = text(&values[0]).chars().take_while(|c| *c != '\0').count();
            Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
        })
    },
};
