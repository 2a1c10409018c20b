//! `dirname`.

use super::{Function, map_text};
use crate::types::Type;

pub(super) static DIRNAME: Function = Function {
    name: "dirname",
    args: &[Type::Text],
    optional: 0,
    returns: Type::Text,
    doc: "A path without its last component; `/` for what lies in the root, empty for a bare name.",
    examples: &[("dirname('/usr/bin/curl')", "'/usr/bin'"), ("dirname('/curl')", "'/'"), ("dirname('curl')", "''")],
    eval: |args| {
        map_text(&args[0], |path| match path.rfind('/') {
            None => "".into(),
            Some(0) => "/".into(),
            Some(at) => path[..at].into(),
        })
    },
};
