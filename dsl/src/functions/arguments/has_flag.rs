//! `has_flag`.

use super::{arguments, attached};
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static HAS_FLAG: Function = Function {
    name: "has_flag",
    args: &[("argv", TEXT), ("flag", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether one of the arguments is the flag, or the flag with `=` and a value. Short flags that are written \
          together, as in `-la`, are found by `has_short_flag`.",
    examples: &[
        ("has_flag('[\"nc\",\"-e\",\"/bin/sh\"]', '-e')", "TRUE"),
        ("has_flag('[\"x\",\"--url=http://h\"]', '--url')", "TRUE"),
        ("has_flag('[\"-e\"]', '-e')", "FALSE"),
        ("has_flag('no array', '-e')", "NULL"),
    ],
    eval: |call| {
        call.boolean(|row| {
            let flag = row.text(1);
            Some(arguments(row.text(0))?.iter().any(|it| it == flag || attached(it, flag).is_some()))
        })
    },
    ..Function::BASE
};
