//! `starts_with` and `istarts_with`.

use super::folded;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static STARTS_WITH: Function = Function {
    name: "starts_with",
    args: &[("text", TEXT), ("start", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the first text starts with the second, exactly.",
    examples: &[("starts_with('/usr/bin', '/usr')", "TRUE"), ("starts_with('abc', 'B')", "FALSE")],
    eval: |call| call.boolean(|row| Some(row.text(0).starts_with(row.text(1)))),
    ..Function::BASE
};

pub(super) static ISTARTS_WITH: Function = Function {
    name: "istarts_with",
    args: &[("text", TEXT), ("start", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the first text starts with the second, letters compared without regard to case (not only ASCII's).",
    examples: &[("istarts_with('PowerShell', 'powers')", "TRUE"), ("istarts_with('Éa', 'é')", "TRUE")],
    eval: |call| call.boolean(|row| Some(folded(row.text(0)).starts_with(&*folded(row.text(1))))),
    ..Function::BASE
};
