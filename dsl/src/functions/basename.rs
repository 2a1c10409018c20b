//! `basename`.

use super::{Function, map_text};
use crate::types::Type;

pub(super) static BASENAME: Function = Function {
    name: "basename",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "The last component of a path.",
    examples: &[("basename('/usr/bin/curl')", "'curl'"), ("basename('curl')", "'curl'"), ("basename(NULL)", "NULL")],
    eval: |args| map_text(&args[0], |path| path.rsplit('/').next().unwrap_or_default().into()),
};
