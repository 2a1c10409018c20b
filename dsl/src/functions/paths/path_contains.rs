//! `path_contains`.

use super::normalized;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static PATH_CONTAINS: Function = Function {
    name: "path_contains",
    args: &[("directory", TEXT), ("path", TEXT)],
    returns: Gives::One(Type::Boolean),
    doc: "Whether the path is the directory or lies below it, once `.`, `..` and doubled slashes are worked out. By the \
          letters alone: symbolic links are not followed. A relative path lies below no absolute one.",
    examples: &[
        ("path_contains('/tmp', '/tmp/a/b')", "TRUE"),
        ("path_contains('/tmp/', '/tmp')", "TRUE"),
        ("path_contains('/tmp', '/tmpfs/a')", "FALSE"),
        ("path_contains('/tmp', '/tmp/../etc/passwd')", "FALSE"),
    ],
    eval: |call| {
        call.boolean(|row| {
            let (directory, path) = (normalized(row.text(0)), normalized(row.text(1)));
            Some(match directory.as_str() {
                "/" => path.starts_with('/'),
                "." => !path.starts_with('/') && path != ".." && !path.starts_with("../"),
                directory => path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
            })
        })
    },
    ..Function::BASE
};
