//! Findings drawn over their text.

use std::io::{self, Write};

use daemoneye_dsl::diagnostic::{Severity, Style};

use crate::lint::linted::Linted;

pub(super) fn write(linted: &Linted, style: Style, out: &mut dyn Write) -> io::Result<()> {
    let shown = |severity: Severity| linted.shows_notes || severity > Severity::Note;
    let mut findings = linted.findings().filter(|it| shown(it.diagnostic.severity));
    findings.try_for_each(|it| writeln!(out, "{}\n", it.diagnostic.render(it.source, style)))
}
