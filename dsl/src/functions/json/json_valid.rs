//! `json_valid`.

use super::parsed;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static JSON_VALID: Function = Function {
    name: "json_valid",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the text is JSON (RFC 8259).",
    examples: &[("json_valid('{\"a\":[1]}')", "TRUE"), ("json_valid('{a:1}')", "FALSE"), ("json_valid(NULL)", "NULL")],
    eval: |call| call.boolean(|row| Some(parsed(row.text(0)).is_some())),
    ..Function::BASE
};
