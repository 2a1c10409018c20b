//! `hex`.

use super::{Function, map_text};
use crate::types::{self, Type};

pub(super) static HEX: Function = Function {
    name: "hex",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The bytes of a text as upper-case hexadecimal digits.",
    examples: &[("hex('A~')", "'417E'")],
    eval: |args| map_text(&args[0], |text| types::hex(text.as_bytes()).to_uppercase().into()),
};
