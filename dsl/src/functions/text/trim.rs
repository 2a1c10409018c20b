//! `trim`, `ltrim` and `rtrim`.

use crate::functions::call::Row;
use crate::functions::characters::Characters;
use crate::functions::{Function, TEXT, Takes};

const ARGS: &[(&str, Takes)] = &[("text", TEXT), ("characters", TEXT)];

pub(super) static TRIM: Function = Function {
    name: "trim",
    args: ARGS,
    optional: 1,
    doc: "The text without spaces, or without the characters of the second argument, at both ends.",
    examples: &[("trim('  a b ')", "'a b'"), ("trim('xxaxx', 'x')", "'a'"), ("trim('a', '')", "'a'")],
    eval: |call| call.text(|row| Some(row.text(0).trim_matches(cut(row)))),
    ..Function::BASE
};

pub(super) static LTRIM: Function = Function {
    name: "ltrim",
    args: ARGS,
    optional: 1,
    doc: "The text without spaces, or without the characters of the second argument, at the start.",
    examples: &[("ltrim('  a ')", "'a '"), ("ltrim('xya', 'yx')", "'a'")],
    eval: |call| call.text(|row| Some(row.text(0).trim_start_matches(cut(row)))),
    ..Function::BASE
};

pub(super) static RTRIM: Function = Function {
    name: "rtrim",
    args: ARGS,
    optional: 1,
    doc: "The text without spaces, or without the characters of the second argument, at the end.",
    examples: &[("rtrim(' a  ')", "' a'"), ("rtrim('a//', '/')", "'a'")],
    eval: |call| call.text(|row| Some(row.text(0).trim_end_matches(cut(row)))),
    ..Function::BASE
};

/// Whether a character is to be cut off.
fn cut(row: Row<'_>) -> impl Fn(char) -> bool {
    let set = Characters::of(row.given_text(1).unwrap_or(" "));
    move |c| set.has(c)
}
