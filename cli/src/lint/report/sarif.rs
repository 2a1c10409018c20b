//! SARIF 2.1.0, as GitHub's code scanning and editors read it.
//!
//! GitHub keeps the first 5,000 results, so the gravest go first, and knows a result again by its fingerprint, so that
//! has no line number in it. Columns count characters (`unicodeCodePoints`).

use std::collections::BTreeMap;
use std::io::{self, Write};

use daemoneye_dsl::diagnostic::{Fix, Label, Region, Severity, Source};
use daemoneye_dsl::lints;
use daemoneye_dsl::untrusted::Untrusted;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use crate::lint::linted::{Finding, Linted, fingerprints, from_here};

const SCHEMA: &str = "https://raw.githubusercontent.com/oasis-tcs/sarif-spec/master/Schemata/sarif-schema-2.1.0.json";
/// What a path in a URI may hold as it is.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

pub(super) fn write(linted: &Linted, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &log(linted))?;
    out.write_all(b"\n")
}

fn log(linted: &Linted) -> Value {
    let findings = linted.gravest_first();
    // By code, each once; a result names its place in this list.
    let mut codes: BTreeMap<&str, (usize, Severity)> = BTreeMap::new();
    for finding in &findings {
        codes.insert(finding.diagnostic.code, (0, finding.diagnostic.severity));
    }
    codes.values_mut().enumerate().for_each(|(at, (index, _))| *index = at);
    let rules: Vec<_> = codes.iter().map(|(code, (_, severity))| rule(code, *severity)).collect();
    let known = fingerprints(&findings);
    let results = findings.iter().zip(known).map(|(it, known)| result(it, codes[it.diagnostic.code].0, &known));
    let notifications = linted.unreadable.iter().map(|error| {
        let path = error.path.display().to_string();
        json!({
            "level": "error", "message": message(&error.to_string()),
            "locations": [{"physicalLocation": {"artifactLocation": artifact(&path)}}],
        })
    });
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "daemoneye-cli lint", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": linted.unreadable.is_empty(),
                "toolExecutionNotifications": notifications.collect::<Vec<_>>(),
            }],
            "results": results.collect::<Vec<_>>(),
        }],
    })
}

/// What a code means, as `lint --explain` says it.
fn rule(code: &str, severity: Severity) -> Value {
    let mut rule = json!({
        "id": code,
        "defaultConfiguration": {"level": severity.name()},
        "properties": {"tags": ["sql", family(code)]},
    });
    if let Some(lint) = lints::find(code) {
        let bad = format!(
            "Instead of\n\n```sql\n{}\n```\n\nwrite\n\n```sql\n{}\n```",
            lint.fires.shown(),
            lint.silent.shown()
        );
        let reference = format!("docs/lints.md#{}", code.to_ascii_lowercase());
        rule["name"] = lint.name.into();
        rule["shortDescription"] = json!({"text": lint.summary});
        rule["fullDescription"] = json!({"text": lint.why});
        rule["help"] = json!({
            "text": format!("{}\n\n{}\n\nMore: {reference}", lint.summary, lint.why),
            "markdown": format!("{}\n\n{}\n\n{bad}\n\nMore: `{reference}`", lint.summary, lint.why),
        });
    }
    rule
}

/// What the codes of a hundred have in common.
fn family(code: &str) -> &'static str {
    match code.as_bytes().get(2) {
        Some(b'0') => "file",
        Some(b'1') => "metadata",
        Some(b'2') => "names-and-types",
        Some(b'3') => "time-and-state",
        Some(b'4') => "exceptions",
        Some(b'5') => "tests",
        Some(b'6') => "observability",
        Some(b'7') => "robustness",
        _ => "settings",
    }
}

fn result(finding: &Finding<'_>, index: usize, fingerprint: &str) -> Value {
    let it = finding.diagnostic;
    let mut result = json!({
        "ruleId": it.code,
        "ruleIndex": index,
        "level": it.severity.name(),
        "message": message(&finding.text()),
        "locations": [{"physicalLocation": place(finding, finding.region())}],
        "partialFingerprints": {"lintedLine/v1": fingerprint},
    });
    let related: Vec<_> = it.labels.iter().skip(1).map(|label| context(finding, label)).collect();
    if !related.is_empty() {
        result["relatedLocations"] = related.into();
    }
    if let (Some(fix), Some(help)) = (it.offered_fix(), &it.help) {
        result["fixes"] = json!([{"description": message(&help.text), "artifactChanges": [changes(finding, fix)]}]);
    }
    result
}

fn context(finding: &Finding<'_>, label: &Label) -> Value {
    let mut location = Map::new();
    location.insert("physicalLocation".to_owned(), place(finding, finding.source.region(&label.span)));
    if !label.text.is_empty() {
        location.insert("message".to_owned(), message(&label.text));
    }
    location.into()
}

fn changes(finding: &Finding<'_>, fix: &Fix) -> Value {
    let replacement = |(span, new): &(std::ops::Range<usize>, String)| {
        // The exact bytes: what is drawn inside the last line may lie behind it.
        json!({"deletedRegion": exact(finding.source, span), "insertedContent": {"text": new}})
    };
    let replacements: Vec<_> = fix.edits.iter().map(replacement).collect();
    json!({"artifactLocation": artifact(&finding.source.path), "replacements": replacements})
}

fn exact(source: &Source, span: &std::ops::Range<usize>) -> Value {
    let ((line, column), (end_line, end_column)) = (source.position(span.start), source.position(span.end));
    region(Region { line, column, end_line, end_column })
}

fn place(finding: &Finding<'_>, at: Region) -> Value {
    json!({"artifactLocation": artifact(&finding.source.path), "region": region(at)})
}

fn region(at: Region) -> Value {
    json!({"startLine": at.line, "startColumn": at.column, "endLine": at.end_line, "endColumn": at.end_column})
}

fn artifact(path: &str) -> Value {
    let path = from_here(path);
    let encoded = utf8_percent_encode(path, PATH);
    let uri = if path.starts_with('/') { format!("file://{encoded}") } else { encoded.to_string() };
    json!({"uri": uri})
}

/// A text in which nothing is a placeholder or a link.
fn message(text: &str) -> Value {
    let lines: Vec<_> = text.lines().map(|line| Untrusted(line).terminal().to_string()).collect();
    json!({"text": lines.join("\n").replace('{', "{{").replace('}', "}}").replace("](", "] (")})
}
