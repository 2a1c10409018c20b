//! `to_hex`.

use crate::functions::{BLOB, Function, INTEGER, TEXT};
use crate::types;

pub(super) static TO_HEX_INTEGER: Function = Function {
    name: "to_hex",
    args: &[("number", INTEGER)],
    doc: "The number in lower-case hexadecimal digits; a negative one as its 64 bits.",
    examples: &[("to_hex(255)", "'ff'"), ("to_hex(-1)", "'ffffffffffffffff'")],
    eval: |call| call.text(|row| Some(format!("{:x}", row.integer(0)))),
    ..Function::BASE
};

pub(super) static TO_HEX: Function = Function {
    name: "to_hex",
    args: &[("text", TEXT)],
    doc: "The bytes of the text in lower-case hexadecimal digits.",
    examples: &[("to_hex('A~')", "'417e'")],
    eval: |call| call.text(|row| Some(types::hex(row.text(0).as_bytes()))),
    ..Function::BASE
};

pub(super) static TO_HEX_BLOB: Function = Function {
    name: "to_hex",
    args: &[("bytes", BLOB)],
    doc: "The bytes in lower-case hexadecimal digits.",
    examples: &[("to_hex(x'00FF')", "'00ff'")],
    eval: |call| call.text(|row| Some(types::hex(row.bytes(0)))),
    ..Function::BASE
};
