//! `ends_with`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static ENDS_WITH: Function = Function {
    name: "ends_with",
    args: &[Type::Text, Type::Text],
    optional: 0,
    returns: Type::Boolean,
    doc: "Whether the text ends with the other, case and all.",
    examples: &[("ends_with('a.sh', '.sh')", "TRUE"), ("ends_with('a.SH', '.sh')", "FALSE")],
    eval: |args| by_row(args, Type::Boolean, |values| Value::Boolean(text(&values[0]).ends_with(text(&values[1])))),
};
