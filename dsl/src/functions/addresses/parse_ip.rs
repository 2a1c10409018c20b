//! `parse_ip`.

use super::address;
use crate::functions::{Function, TEXT};

pub(super) static PARSE_IP: Function = Function {
    name: "parse_ip",
    args: &[("text", TEXT)],
    doc: "The address in its shortest form, so that equal addresses are equal text; NULL if it is none.",
    examples: &[
        ("parse_ip('2001:DB8:0:0::1')", "'2001:db8::1'"),
        ("parse_ip('::ffff:10.0.0.1')", "'10.0.0.1'"),
        ("parse_ip('10.0.0.300')", "NULL"),
    ],
    eval: |call| call.text(|row| address(row.text(0)).map(|address| address.to_string())),
    ..Function::BASE
};
