//! `unicode`.

use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static UNICODE: Function = Function {
    name: "unicode",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "The code point of the first character; NULL for an empty text.",
    examples: &[("unicode('A')", "65"), ("unicode('')", "NULL")],
    // A NUL ends the text for SQLite.
    eval: |call| call.integer(|row| row.text(0).chars().next().filter(|c| *c != '\0').map(|c| i64::from(u32::from(c)))),
    ..Function::BASE
};
