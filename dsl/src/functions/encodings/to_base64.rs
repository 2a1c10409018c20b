//! `to_base64`.

use base64::Engine;

use super::BASE64;
use crate::functions::{BLOB, Function, TEXT};

pub(super) static TO_BASE64: Function = Function {
    name: "to_base64",
    args: &[("text", TEXT)],
    doc: "The bytes of the text in base64, with padding.",
    examples: &[("to_base64('hi')", "'aGk='")],
    eval: |call| call.text(|row| Some(BASE64.encode(row.text(0)))),
    ..Function::BASE
};

pub(super) static TO_BASE64_BLOB: Function = Function {
    name: "to_base64",
    args: &[("bytes", BLOB)],
    doc: "The bytes in base64, with padding.",
    examples: &[("to_base64(x'00ff')", "'AP8='")],
    eval: |call| call.text(|row| Some(BASE64.encode(row.bytes(0)))),
    ..Function::BASE
};
