//! `lower`.

use crate::functions::{Function, TEXT};

pub(super) static LOWER: Function = Function {
    name: "lower",
    args: &[("text", TEXT)],
    doc: "The text with ASCII letters in lower case; other letters stay, as in SQLite.",
    examples: &[("lower('AbC')", "'abc'"), ("lower('Ä')", "'Ä'")],
    eval: |call| call.text(|row| Some(row.text(0).to_ascii_lowercase())),
    ..Function::BASE
};
