//! `like` and `glob`, the functions behind the operators.

use crate::functions::{Function, Gives, TEXT};
use crate::pattern::Pattern;
use crate::types::Type;

pub(super) static LIKE: Function = Function {
    name: "like",
    args: &[("pattern", TEXT), ("text", TEXT), ("escape", TEXT)],
    optional: 1,
    returns: Gives::One(Type::Boolean),
    doc: "`text LIKE pattern [ESCAPE escape]`; note the order. An escape that is not one character gives NULL (SQLite \
          fails).",
    examples: &[("like('a%', 'ABC')", "TRUE"), ("like('50#%', '50%', '#')", "TRUE"), ("like('a', 'ab')", "FALSE")],
    eval: |call| {
        call.boolean(|row| {
            let escape = match row.given_text(2) {
                None => None,
                Some(text) => Some(text.chars().next().filter(|c| c.len_utf8() == text.len())?),
            };
            Some(Pattern::is_like(row.text(1), row.text(0), escape))
        })
    },
    ..Function::BASE
};

pub(super) static GLOB: Function = Function {
    name: "glob",
    args: &[("pattern", TEXT), ("text", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "`text GLOB pattern`; note the order.",
    examples: &[("glob('/tmp/*', '/tmp/x')", "TRUE"), ("glob('A*', 'abc')", "FALSE")],
    eval: |call| call.boolean(|row| Some(Pattern::is_glob(row.text(1), row.text(0)))),
    ..Function::BASE
};
