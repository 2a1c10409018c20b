//! `ends_with` and `iends_with`.

use super::folded;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static ENDS_WITH: Function = Function {
    name: "ends_with",
    args: &[("text", TEXT), ("end", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the first text ends with the second, exactly.",
    examples: &[("ends_with('a.sh', '.sh')", "TRUE"), ("ends_with('abc', 'C')", "FALSE")],
    eval: |call| call.boolean(|row| Some(row.text(0).ends_with(row.text(1)))),
    ..Function::BASE
};

pub(super) static IENDS_WITH: Function = Function {
    name: "iends_with",
    args: &[("text", TEXT), ("end", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the first text ends with the second, letters compared without regard to case (not only ASCII's).",
    examples: &[("iends_with('A.EXE', '.exe')", "TRUE"), ("iends_with('abc', 'x')", "FALSE")],
    eval: |call| call.boolean(|row| Some(folded(row.text(0)).ends_with(&*folded(row.text(1))))),
    ..Function::BASE
};
