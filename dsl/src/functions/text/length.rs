//! `length`.

use crate::functions::{BLOB, Function, Gives, TEXT};
use crate::types::Type;

pub(super) static LENGTH: Function = Function {
    name: "length",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "The number of characters before the first NUL.",
    examples: &[("length('abc')", "3"), ("length('äöü')", "3"), ("length('')", "0")],
    eval: |call| call.count(|row| row.text(0).chars().take_while(|c| *c != '\0').count()),
    ..Function::BASE
};

pub(super) static LENGTH_BLOB: Function = Function {
    name: "length",
    args: &[("bytes", BLOB)],
    returns: Gives::One(Type::Integer),
    doc: "The number of bytes.",
    examples: &[("length(x'00ff')", "2")],
    eval: |call| call.count(|row| row.bytes(0).len()),
    ..Function::BASE
};
