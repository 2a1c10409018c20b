//! The operators `->` and `->>`.

use std::borrow::Cow;

use serde_json::Value as Json;

use super::json_extract::text_of;
use super::path::Path;
use super::{parsed, written};
use crate::functions::call::Row;
use crate::functions::{Function, TEXT, Takes};

/// `json -> label`.
pub(super) static AS_JSON: Function = Function {
    name: "->",
    args: &[("json", TEXT), ("label", Takes::Any)],
    doc: "An operator, written between its operands: what the label leads to, as JSON. A label is a key, a place in an \
          array (INTEGER, from the end where it is negative), or a path that begins with `$`. NULL where there is nothing.",
    examples: &[
        ("'{\"a\":[1,\"x\"]}' -> 'a'", "'[1,\"x\"]'"),
        ("'{\"a\":[1,\"x\"]}' -> '$.a[1]'", "'\"x\"'"),
        ("'[null]' -> 0", "'null'"),
        ("'{\"\":7}' -> ''", "NULL"),
        ("'{}' -> 'a'", "NULL"),
    ],
    eval: |call| {
        call.text(|row| {
            let mut out = String::new();
            written(&found(row)?, &mut out);
            Some(out)
        })
    },
    ..Function::BASE
};

/// `json ->> label`.
pub(super) static AS_TEXT: Function = Function {
    name: "->>",
    args: &[("json", TEXT), ("label", Takes::Any)],
    doc: "An operator, written between its operands: what the label leads to, as `json_extract` gives it: always TEXT, \
          strings bare, null as NULL.",
    examples: &[
        ("'{\"a\":[1,\"x\"]}' ->> '$.a[1]'", "'x'"),
        ("'{\"odd key\":true}' ->> 'odd key'", "'1'"),
        ("'[7,8]' ->> -1", "'8'"),
        ("'[null]' ->> 0", "NULL"),
        ("'{\"a\":{\"b\":\"c\"}}' -> 'a' ->> 'b'", "'c'"),
    ],
    eval: |call| call.text(|row| text_of(&found(row)?)),
    ..Function::BASE
};

fn found(row: Row<'_>) -> Option<Json> {
    let whole = parsed(row.text(0))?;
    let label = row.shown(1)?;
    let path = match label.parse::<i64>() {
        Ok(at) if row.ty(1) != crate::types::Type::Text => Cow::Owned(match at {
            0.. => format!("$[{at}]"),
            _ => format!("$[#{at}]"),
        }),
        // In SQLite it is the path `$.`, which leads nowhere, also where a key is empty.
        _ if label.is_empty() => return None,
        _ if label.starts_with('$') => label,
        _ if label.starts_with('[') && label.ends_with(']') && label.len() > 2 => Cow::Owned(format!("${label}")),
        _ => return whole.get(&*label).cloned(),
    };
    Path::parse(&path)?.find(&whole).cloned()
}
