//! `json_object`.

use super::{to_json, written};
use crate::functions::{Function, Prepared, Refusal, Takes};
use serde_json::Value as Json;

pub(super) static JSON_OBJECT: Function = Function {
    name: "json_object",
    args: &[("key", Takes::Any), ("value", Takes::Any)],
    optional: 2,
    repeats: true,
    doc: "A JSON object of keys and values in turn. Text is a string, also where it holds JSON. A NULL among the keys \
          gives NULL (SQLite fails).",
    examples: &[("json_object('pid', 7, 'name', 'sh')", "'{\"pid\":7,\"name\":\"sh\"}'"), ("json_object()", "'{}'")],
    load: |constants, _| {
        if constants.len().is_multiple_of(2) {
            return Ok(Prepared::default());
        }
        Err(Refusal {
            code: "DE242",
            argument: constants.len() - 1,
            message: "`json_object` takes keys and values in turn, and the last key has no value".to_owned(),
            help: "add the value, or NULL",
        })
    },
    eval: |call| {
        call.with_nulls().text(|row| {
            let mut out = String::from("{");
            for at in (0..row.len()).step_by(2) {
                let key = row.shown(at)?;
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&Json::from(&*key).to_string());
                out.push(':');
                written(&to_json(&row.value(at + 1)), &mut out);
            }
            out.push('}');
            Some(out)
        })
    },
    ..Function::BASE
};
