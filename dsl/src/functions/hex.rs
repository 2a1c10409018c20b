//! `hex`.

use std::sync::Arc;

use arrow_array::StringArray;
use arrow_array::cast::AsArray;

use super::Function;
use crate::types::{self, Type};

pub(super) static HEX: Function = Function {
    name: "hex",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The bytes of a text as upper-case hexadecimal digits; of NULL, as in SQLite, no digits.",
    examples: &[("hex('A~')", "'417E'"), ("hex(NULL)", "''")],
    eval: |args| {
        let digits = |text: Option<&str>| Some(types::hex(text.unwrap_or_default().as_bytes()).to_uppercase());
        Arc::new(args[0].as_string::<i32>().iter().map(digits).collect::<StringArray>())
    },
};
