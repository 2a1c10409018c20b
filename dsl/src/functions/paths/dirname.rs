//! `dirname`.

use crate::functions::{Function, TEXT};

pub(super) static DIRNAME: Function = Function {
    name: "dirname",
    args: &[("path", TEXT)],
    doc: "The path without its last component; empty for a bare name.",
    examples: &[("dirname('/usr/bin/curl')", "'/usr/bin'"), ("dirname('/init')", "'/'"), ("dirname('curl')", "''")],
    eval: |call| {
        call.text(|row| {
            Some(match row.text(0).rsplit_once('/') {
                Some(("", _)) => "/",
                Some((directory, _)) => directory,
                None => "",
            })
        })
    },
    ..Function::BASE
};
