//! `split_part`.

use crate::functions::{Function, INTEGER, TEXT};

pub(super) static SPLIT_PART: Function = Function {
    name: "split_part",
    args: &[("text", TEXT), ("separator", TEXT), ("number", INTEGER)],
    doc: "As in PostgreSQL: the text cut at every separator, and of the pieces the one with this number, from 1; \
          negative counts from the end. Empty where there is none; NULL for 0 (PostgreSQL fails). An empty separator \
          cuts nothing.",
    examples: &[
        ("split_part('a::b::c', '::', 2)", "'b'"),
        ("split_part('a.b.c', '.', -1)", "'c'"),
        ("split_part('a', ',', 2)", "''"),
        ("split_part('a', ',', 0)", "NULL"),
    ],
    eval: |call| {
        call.text(|row| {
            let (text, separator, number) = (row.text(0), row.text(1), row.integer(2));
            let index = usize::try_from(number.unsigned_abs()).ok()?.checked_sub(1)?;
            let piece = match (separator.is_empty(), number > 0) {
                (true, _) => (index == 0).then_some(text),
                (false, true) => text.split(separator).nth(index),
                (false, false) => text.rsplit(separator).nth(index),
            };
            Some(piece.unwrap_or_default())
        })
    },
    ..Function::BASE
};
