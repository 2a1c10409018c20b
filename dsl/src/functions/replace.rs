//! `replace`.

use arrow_array::Array;

use super::{Function, text};
use crate::types::{Type, Value};

pub(super) static REPLACE: Function = Function {
    name: "replace",
    args: &[Type::Text, Type::Text, Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The first text with every occurrence of the second, unless that is empty, replaced by the third.",
    examples: &[
        ("replace('a-b-c', '-', '+')", "'a+b+c'"),
        ("replace('abc', '', NULL)", "'abc'"),
        ("replace('abc', 'b', NULL)", "NULL"),
    ],
    eval: |args| {
        Type::Text.array((0..args[0].len()).map(|row| {
            let [hay, from, to] = [0, 1, 2].map(|at| Value::at(&args[at], row));
            match (&hay, &from, &to) {
                (Value::Null, ..) | (_, Value::Null, _) => Value::Null,
                // SQLite looks at the third only when there is something to replace.
                (_, from, _) if text(from).is_empty() => hay,
                (.., Value::Null) => Value::Null,
                _ => Value::Text(text(&hay).replace(text(&from), text(&to))),
            }
        }))
    },
};
