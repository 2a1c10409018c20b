//! `upper`.

use super::{Function, map_text};
use crate::types::Type;

pub(super) static UPPER: Function = Function {
    name: "upper",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The text with ASCII letters in upper case; other letters stay, as in SQLite.",
    examples: &[("upper('äbc')", "'äBC'")],
    eval: |args| map_text(&args[0], |text| text.to_ascii_uppercase().into()),
};
