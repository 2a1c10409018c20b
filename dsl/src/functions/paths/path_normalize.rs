//! `path_normalize`.

use super::normalized;
use crate::functions::{Function, TEXT};

pub(super) static PATH_NORMALIZE: Function = Function {
    name: "path_normalize",
    args: &[("path", TEXT)],
    doc: "The path without `.`, doubled and final slashes, and with `..` worked out. By the letters alone: symbolic \
          links are not followed. An empty path is `.`.",
    examples: &[
        ("path_normalize('//usr/./bin/../lib/')", "'/usr/lib'"),
        ("path_normalize('/../etc')", "'/etc'"),
        ("path_normalize('a/../../b')", "'../b'"),
        ("path_normalize('')", "'.'"),
    ],
    eval: |call| call.text(|row| Some(normalized(row.text(0)))),
    ..Function::BASE
};
