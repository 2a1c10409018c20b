//! `extension`.

use crate::functions::{Function, TEXT};

pub(super) static EXTENSION: Function = Function {
    name: "extension",
    args: &[("path", TEXT)],
    doc: "What follows the last dot in the last component of a path, as written; empty where there is none. A dot at \
          the start of the name, as in `.bashrc`, begins no extension.",
    examples: &[
        ("extension('/tmp/a.tar.gz')", "'gz'"),
        ("extension('/etc/cron.d/job')", "''"),
        ("extension('.bashrc')", "''"),
    ],
    eval: |call| {
        call.text(|row| {
            let name = row.text(0).rsplit('/').next().unwrap_or_default();
            Some(name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map_or("", |(_, extension)| extension))
        })
    },
    ..Function::BASE
};
