//! `regex_match`.

use super::{Patterns, group, load};
use crate::functions::{Function, INTEGER, TEXT};

pub(super) static REGEX_MATCH: Function = Function {
    name: "regex_match",
    args: &[("text", TEXT), ("pattern", TEXT), ("group", INTEGER)],
    doc: "As in osquery: what the group of the first match took, 0 for the whole match; NULL without one.",
    examples: &[("regex_match('pid=42', '([a-z]+)=(\\d+)', 2)", "'42'"), ("regex_match('a', 'b', 0)", "NULL")],
    load,
    eval: |call| {
        let mut patterns = Patterns::new(call);
        call.text(|row| group(patterns.of(row)?, row.text(0), row.integer(2)))
    },
    ..Function::BASE
};
