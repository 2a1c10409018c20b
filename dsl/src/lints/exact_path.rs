use super::compared::How;
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Severity};

pub(super) static EXACT_PATH: Lint = Lint {
    code: "DE703",
    name: "exact-path",
    severity: Severity::Note,
    summary: "The rule asks for one exact path of a program.",
    why: "A copy of the program under another path does the same and is not found: `cp /usr/bin/nc /tmp/n`. Distributions \
          put programs in different folders, too. Ask for what the program does, for its name as well, or for every path \
          but the expected ones.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE executable_path = '/usr/bin/nc'"),
    silent: Example::Statement(
        "SELECT proc_id, name FROM processes WHERE name = 'nc' OR basename(executable_path) = 'nc'",
    ),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for it in subject.compared() {
        let exact = matches!(it.how, How::Equal | How::EqualNoCase) && it.wanted;
        if exact && it.column.name == "executable_path" && it.texts.iter().any(|text| text.starts_with('/')) {
            let finding = EXACT_PATH.at(it.whole.clone(), "a copy of the program elsewhere is not found");
            found.push(finding.help("add what else tells it: basename(executable_path), `name`, its arguments"));
        }
    }
}
