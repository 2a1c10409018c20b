//! `unicode`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static UNICODE: Function = Function {
    name: "unicode",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Integer,
    doc: "The code point of the first character; NULL for an empty text.",
    examples: &[("unicode('A')", "65"), ("unicode('')", "NULL")],
    eval: |args| {
        by_row(args, Type::Integer, |values| {
            text(&values[0]).chars().next().map_or(Value::Null, |c| Value::Integer(i64::from(u32::from(c))))
        })
    },
};
