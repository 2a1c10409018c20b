//! `from_hex`.

use super::hex_bytes;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static FROM_HEX: Function = Function {
    name: "from_hex",
    args: &[("digits", TEXT)],
    returns: Gives::One(Type::Blob),
    doc: "The bytes that pairs of hexadecimal digits stand for.",
    examples: &[("from_hex('00fF')", "x'00ff'"), ("from_hex('0')", "NULL"), ("from_hex('zz')", "NULL")],
    eval: |call| call.blob(|row| hex_bytes(row.text(0))),
    ..Function::BASE
};
