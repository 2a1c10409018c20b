//! `replace`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static REPLACE: Function = Function {
    name: "replace",
    args: &[Type::Text, Type::Text, Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The first text with every occurrence of the second, unless that is empty, replaced by the third.",
    examples: &[("replace('a-b-c', '-', '+')", "'a+b+c'"), ("replace('abc', '', 'x')", "'abc'")],
    eval: |args| {
        by_row(args, Type::Text, |values| {
            let (hay, from) = (text(&values[0]), text(&values[1]));
            Value::Text(if from.is_empty() { hay.to_owned() } else { hay.replace(from, text(&values[2])) })
        })
    },
};
