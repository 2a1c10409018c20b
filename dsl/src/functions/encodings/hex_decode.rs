//! `hex_decode`.

use super::{hex_bytes, lossless};
use crate::functions::{Function, TEXT};

pub(super) static HEX_DECODE: Function = Function {
    name: "hex_decode",
    args: &[("digits", TEXT)],
    doc: "The text that pairs of hexadecimal digits stand for.",
    examples: &[("hex_decode('6375726c')", "'curl'"), ("hex_decode('ff')", "'\\xff'"), ("hex_decode('0')", "NULL")],
    eval: |call| call.text(|row| hex_bytes(row.text(0)).map(|bytes| lossless(&bytes))),
    ..Function::BASE
};
