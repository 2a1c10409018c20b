use super::compared::How;
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) static WINDOWS_CASE: Lint = Lint {
    code: "DE707",
    name: "windows-case",
    severity: Severity::Warning,
    summary: "A rule for Windows matches by a pattern that respects the case of letters.",
    why: "GLOB and REGEXP are exact, and Windows runs `POWERSHELL -EncodedCommand` as it runs `powershell -encodedcommand`: \
          other letters escape the rule. LIKE ignores case; a regular expression does with `(?i)` at its beginning.",
    fires: Example::File(
        "-- @id: 00000000-0000-4000-8000-000000000000\n-- @title: an example\n-- @level: low\n-- @status: test\n\
         -- @description: An example.\n-- @tags: attack.execution\n-- @platform: windows\n\
         SELECT proc_id, name FROM processes WHERE name LIKE 'powershell%' AND command_line REGEXP ' -e(nc)? '\n",
    ),
    silent: Example::File(
        "-- @id: 00000000-0000-4000-8000-000000000000\n-- @title: an example\n-- @level: low\n-- @status: test\n\
         -- @description: An example.\n-- @tags: attack.execution\n-- @platform: windows\n\
         SELECT proc_id, name FROM processes WHERE name LIKE 'powershell%' AND command_line REGEXP '(?i) -e(nc)? '\n",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    if !subject.runs_on("windows") {
        return;
    }
    for it in subject.compared().iter().filter(|it| it.wanted) {
        let text = it.texts.first().copied().unwrap_or_default();
        let lettered = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let help = match it.how {
            How::Glob => "LIKE ignores case",
            How::Regexp if !text.starts_with("(?i") => "begin the expression with (?i)",
            _ => continue,
        };
        if lettered {
            let finding = WINDOWS_CASE.at(it.whole.clone(), "other letters escape the pattern, and Windows takes them");
            found.push(finding.help(help));
        }
    }
}
