//! The XML of `JUnit`, as build servers read it: one test case a rule file, one failure a finding that makes the check fail.

use std::io::{self, Write};

use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::untrusted::Untrusted;

use crate::lint::linted::{Finding, Linted, from_here};

pub(super) fn write(linted: &Linted, out: &mut dyn Write) -> io::Result<()> {
    let fails = |finding: &Finding<'_>| finding.diagnostic.severity >= linted.fail_on;
    let failures = linted.findings().filter(fails).count();
    let errors = linted.unreadable.len();
    let tests = linted.set.files.len() + errors;
    let time = linted.elapsed.as_secs_f64();
    let counts = format!("tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" time=\"{time:.3}\"");
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>")?;
    writeln!(out, "  <testsuite name=\"daemoneye-cli lint\" {counts}>")?;
    for error in &linted.unreadable {
        open(&error.path.display().to_string(), out)?;
        writeln!(out, "      <error message=\"{}\"/>\n    </testcase>", escaped(&error.to_string()))?;
    }
    for file in &linted.set.files {
        open(&file.source.path, out)?;
        let source = &file.source;
        let (failing, other): (Vec<_>, Vec<_>) =
            file.diagnostics.iter().map(|diagnostic| Finding { source, diagnostic }).partition(fails);
        for finding in &failing {
            let (code, message) = (finding.diagnostic.code, escaped(&finding.diagnostic.message));
            let drawn = lines(&drawn(finding));
            writeln!(out, "      <failure type=\"{code}\" message=\"{message}\">{drawn}</failure>")?;
        }
        if !other.is_empty() {
            let drawn: String = other.iter().map(|finding| lines(&drawn(finding))).collect();
            writeln!(out, "      <system-out>{drawn}</system-out>")?;
        }
        writeln!(out, "    </testcase>")?;
    }
    writeln!(out, "  </testsuite>\n</testsuites>")
}

fn open(path: &str, out: &mut dyn Write) -> io::Result<()> {
    let name = Source { path: path.to_owned(), text: String::new() };
    let (path, stem) = (escaped(from_here(path)), escaped(name.stem()));
    writeln!(out, "    <testcase classname=\"{path}\" name=\"{stem}\" file=\"{path}\">")
}

fn drawn(finding: &Finding<'_>) -> String {
    let region = finding.region();
    let it = finding.diagnostic;
    let place = format!("{}:{}:{}", finding.path(), region.line, region.column);
    format!("{}[{}] {place}: {}\n", it.severity.name(), it.code, finding.text())
}

fn lines(text: &str) -> String {
    text.lines().flat_map(|line| [escaped(line), "\n".to_owned()]).collect()
}

/// One visible line that is no markup. XML has no way to write the two characters that are none.
fn escaped(text: &str) -> String {
    let visible = Untrusted(text).terminal().to_string();
    let visible = visible.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
    visible.replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}
