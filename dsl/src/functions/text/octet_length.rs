//! `octet_length`.

use crate::functions::{BLOB, Function, Gives, TEXT};
use crate::types::Type;

pub(super) static OCTET_LENGTH: Function = Function {
    name: "octet_length",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "The number of bytes in UTF-8.",
    examples: &[("octet_length('äb')", "3")],
    eval: |call| call.count(|row| row.text(0).len()),
    ..Function::BASE
};

pub(super) static OCTET_LENGTH_BLOB: Function = Function {
    name: "octet_length",
    args: &[("bytes", BLOB)],
    returns: Gives::One(Type::Integer),
    doc: "The number of bytes.",
    examples: &[("octet_length(x'00ff')", "2")],
    eval: |call| call.count(|row| row.bytes(0).len()),
    ..Function::BASE
};
