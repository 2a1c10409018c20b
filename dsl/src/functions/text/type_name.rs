//! `typeof`.

use crate::functions::{Function, Takes};

pub(super) static TYPEOF: Function = Function {
    name: "typeof",
    args: &[("value", Takes::Any)],
    doc: "The name of the type in lower case, `null` for NULL. BOOLEAN, TIMESTAMP and INTERVAL are types here.",
    examples: &[("typeof(1)", "'integer'"), ("typeof(NULL)", "'null'"), ("typeof(now())", "'timestamp'")],
    eval: |call| {
        call.with_nulls()
            .text(|row| Some(if row.is_null(0) { "null".to_owned() } else { row.ty(0).name().to_ascii_lowercase() }))
    },
    ..Function::BASE
};
