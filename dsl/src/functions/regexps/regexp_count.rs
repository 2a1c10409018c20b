//! `regexp_count`.

use super::{Patterns, load};
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static REGEXP_COUNT: Function = Function {
    name: "regexp_count",
    args: &[("text", TEXT), ("pattern", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "How many matches there are, none overlapping another.",
    examples: &[
        ("regexp_count('a^b^c', '\\^')", "2"),
        ("regexp_count('aaa', 'aa')", "1"),
        ("regexp_count('', 'x')", "0"),
    ],
    load,
    eval: |call| {
        let mut patterns = Patterns::new(call);
        call.integer(|row| i64::try_from(patterns.of(row)?.find_iter(row.text(0)).count()).ok())
    },
    ..Function::BASE
};
