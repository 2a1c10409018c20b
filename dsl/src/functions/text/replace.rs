//! `replace`.

use crate::functions::call::Growing;
use crate::functions::{Function, TEXT};

pub(super) static REPLACE: Function = Function {
    name: "replace",
    args: &[("text", TEXT), ("from", TEXT), ("to", TEXT)],
    doc: "The first text with every occurrence of the second, unless that is empty, replaced by the third.",
    examples: &[
        ("replace('a-b-c', '-', '+')", "'a+b+c'"),
        ("replace('abc', '', NULL)", "'abc'"),
        ("replace('abc', 'b', NULL)", "NULL"),
    ],
    eval: |call| {
        call.with_nulls().text(|row| {
            let (text, from) = (row.text_or_null(0)?, row.text_or_null(1)?);
            // SQLite looks at the third only when there is something to replace.
            if from.is_empty() {
                return Some(text.to_owned());
            }
            replaced(text, from, row.text_or_null(2)?)
        })
    },
    ..Function::BASE
};

fn replaced(text: &str, from: &str, to: &str) -> Option<String> {
    let mut out = Growing::default();
    for (at, part) in text.split(from).enumerate() {
        if at > 0 {
            out.push(to)?;
        }
        out.push(part)?;
    }
    Some(out.finish())
}
