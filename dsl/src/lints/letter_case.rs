use super::compared::How;
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};

pub(super) static LETTER_CASE: Lint = Lint {
    code: "DE215",
    name: "letter-case",
    severity: Severity::Warning,
    summary: "Letters compare in a way that the platform does not.",
    why: "LIKE ignores the case of ASCII letters, `=` and IN do not. On Linux `/USR/BIN` is another folder than \
          `/usr/bin`, and anybody may make it: an exception written with NOT LIKE lets it through, one written with NOT \
          GLOB does not. On Windows both are the same folder: a path or a name compared with `=` is missed as soon as \
          somebody writes it in other letters; `COLLATE NOCASE` or LIKE finds it.",
    fires: Example::Statement(
        "SELECT proc_id, executable_path\nFROM processes\nWHERE name = 'cron' AND executable_path NOT LIKE '/usr/sbin/%'",
    ),
    silent: Example::Statement(
        "SELECT proc_id, executable_path\nFROM processes\nWHERE name = 'cron' AND executable_path NOT GLOB '/usr/sbin/*'",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    let (windows, exact) = (subject.runs_on("windows"), subject.runs_on("linux"));
    for it in subject.compared() {
        let is_path = matches!(&*it.column.name, "executable_path" | "cwd");
        let lettered = it.texts.iter().any(|text| text.bytes().any(|byte| byte.is_ascii_alphabetic()));
        if !lettered {
            continue;
        }
        if is_path && exact && it.how == How::Like && !it.wanted && it.texts[0].starts_with('/') {
            let finding = LETTER_CASE
                .at(it.whole.clone(), "an exception for a path ignores the case of letters")
                .label("also excepts the same path in other letters, which anybody may make");
            found.push(match subject.like_as_glob(&it.whole, it.texts[0]) {
                Some(edits) => finding.fix("GLOB is exact", edits, Safety::ChangesMeaning),
                None => finding.help("GLOB is exact"),
            });
        } else if (is_path || it.column.name == "name") && windows && it.how == How::Equal && it.wanted {
            let column = &it.column.name;
            found.push(
                LETTER_CASE
                    .at(
                        it.at.clone(),
                        format!("`{column}` is compared exactly, and Windows ignores the case of letters"),
                    )
                    .fix(
                        "compare without case",
                        vec![(it.at.end..it.at.end, " COLLATE NOCASE".to_owned())],
                        Safety::ChangesMeaning,
                    ),
            );
        }
    }
}
