//! Annotations for GitHub Actions: `::error file=…,line=…::…` lines on standard output, and a summary of the job.
//!
//! GitHub shows ten annotations of a step, so the gravest go first; the summary has them all. Columns are only taken
//! for places within one line.

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};

use daemoneye_dsl::diagnostic::Severity;
use daemoneye_dsl::untrusted::Untrusted;

use super::markdown;
use crate::failed;
use crate::lint::linted::{Finding, Linted, from_here};

pub(super) fn write(linted: &Linted, out: &mut dyn Write) -> io::Result<()> {
    for error in &linted.unreadable {
        let path = error.path.display().to_string();
        writeln!(out, "::error file={}::{}", property(from_here(&path)), message(&error.to_string()))?;
    }
    linted.gravest_first().iter().try_for_each(|finding| writeln!(out, "{}", line(finding)))
}

fn line(finding: &Finding<'_>) -> String {
    let it = finding.diagnostic;
    let command = match it.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "notice",
    };
    let region = finding.region();
    let place = if region.line == region.end_line {
        format!("line={},col={},endColumn={}", region.line, region.column, region.end_column)
    } else {
        format!("line={},endLine={}", region.line, region.end_line)
    };
    let (file, title, text) = (property(finding.path()), property(it.code), message(&finding.text()));
    format!("::{command} file={file},{place},title={title}::{text}")
}

/// Visible lines; what GitHub would take for the end of the message is written as it wants it.
fn message(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(|line| Untrusted(line).terminal().to_string()).collect();
    lines.join("\n").replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}

/// A table of all findings, on the page of the job.
pub(super) fn write_summary(linted: &Linted) -> anyhow::Result<()> {
    let Some(path) = env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return Ok(()) };
    let mut text = Vec::new();
    markdown::write(linted, &mut text)?;
    let appended = OpenOptions::new().append(true).create(true).open(&path).and_then(|mut file| file.write_all(&text));
    let what = format!("cannot write the summary of the job to {}", path.display());
    appended.map_err(|error| failed(what, error, "unset GITHUB_STEP_SUMMARY to go without"))
}
