//! `starts_with`.

use super::{Function, by_row, text};
use crate::types::{Type, Value};

pub(super) static STARTS_WITH: Function = Function {
    name: "starts_with",
    args: &[Type::Text, Type::Text],
    optional: 0,
    returns: Type::Boolean,
    doc: "Whether the text begins with the other, case and all.",
    examples: &[("starts_with('/tmp/x', '/tmp/')", "TRUE"), ("starts_with('/TMP/x', '/tmp/')", "FALSE")],
    eval: |args| by_row(args, Type::Boolean, |values| Value::Boolean(text(&values[0]).starts_with(text(&values[1])))),
};
