//! `jaro_winkler`.

use super::comparable;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static JARO_WINKLER: Function = Function {
    name: "jaro_winkler",
    args: &[("text", TEXT), ("other", TEXT)],
    returns: Gives::One(Type::Real),
    doc: "How alike two names are, from 0 to 1, a common start counting most; NULL if one has more than 255 characters.",
    examples: &[("jaro_winkler('sshd', 'sshd')", "1.0"), ("jaro_winkler('abc', 'xyz')", "0.0")],
    eval: |call| {
        call.real(|row| {
            let (text, other) = comparable(row)?;
            Some(strsim::jaro_winkler(text, other))
        })
    },
    ..Function::BASE
};
