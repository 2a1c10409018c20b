//! `docs/lints.md`: every code that a finding can have.

use std::fmt::Write;

use super::cell;
use crate::diagnostic::Safety;
use crate::lints::{ALL, Example, Lint};

const HEAD: &str = "\
# Findings

Made from the descriptions in `dsl/src/lints/`; `just reference` writes it anew. The examples run as tests. \
`daemoneye-cli lint` finds all of this, `daemoneye-cli lint --explain DE220` prints one entry.

An **error** does not compile, or must not run. A **warning** works, and probably not as meant; a **note** is worth \
knowing. A comment allows a warning or note, and must say why: `-- lint: allow(DE220) ppid is all that the file has`, behind \
the line, above it, or in the header for the whole file.

A fix that is **safe** leaves what the rule finds as it was (or the rule did not compile); one that **may change what is \
found** is applied only when asked for. Codes never change their meaning and are never used again. Those of settings (`DE9…`) \
are in [settings.md](settings.md).

";

const WRITTEN: &str = "a String takes every write";

pub(super) fn page() -> String {
    let mut out = String::from(HEAD);
    out.push_str("| code | name | severity | fix | what is found |\n|---|---|---|---|---|\n");
    for lint in ALL {
        let (code, name, severity) = (lint.code, lint.name, lint.severity.name());
        let anchor = code.to_lowercase();
        let (fix, what) = (fix(lint).unwrap_or_default(), cell(lint.summary));
        writeln!(out, "| [{code}](#{anchor}) | {name} | {severity} | {fix} | {what} |").expect(WRITTEN);
    }
    for lint in ALL {
        entry(lint, &mut out);
    }
    out
}

/// Of what kind the fix is that the example is offered.
fn fix(lint: &Lint) -> Option<&'static str> {
    let found = lint.fires.findings();
    let fix = found.iter().filter(|it| it.code == lint.code).find_map(|it| it.offered_fix())?;
    Some(match fix.safety {
        Safety::Safe => "safe",
        Safety::ChangesMeaning => "may change what is found",
    })
}

fn entry(lint: &Lint, out: &mut String) {
    let fix = fix(lint).map_or_else(String::new, |fix| format!(" · fix: {fix}"));
    let (code, name, severity) = (lint.code, lint.name, lint.severity.name());
    write!(out, "\n## {code}\n\n**{name}** · {severity}{fix}\n\n{}\n\n{}\n", lint.summary, lint.why).expect(WRITTEN);
    block("Has it", &lint.fires, out);
    block("Has it not", &lint.silent, out);
}

fn block(title: &str, example: &Example, out: &mut String) {
    // What cannot be seen is shown as the arrow that stands for it.
    let text = example.shown().trim_end().replace('\t', "→");
    write!(out, "\n{title}:\n\n```sql\n{text}\n```\n").expect(WRITTEN);
}
