use super::compared::How;
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};

pub(super) static WILDCARD_EQUALITY: Lint = Lint {
    code: "DE216",
    name: "wildcard-equality",
    severity: Severity::Warning,
    summary: "A text with a wildcard at its end is compared with `=` or IN.",
    why: "`%` and `*` stand for other characters only behind LIKE and GLOB. Behind `=` and in IN they are themselves, so \
          the comparison is true for texts that hold that very character: hardly ever.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE name = 'python%'"),
    silent: Example::Statement("SELECT proc_id, name FROM processes WHERE name LIKE 'python%'"),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for it in subject.compared().iter().filter(|it| matches!(it.how, How::Equal | How::EqualNoCase)) {
        let Some((text, wildcard)) = it.texts.iter().find_map(|text| Some((text, wildcard(text)?))) else { continue };
        let operator = if wildcard == '%' { "LIKE" } else { "GLOB" };
        let finding = WILDCARD_EQUALITY
            .at(it.whole.clone(), format!("`{wildcard}` in '{text}' is an ordinary character here"))
            .label(format!("true only where `{}` holds a `{wildcard}`", it.column.name));
        let written = subject.text(it.whole.clone());
        let equals = written.find('=').filter(|_| it.texts.len() == 1 && written.matches('=').count() == 1);
        let alone = equals.filter(|at| !matches!(written.as_bytes().get(at.wrapping_sub(1)), Some(b'!' | b'<' | b'>')));
        found.push(match alone {
            Some(at) => {
                let at = it.whole.start + at;
                let edits = vec![(at..at + 1, operator.to_owned())];
                finding.fix(format!("{operator} takes it as a wildcard"), edits, Safety::ChangesMeaning)
            }
            None => finding.help(format!("write `{} {operator} '{text}'` instead", it.column.name)),
        });
    }
}

/// The wildcard with which a text begins or ends; a text of one character is meant as it is.
fn wildcard(text: &str) -> Option<char> {
    let ends = ['%', '*'].into_iter().find(|c| text.starts_with(*c) || text.ends_with(*c));
    ends.filter(|_| text.chars().count() > 1)
}
