//! A table for a comment on a change, or for the summary of a job.

use std::io::{self, Write};

use daemoneye_dsl::untrusted::Untrusted;

use crate::lint::linted::Linted;
use crate::screen::count;

/// Rows that are written: a comment on GitHub has room for 64 KiB.
const ROWS_MAX: usize = 200;

pub(super) fn write(linted: &Linted, out: &mut dyn Write) -> io::Result<()> {
    let rules = count(linted.set.files.len(), "rule", "rules");
    writeln!(out, "**daemoneye-cli lint**: {rules}, {}", linted.numbers())?;
    for error in &linted.unreadable {
        writeln!(out, "\n**error**: {}", escaped(&error.to_string()))?;
    }
    let findings = linted.gravest_first();
    if findings.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| severity | code | place | finding |\n|---|---|---|---|")?;
    for finding in findings.iter().take(ROWS_MAX) {
        let (it, region) = (finding.diagnostic, finding.region());
        let help = it.help.as_ref().map(|help| format!("<br>{}", escaped(&help.text))).unwrap_or_default();
        let place = format!("{}:{}:{}", escaped(finding.path()), region.line, region.column);
        let (severity, code, message) = (it.severity.name(), it.code, escaped(&it.message));
        writeln!(out, "| {severity} | {code} | {place} | {message}{help} |")?;
    }
    if findings.len() > ROWS_MAX {
        writeln!(out, "\nand {} more", count(findings.len() - ROWS_MAX, "finding", "findings"))?;
    }
    Ok(())
}

/// Text that stays text: no markup, no link, no cell of its own, and nobody is called by it.
fn escaped(text: &str) -> String {
    let visible = Untrusted(text).terminal().to_string();
    visible.chars().fold(String::with_capacity(visible.len()), |mut out, c| {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("@<!-- -->"),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '(' | ')' | '#' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
        out
    })
}
