//! `from_base64`.

use super::base64_bytes;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static FROM_BASE64: Function = Function {
    name: "from_base64",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Blob),
    doc: "The bytes that base64 holds, read as `base64_decode` reads it.",
    examples: &[("from_base64('AP8=')", "x'00ff'"), ("from_base64('a')", "NULL")],
    eval: |call| call.blob(|row| base64_bytes(row.text(0))),
    ..Function::BASE
};
