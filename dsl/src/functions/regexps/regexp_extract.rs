//! `regexp_extract`.

use super::{Patterns, group, load};
use crate::functions::{Function, INTEGER, TEXT};

pub(super) static REGEXP_EXTRACT: Function = Function {
    name: "regexp_extract",
    args: &[("text", TEXT), ("pattern", TEXT), ("group", INTEGER)],
    optional: 1,
    doc: "The first match, or what one of its groups took, counted from 1; NULL where there is none (DuckDB gives '').",
    examples: &[
        ("regexp_extract('curl http://h/x -o y', 'https?://\\S+')", "'http://h/x'"),
        ("regexp_extract('--user=bob', '--user=(\\w+)', 1)", "'bob'"),
        ("regexp_extract('abc', 'x')", "NULL"),
    ],
    load,
    eval: |call| {
        let mut patterns = Patterns::new(call);
        call.text(|row| group(patterns.of(row)?, row.text(0), row.given_integer(2).unwrap_or(0)))
    },
    ..Function::BASE
};
