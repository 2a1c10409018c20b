//! Functions of JSON in text.
//!
//! `serde_json` reads it, which bounds the depth (128). SQLite's extensions of JSON (comments, trailing commas, bare
//! keys) are not read.

mod json_array;
mod json_array_length;
mod json_extract;
mod json_object;
mod json_type;
mod json_valid;
mod member;
mod path;

use serde_json::Value as Json;

use super::call::Row;
use super::{Group, Prepared, Refusal};
use crate::convert;
use crate::limits::Limits;
use crate::types::Value;
use path::Path;

pub(super) static JSON: Group = Group {
    title: "JSON",
    doc: "JSON is text, of at most 2 MiB and 128 levels; what is none gives NULL (SQLite fails, and reads comments and \
          bare keys too). Of a key that comes twice the last value counts (SQLite: the first). A path is `$`, then \
          `.key`, `.\"key\"`, `[0]`, or `[#-1]` for the last element; a constant that is no path is an error (DE211).",
    functions: &[
        &member::AS_JSON,
        &member::AS_TEXT,
        &json_array::JSON_ARRAY,
        &json_array_length::JSON_ARRAY_LENGTH,
        &json_extract::JSON_EXTRACT,
        &json_object::JSON_OBJECT,
        &json_type::JSON_TYPE,
        &json_valid::JSON_VALID,
    ],
};

/// The JSON that a text is.
fn parsed(text: &str) -> Option<Json> {
    if text.len() > crate::limits::RESULT_LEN_MAX {
        return None;
    }
    serde_json::from_str(text).ok()
}

/// Refuses constant arguments from the second on that are no paths.
fn load_paths(constants: &[Option<&Value>], _: &Limits) -> Result<Prepared, Refusal> {
    for (argument, constant) in constants.iter().enumerate().skip(1) {
        if let Some(text) = constant.and_then(Value::as_text)
            && Path::parse(text).is_none()
        {
            return Err(Refusal {
                code: "DE211",
                argument,
                message: format!("`{text}` is not a path into JSON"),
                help: "write it as '$.key', '$.list[0]' or '$.\"odd key\"'",
            });
        }
    }
    Ok(Prepared::default())
}

/// What the path given as `argument` leads to, or the whole where there is none.
fn at_path(row: Row<'_>, argument: usize) -> Option<Json> {
    let whole = parsed(row.text(0))?;
    match row.given_text(argument) {
        None => Some(whole),
        Some(path) => Path::parse(path)?.find(&whole).cloned(),
    }
}

/// A value as JSON: text as a string, NULL as null, moments as RFC 3339.
fn to_json(value: &Value) -> Json {
    match value {
        // JSON has no infinity; SQLite writes a number that becomes one.
        Value::Real(number) if number.is_infinite() => Json::String(convert::real_to_text(*number)),
        value => value.to_json(),
    }
}

/// Compact JSON with numbers spelled as this dialect does.
fn written(json: &Json, out: &mut String) {
    match json {
        Json::Number(number) if number.is_f64() => {
            out.push_str(&convert::real_to_text(number.as_f64().expect("a double")));
        }
        Json::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                written(item, out);
            }
            out.push(']');
        }
        Json::Object(members) => {
            out.push('{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                out.push_str(&Json::from(key.as_str()).to_string());
                out.push(':');
                written(value, out);
            }
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
}
