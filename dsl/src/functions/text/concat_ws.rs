//! `concat_ws`.

use crate::functions::call::Growing;
use crate::functions::{Function, TEXT, Takes};

pub(super) static CONCAT_WS: Function = Function {
    name: "concat_ws",
    args: &[("separator", TEXT), ("value", Takes::Any)],
    repeats: true,
    doc: "The values as text with the separator between them. NULLs are left out; a NULL separator gives NULL.",
    examples: &[("concat_ws(', ', 'a', NULL, 7)", "'a, 7'"), ("concat_ws(NULL, 'a')", "NULL")],
    eval: |call| {
        call.with_nulls().text(|row| {
            let separator = row.text_or_null(0)?;
            let mut out = Growing::default();
            for (nth, value) in (1..row.len()).filter_map(|at| row.shown(at)).enumerate() {
                out.push(if nth > 0 { separator } else { "" })?;
                out.push(&value)?;
            }
            Some(out.finish())
        })
    },
    ..Function::BASE
};
