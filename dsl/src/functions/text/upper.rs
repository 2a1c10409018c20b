//! `upper`.

use crate::functions::{Function, TEXT};

pub(super) static UPPER: Function = Function {
    name: "upper",
    args: &[("text", TEXT)],
    doc: "The text with ASCII letters in upper case; other letters stay, as in SQLite.",
    examples: &[("upper('AbC')", "'ABC'"), ("upper('ä')", "'ä'")],
    eval: |call| call.text(|row| Some(row.text(0).to_ascii_uppercase())),
    ..Function::BASE
};
