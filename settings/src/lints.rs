//! What the codes of settings mean, told as those of rules are.

use daemoneye_dsl::diagnostic::{Diagnostic, Severity, Source};
use daemoneye_dsl::lints::{Check, Example, Lint};

use crate::check::{TEXT_LEN_MAX, check_text};
use crate::tree::Form;

/// Every code, in order.
pub static ALL: &[&Lint] = &[&NO_FORM, &UNKNOWN, &TYPE, &NOT_ALLOWED, &TOO_LONG];

static NO_FORM: Lint = Lint {
    code: "DE901",
    name: "settings-form",
    severity: Severity::Error,
    summary: "A file of settings is not in the form that its name says.",
    why: "The end of the name (.toml, .yaml, .yml or .json) says how the file is read. What does not read so could mean \
          anything, so nothing of it is used.",
    fires: Example::File("[collector]\ninterval = 5 s\n"),
    silent: Example::File("[collector]\ninterval = \"5s\"\n"),
    check: Check::Compiler,
};

static UNKNOWN: Lint = Lint {
    code: "DE902",
    name: "unknown-setting",
    severity: Severity::Error,
    summary: "Nothing of that name can be set.",
    why: "A misspelt setting that was passed over would leave the default in force, and nobody would know. \
          `daemoneye-cli config show` lists what can be set.",
    fires: Example::File("[collector]\nintervall = \"5s\"\n"),
    silent: Example::File("[collector]\ninterval = \"5s\"\n"),
    check: Check::Compiler,
};

static TYPE: Lint = Lint {
    code: "DE903",
    name: "setting-type",
    severity: Severity::Error,
    summary: "A value has another type than the setting.",
    why: "A list, a text, a number and a table are different things, and none is turned into another.",
    fires: Example::File("[rules]\npaths = 7\n"),
    silent: Example::File("[rules]\npaths = [\"/etc/daemoneye/rules\"]\n"),
    check: Check::Compiler,
};

static NOT_ALLOWED: Lint = Lint {
    code: "DE904",
    name: "setting-value",
    severity: Severity::Error,
    summary: "A value is not among those that the setting takes.",
    why: "Words come from a list, and numbers and times have a least and a greatest value; the finding says which. \
          docs/settings.md has them all.",
    fires: Example::File("[collector]\nmode = \"span\"\n"),
    silent: Example::File("[collector]\nmode = \"spawn\"\n"),
    check: Check::Compiler,
};

static TOO_LONG: Lint = Lint {
    code: "DE905",
    name: "settings-too-long",
    severity: Severity::Error,
    summary: "A file of settings is longer than 64 KiB.",
    why: "Everything has a bound, and settings that long are a mistake: perhaps the wrong file was named.",
    fires: Example::Made { shown: "# more than 64 KiB", statement: || "#".repeat(TEXT_LEN_MAX + 1) },
    silent: Example::File("[collector]\ninterval = \"5s\"\n"),
    check: Check::Compiler,
};

/// The bad example of a code as a file, and everything found in it.
pub fn example(lint: &Lint) -> (Source, Vec<Diagnostic>) {
    read(lint.fires)
}

fn read(example: Example) -> (Source, Vec<Diagnostic>) {
    let text = match example {
        Example::Statement(text) | Example::File(text) => text.to_owned(),
        Example::Made { statement, .. } => statement(),
    };
    let found = check_text(Form::Toml, &text);
    (Source { path: "daemoneye.toml".to_owned(), text }, found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_example_has_its_code_or_not() {
        for lint in ALL {
            let codes = |example| read(example).1.iter().map(|it| it.code).collect::<Vec<_>>();
            assert!(codes(lint.fires).contains(&lint.code), "{} does not fire: {:?}", lint.code, codes(lint.fires));
            assert!(codes(lint.silent).is_empty(), "the good example of {}: {:?}", lint.code, codes(lint.silent));
        }
    }
}
