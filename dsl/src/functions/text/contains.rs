//! `contains` and `icontains`.

use super::folded;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static CONTAINS: Function = Function {
    name: "contains",
    args: &[("text", TEXT), ("part", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the second text occurs in the first, exactly; no character is a wildcard.",
    examples: &[("contains('50%', '%')", "TRUE"), ("contains('abc', 'B')", "FALSE")],
    eval: |call| call.boolean(|row| Some(row.text(0).contains(row.text(1)))),
    ..Function::BASE
};

pub(super) static ICONTAINS: Function = Function {
    name: "icontains",
    args: &[("text", TEXT), ("part", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the second text occurs in the first, letters compared without regard to case (not only ASCII's).",
    examples: &[("icontains('curl -H AUTH', 'auth')", "TRUE"), ("icontains('abc', 'x')", "FALSE")],
    eval: |call| call.boolean(|row| Some(folded(row.text(0)).contains(&*folded(row.text(1))))),
    ..Function::BASE
};
