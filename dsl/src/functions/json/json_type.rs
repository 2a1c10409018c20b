//! `json_type`.

use serde_json::Value as Json;

use super::{at_path, load_paths};
use crate::functions::{Function, TEXT};

pub(super) static JSON_TYPE: Function = Function {
    name: "json_type",
    args: &[("json", TEXT), ("path", TEXT)],
    optional: 1,
    doc: "The kind of value, or of what the path leads to: `null`, `true`, `false`, `integer`, `real`, `text`, `array` or \
          `object`.",
    examples: &[
        ("json_type('[1]')", "'array'"),
        ("json_type('{\"a\":1.5}', '$.a')", "'real'"),
        ("json_type('{}', '$.a')", "NULL"),
    ],
    load: load_paths,
    eval: |call| {
        call.text(|row| {
            Some(match at_path(row, 1)? {
                Json::Null => "null",
                Json::Bool(true) => "true",
                Json::Bool(false) => "false",
                Json::Number(number) if number.is_f64() => "real",
                Json::Number(_) => "integer",
                Json::String(_) => "text",
                Json::Array(_) => "array",
                Json::Object(_) => "object",
            })
        })
    },
    ..Function::BASE
};
