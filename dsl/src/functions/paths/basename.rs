//! `basename`.

use crate::functions::{Function, TEXT};

pub(super) static BASENAME: Function = Function {
    name: "basename",
    args: &[("path", TEXT)],
    doc: "The last component of a path: what follows the last slash.",
    examples: &[
        ("basename('/usr/bin/curl')", "'curl'"),
        ("basename('curl')", "'curl'"),
        ("basename('/tmp/')", "''"),
        ("basename(NULL)", "NULL"),
    ],
    eval: |call| call.text(|row| row.text(0).rsplit('/').next()),
    ..Function::BASE
};
