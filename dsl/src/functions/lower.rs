//! `lower`.

use super::{Function, map_text};
use crate::types::Type;

pub(super) static LOWER: Function = Function {
    name: "lower",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The text with ASCII letters in lower case; other letters stay, as in SQLite.",
    examples: &[("lower('ÄBC')", "'Äbc'")],
    eval: |args| map_text(&args[0], |text| text.to_ascii_lowercase().into()),
};
