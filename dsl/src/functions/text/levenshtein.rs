//! `levenshtein`.

use super::comparable;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static LEVENSHTEIN: Function = Function {
    name: "levenshtein",
    args: &[("text", TEXT), ("other", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "How many characters must be inserted, removed or exchanged to make one text of the other; NULL if one has \
          more than 255 characters.",
    examples: &[("levenshtein('svchost', 'svch0st')", "1"), ("levenshtein('', 'abc')", "3")],
    eval: |call| {
        call.integer(|row| {
            let (text, other) = comparable(row)?;
            i64::try_from(strsim::levenshtein(text, other)).ok()
        })
    },
    ..Function::BASE
};
