//! `json_extract`.

use serde_json::Value as Json;

use super::path::Path;
use super::{load_paths, parsed, written};
use crate::convert;
use crate::functions::{Function, TEXT};

pub(super) static JSON_EXTRACT: Function = Function {
    name: "json_extract",
    args: &[("json", TEXT), ("path", TEXT)],
    repeats: true,
    doc: "What the path leads to, always as TEXT (SQLite: of the type found there; CAST for numbers): strings bare, true \
          and false as 1 and 0, arrays and objects as JSON, null and what is not there as NULL. Several paths give a \
          JSON array with null for what is not there.",
    examples: &[
        ("json_extract('{\"a\":[1,\"x\"]}', '$.a[1]')", "'x'"),
        ("json_extract('{\"a\":[1,2]}', '$.a')", "'[1,2]'"),
        ("CAST(json_extract('[7]', '$[0]') AS INTEGER)", "7"),
        ("json_extract('[1,2]', '$[0]', '$[#-1]', '$.a')", "'[1,2,null]'"),
        ("json_extract('[1]', '$[1]')", "NULL"),
    ],
    load: load_paths,
    eval: |call| {
        call.text(|row| {
            let whole = parsed(row.text(0))?;
            if row.len() == 2 {
                return text_of(Path::parse(row.text(1))?.find(&whole)?);
            }
            let mut found = Vec::new();
            for argument in 1..row.len() {
                found.push(Path::parse(row.text(argument))?.find(&whole).cloned().unwrap_or_default());
                // A large value under many paths must not be copied for each.
                if found.iter().map(weight).sum::<usize>() > crate::limits::RESULT_LEN_MAX {
                    return None;
                }
            }
            let mut out = String::new();
            written(&Json::Array(found), &mut out);
            Some(out)
        })
    },
    ..Function::BASE
};

pub(super) fn text_of(json: &Json) -> Option<String> {
    match json {
        Json::Null => None,
        Json::String(text) => Some(text.clone()),
        Json::Bool(value) => Some(i32::from(*value).to_string()),
        // Beyond 64 bits with a sign it is a REAL, as in SQLite.
        Json::Number(number) => Some(number.as_i64().map_or_else(
            || convert::real_to_text(number.as_f64().unwrap_or(f64::INFINITY)),
            |number| number.to_string(),
        )),
        Json::Array(_) | Json::Object(_) => {
            let mut out = String::new();
            written(json, &mut out);
            Some(out)
        }
    }
}

/// About how long it is when written.
fn weight(json: &Json) -> usize {
    match json {
        Json::String(text) => text.len() + 2,
        Json::Array(items) => items.iter().map(weight).sum::<usize>() + 2,
        Json::Object(members) => members.iter().map(|(key, value)| key.len() + 3 + weight(value)).sum::<usize>() + 2,
        _ => 4,
    }
}
