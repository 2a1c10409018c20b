//! `concat`.

use crate::functions::call::Growing;
use crate::functions::{Function, Takes};

pub(super) static CONCAT: Function = Function {
    name: "concat",
    args: &[("value", Takes::Any)],
    repeats: true,
    doc: "The values as text, one after the other. NULLs are left out; `||` gives NULL instead.",
    examples: &[("concat('a', 1, NULL, 2.5)", "'a12.5'"), ("concat(NULL)", "''")],
    eval: |call| {
        call.with_nulls().text(|row| {
            let mut out = Growing::default();
            for value in (0..row.len()).filter_map(|at| row.shown(at)) {
                out.push(&value)?;
            }
            Some(out.finish())
        })
    },
    ..Function::BASE
};
