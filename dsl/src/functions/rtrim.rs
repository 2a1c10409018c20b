//! `rtrim`.

use super::{Function, by_row, text, trim_set};
use crate::types::{Type, Value};

pub(super) static RTRIM: Function = Function {
    name: "rtrim",
    args: &[Type::Text, Type::Text],
    optional: 1,
    returns: Type::Text,
    doc: "The text without the spaces, or the characters of the second argument, at the end.",
    examples: &[("rtrim(' a  ')", "' a'"), ("rtrim('a//', '/')", "'a'")],
    eval: |args| {
        by_row(args, Type::Text, |values| {
            let set = trim_set(values);
            Value::Text(text(&values[0]).trim_end_matches(set.as_slice()).to_owned())
        })
    },
};
