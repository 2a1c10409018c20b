//! `cidr_contains`.

use super::{Network, address};
use crate::functions::{Function, Gives, Prepared, Refusal, TEXT};
use crate::types::{Type, Value};

pub(super) static CIDR_CONTAINS: Function = Function {
    name: "cidr_contains",
    args: &[("cidr", TEXT), ("ip", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the network has the address. Bits beyond the network's length do not count; an address without a \
          length is a network of itself.",
    examples: &[
        ("cidr_contains('10.0.0.0/8', '10.20.30.40')", "TRUE"),
        ("cidr_contains('10.0.0.0/8', '::ffff:10.0.0.1')", "TRUE"),
        ("cidr_contains('fe80::/10', '2001:db8::1')", "FALSE"),
        ("cidr_contains('10.0.0.0/8', 'localhost')", "NULL"),
    ],
    load: |constants, _| match constants[0].and_then(Value::as_text) {
        Some(text) if Network::parse(text).is_none() => Err(Refusal {
            code: "DE211",
            argument: 0,
            message: format!("`{text}` is not a network"),
            help: "write it as '10.0.0.0/8' or 'fe80::/10'; the network comes first, the address second",
        }),
        _ => Ok(Prepared::default()),
    },
    eval: |call| call.boolean(|row| Some(Network::parse(row.text(0))?.contains(address(row.text(1))?))),
    ..Function::BASE
};
