//! `json_array`.

use serde_json::Value as Json;

use super::{to_json, written};
use crate::functions::{Function, Takes};

pub(super) static JSON_ARRAY: Function = Function {
    name: "json_array",
    args: &[("value", Takes::Any)],
    optional: 1,
    repeats: true,
    doc: "A JSON array of the values. Text is a string, also where it holds JSON (SQLite looks where it came from). Bytes are \
          hexadecimal digits (SQLite fails), infinity is a string.",
    examples: &[("json_array(1, 'a', NULL, TRUE)", "'[1,\"a\",null,true]'"), ("json_array()", "'[]'")],
    eval: |call| {
        call.with_nulls().text(|row| {
            let mut out = String::new();
            written(&Json::Array((0..row.len()).map(|at| to_json(&row.value(at))).collect()), &mut out);
            Some(out)
        })
    },
    ..Function::BASE
};
