//! `instr`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static INSTR: Function = Function {
    name: "instr",
    args: &[Type::Text, Type::Text],
    optional: 0,
    returns: Type::Integer,
    doc: "The place, in characters from 1, where the second text first stands in the first; 0 where it does not.",
    examples: &[("instr('haystack', 'st')", "4"), ("instr('äb', 'b')", "2"), ("instr('a', 'x')", "0")],
    eval: |args| {
        by_row(args, Type::Integer, |values| {
            let hay = text(&values[0]);
            let place = hay.find(text(&values[1])).map_or(0, |at| hay[..at].chars().count() + 1);
            Value::Integer(i64::try_from(place).unwrap_or(i64::MAX))
        })
    },
};
