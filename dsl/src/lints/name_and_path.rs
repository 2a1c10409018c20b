use super::compared::{Compared, How};
use super::{Check, Example, Lint, Subject};
use crate::diagnostic::{Diagnostic, Safety, Severity};

pub(super) static NAME_AND_PATH: Lint = Lint {
    code: "DE222",
    name: "name-and-path",
    severity: Severity::Warning,
    summary: "A name is compared with a path, or a path with a name.",
    why: "`name` is the short name of a process, such as `bash`; `executable_path` begins with `/` (on Windows with a \
          drive) and holds every folder. One never equals the other, so the comparison is never true, or, negated, \
          always.",
    fires: Example::Statement("SELECT proc_id, name FROM processes WHERE name = '/usr/bin/nc'"),
    silent: Example::Statement("SELECT proc_id, name FROM processes WHERE name = 'nc'"),
    check: Check::Rule(check),
};

fn check(subject: &Subject<'_>, found: &mut Vec<Diagnostic>) {
    for it in subject.compared() {
        let instead = match &*it.column.name {
            "name" if it.texts.iter().any(|text| is_path(it, text)) => "executable_path",
            "executable_path" if it.texts.iter().any(|text| is_name(it, text)) => "name",
            _ => continue,
        };
        let message = match instead {
            "name" => "`executable_path` is compared with a bare name",
            _ => "`name` is compared with a path",
        };
        let never = if it.wanted { "never true" } else { "always true" };
        let written = subject.text(it.at.clone());
        let qualifier = written.rsplit_once('.').map(|(table, _)| format!("{table}.")).unwrap_or_default();
        let all = it.texts.iter().all(|text| if instead == "name" { is_name(it, text) } else { is_path(it, text) });
        let finding = NAME_AND_PATH.at(it.whole.clone(), message).label(never);
        found.push(if all {
            let edits = vec![(it.at.clone(), format!("{qualifier}{instead}"))];
            finding.fix(format!("compare `{instead}`"), edits, Safety::ChangesMeaning)
        } else {
            finding.help(format!("compare `{instead}` with these"))
        });
    }
}

/// Kernel threads have names such as `kworker/0:1`; no name begins with a slash.
fn is_path(it: &Compared<'_>, text: &str) -> bool {
    match it.how {
        How::Equal | How::EqualNoCase => text.starts_with('/') || text.get(1..3) == Some(":\\"),
        How::Like => ["/", "%/", "%\\"].iter().any(|start| text.starts_with(start)),
        How::Glob => ["/", "*/"].iter().any(|start| text.starts_with(start)),
        How::Regexp => text.starts_with("^/"),
    }
}

fn is_name(it: &Compared<'_>, text: &str) -> bool {
    let bare = !text.is_empty() && !text.contains(['/', '\\', '%', '*', '?', '[', '_', ' ', ':']);
    bare && matches!(it.how, How::Equal | How::EqualNoCase | How::Like | How::Glob)
}
