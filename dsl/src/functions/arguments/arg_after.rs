//! `arg_after`.

use super::{arguments, attached};
use crate::functions::{Function, TEXT};

pub(super) static ARG_AFTER: Function = Function {
    name: "arg_after",
    args: &[("argv", TEXT), ("flag", TEXT)],
    doc: "The argument that follows the flag where it stands first, or what follows its `=`; NULL without either.",
    examples: &[
        ("arg_after('[\"curl\",\"-o\",\"/tmp/x\",\"http://h\"]', '-o')", "'/tmp/x'"),
        ("arg_after('[\"curl\",\"--output=/tmp/x\"]', '--output')", "'/tmp/x'"),
        ("arg_after('[\"curl\",\"-o\"]', '-o')", "NULL"),
    ],
    eval: |call| {
        call.text(|row| {
            let (arguments, flag) = (arguments(row.text(0))?, row.text(1));
            let at = arguments.iter().position(|it| it == flag || attached(it, flag).is_some())?;
            let value = attached(&arguments[at], flag).or_else(|| arguments.get(at + 1).map(String::as_str))?;
            Some(value.to_owned())
        })
    },
    ..Function::BASE
};
