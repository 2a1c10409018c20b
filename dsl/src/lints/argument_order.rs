use super::compared::How;
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) static ARGUMENT_ORDER: Lint = Lint {
    code: "DE705",
    name: "argument-order",
    severity: Severity::Note,
    summary: "A pattern asks for arguments in one order.",
    why: "Most programs take their options in any order: `nc -e /bin/sh -l` does what `nc -l -e /bin/sh` does, and a \
          pattern such as `%-l%-e%` finds one of them. Two conditions joined by AND find both.",
    fires: Example::Statement(
        "SELECT proc_id, name FROM processes WHERE name = 'nc' AND command_line LIKE '% -l% -e %'",
    ),
    silent: Example::Statement(
        "SELECT proc_id, name\nFROM processes\n\
         WHERE name = 'nc' AND command_line LIKE '% -l%' AND command_line LIKE '% -e %'",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for it in subject.compared().iter().filter(|it| it.column.name == "command_line" && it.wanted) {
        let wildcard = match it.how {
            How::Like => "%",
            How::Glob => "*",
            How::Regexp => ".*",
            How::Equal | How::EqualNoCase => continue,
        };
        let options = it.texts[0].split(wildcard).filter(|piece| piece.trim_start().starts_with('-')).count();
        if options > 1 {
            let finding = ARGUMENT_ORDER.at(it.whole.clone(), "the same options in another order are not found");
            found.push(finding.help("ask for each by a condition of its own, joined by AND"));
        }
    }
}
