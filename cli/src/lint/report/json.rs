//! Findings as objects: what `config check` and `query` give for findings of theirs, too.

use std::io::{self, Write};

use serde_json::{Map, Value, json};

use crate::lint::linted::Linted;
use crate::output::{Json, write_json};

pub(super) fn write(linted: &Linted, form: Json, out: &mut dyn Write) -> io::Result<()> {
    let findings = linted.findings().map(|it| it.diagnostic.to_json(it.source));
    let unreadable = linted
        .unreadable
        .iter()
        .map(|it| json!({"file": it.path.display().to_string(), "severity": "error", "message": it.to_string()}));
    let object = |value: Value| value.as_object().cloned().unwrap_or_else(Map::new);
    write_json(out, form, findings.chain(unreadable).map(object))
}
