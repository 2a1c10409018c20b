//! `hex`.

use crate::functions::{BLOB, Function, TEXT};
use crate::types;

pub(super) static HEX: Function = Function {
    name: "hex",
    args: &[("text", TEXT)],
    doc: "The bytes of a text as upper-case hexadecimal digits; of NULL, as in SQLite, no digits.",
    examples: &[("hex('A~')", "'417E'"), ("hex(NULL)", "''")],
    eval: |call| {
        call.with_nulls()
            .text(|row| Some(types::hex(row.text_or_null(0).unwrap_or_default().as_bytes()).to_uppercase()))
    },
    ..Function::BASE
};

pub(super) static HEX_BLOB: Function = Function {
    name: "hex",
    args: &[("bytes", BLOB)],
    doc: "The bytes as upper-case hexadecimal digits; of NULL no digits.",
    examples: &[("hex(x'00ff')", "'00FF'")],
    eval: |call| {
        call.with_nulls()
            .text(|row| Some(if row.is_null(0) { String::new() } else { types::hex(row.bytes(0)).to_uppercase() }))
    },
    ..Function::BASE
};
