//! `substr` and `substring`.

use crate::functions::{BLOB, Function, Gives, INTEGER, TEXT};
use crate::types::Type;

const fn entry(name: &'static str, examples: &'static [(&'static str, &'static str)]) -> Function {
    Function {
        name,
        args: &[("text", TEXT), ("start", INTEGER), ("length", INTEGER)],
        optional: 1,
        doc: "The characters from a place (from 1; negative counts from the end) on, or as many as the third argument \
              says (negative: those before the place). No place is too far away (SQLite's count overflows for the \
              least INTEGER).",
        examples,
        eval: |call| {
            call.text(|row| {
                let text = row.text(0);
                let (skip, take) = window(text.chars().count(), row.integer(1), row.given_integer(2));
                let from = text.char_indices().nth(skip).map_or(text.len(), |(at, _)| at);
                let rest = &text[from..];
                let len = rest.char_indices().nth(take).map_or(rest.len(), |(at, _)| at);
                Some(&rest[..len])
            })
        },
        ..Function::BASE
    }
}

const fn bytes_entry(name: &'static str, examples: &'static [(&'static str, &'static str)]) -> Function {
    Function {
        name,
        args: &[("bytes", BLOB), ("start", INTEGER), ("length", INTEGER)],
        optional: 1,
        returns: Gives::One(Type::Blob),
        doc: "The same for bytes; of no bytes NULL, as in SQLite.",
        examples,
        eval: |call| {
            call.blob(|row| {
                let bytes = row.bytes(0);
                let (skip, take) = window(bytes.len(), row.integer(1), row.given_integer(2));
                let rest = &bytes[skip.min(bytes.len())..];
                (!bytes.is_empty()).then(|| &rest[..take.min(rest.len())])
            })
        },
        ..Function::BASE
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
pub(super) static SUBSTR_BLOB: Function = bytes_entry("substr", &[("substr(x'010203', 2, 1)", "x'02'")]);
pub(super) static SUBSTRING: Function = entry("substring", &[("substring('abcdef', 4)", "'def'")]);
pub(super) static SUBSTRING_BLOB: Function = bytes_entry("substring", &[("substring(x'010203', 2)", "x'0203'")]);

/// How many to skip and to take. SQLite's rules (`substrFunc` in its `func.c`), in 128 bits so that no place and length
/// of 64 bits overflow.
fn window(count: usize, start: i64, len: Option<i64>) -> (usize, usize) {
    let count = count as i128;
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
    (cut(start), cut(len))
}
