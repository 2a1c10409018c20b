//! `char`.

use crate::functions::{Function, INTEGER};

pub(super) static CHAR: Function = Function {
    name: "char",
    args: &[("code", INTEGER)],
    optional: 1,
    repeats: true,
    doc: "The characters with these code points; what is none becomes U+FFFD. NULL is 0, as in SQLite. Halves of \
          surrogate pairs are no characters here (SQLite writes bytes that are not UTF-8).",
    examples: &[("char(72, 105)", "'Hi'"), ("char()", "''"), ("char(-1)", "'\u{fffd}'")],
    eval: |call| {
        call.with_nulls().text(|row| {
            let code = |at: usize| if row.is_null(at) { 0 } else { row.integer(at) };
            let c = |at: usize| {
                u32::try_from(code(at)).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
            };
            Some((0..row.len()).map(c).collect::<String>())
        })
    },
    ..Function::BASE
};
