//! GitLab's Code Quality report: one array of what it calls issues.

use std::io::{self, Write};

use daemoneye_dsl::diagnostic::Severity;
use daemoneye_dsl::untrusted::Untrusted;
use serde_json::{Map, Value, json};

use crate::lint::linted::{Linted, fingerprints, from_here};
use crate::output::{Json, write_json};

pub(super) fn write(linted: &Linted, out: &mut dyn Write) -> io::Result<()> {
    let findings = linted.gravest_first();
    let known = fingerprints(&findings);
    let issues = findings.iter().zip(known).map(|(finding, fingerprint)| {
        let (it, region) = (finding.diagnostic, finding.region());
        let severity = match it.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
            Severity::Note => "info",
        };
        let description = format!("{}: {}", it.code, Untrusted(&it.message).terminal());
        json!({
            "description": description, "check_name": it.code, "fingerprint": fingerprint, "severity": severity,
            "location": {"path": finding.path(), "lines": {"begin": region.line, "end": region.end_line}},
        })
    });
    let unreadable = linted.unreadable.iter().map(|error| {
        let path = error.path.display().to_string();
        let description = Untrusted(&error.to_string()).terminal().to_string();
        json!({
            "description": description, "check_name": "unreadable", "severity": "blocker",
            "fingerprint": format!("unreadable:{path}"),
            "location": {"path": from_here(&path), "lines": {"begin": 1}},
        })
    });
    let object = |value: Value| value.as_object().cloned().unwrap_or_else(Map::new);
    write_json(out, Json::Array, unreadable.chain(issues).map(object))
}
