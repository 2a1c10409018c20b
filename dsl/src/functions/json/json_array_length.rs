//! `json_array_length`.

use super::{at_path, load_paths};
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static JSON_ARRAY_LENGTH: Function = Function {
    name: "json_array_length",
    args: &[("json", TEXT), ("path", TEXT)],
    optional: 1,
    returns: Gives::One(Type::Integer),
    doc: "How many elements the array has, or that to which the path leads; 0 for what is no array.",
    examples: &[
        ("json_array_length('[1,2,3]')", "3"),
        ("json_array_length('{\"a\":[1]}', '$.a')", "1"),
        ("json_array_length('{}')", "0"),
        ("json_array_length('x')", "NULL"),
    ],
    load: load_paths,
    eval: |call| call.integer(|row| i64::try_from(at_path(row, 1)?.as_array().map_or(0, Vec::len)).ok()),
    ..Function::BASE
};
