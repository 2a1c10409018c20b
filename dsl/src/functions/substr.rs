//! `substr` and `substring`.

use super::{Function, by_row, integer, text};
use crate::types::{Type, Value};

const fn entry(name: &'static str, examples: &'static [(&'static str, &'static str)]) -> Function {
    Function {
        name,
        args: &[Type::Text, Type::Integer, Type::Integer],
        optional: 1,
        returns: Type::Text,
        doc: "The characters from a place (from 1; negative counts from the end) on, or as many as the third argument \
              says (negative: those before the place).",
        examples,
        eval: |args| {
            by_row(args, Type::Text, |values| {
                Value::Text(substr(text(&values[0]), integer(&values[1]), values.get(2).map(integer)))
            })
        },
    }
}

pub(super) static SUBSTR: Function = entry(
    "substr",
    &[
        ("substr('abcdef', 2, 3)", "'bcd'"),
        ("substr('abc', -2)", "'bc'"),
        ("substr('abc', 0, 2)", "'a'"),
        ("substr('abc', -9)", "'abc'"),
    ],
);
pub(super) static SUBSTRING: Function = entry("substring", &[("substring('abcdef', 4)", "'def'")]);

/// SQLite's rules (`substrFunc` in its `func.c`), in 128 bits so that no place and length of 64 bits overflow.
fn substr(text: &str, start: i64, len: Option<i64>) -> String {
    let count = text.chars().count() as i128;
    let backwards = len.is_some_and(|len| len < 0);
    let mut start = i128::from(start);
    // Without a length: to the end, however far before the text the place is.
    let mut len = len.map_or(i128::from(u64::MAX), |len| i128::from(len).abs());
    if start < 0 {
        start += count;
        if start < 0 {
            len = 0.max(len + start);
            start = 0;
        }
    } else if start > 0 {
        start -= 1;
    } else if len > 0 {
        len -= 1;
    }
    if backwards {
        start -= len;
        if start < 0 {
            len += start;
            start = 0;
        }
    }
    let cut = |number: i128| usize::try_from(number.max(0)).unwrap_or(usize::MAX);
    text.chars().skip(cut(start)).take(cut(len)).collect()
}
