//! A text of settings against the list: what it sets, and everything that is wrong with it.

use daemoneye_dsl::diagnostic::{Diagnostic, Fix, Safety, Span, nearest};
use figment::value::Value;

use crate::list::{ALL, Setting, find};
use crate::tree::{self, Entry, Form, Node, Tree};
use crate::value::{Fault, TYPE};

/// Bytes of one file.
pub const TEXT_LEN_MAX: usize = 64 * 1024;
/// Findings that are told of one file.
const FINDINGS_LEN_MAX: usize = 100;

/// DE902: nothing of that name can be set.
const UNKNOWN: &str = "DE902";
/// DE905: the text is longer than a file of settings may be.
const TOO_LONG: &str = "DE905";

/// What a text sets: the setting, its value, and where.
pub(crate) struct Set {
    pub(crate) setting: &'static Setting,
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// Everything that is wrong with a text of settings: unknown names, wrong types, values that are not allowed.
pub fn check_text(form: Form, text: &str) -> Vec<Diagnostic> {
    read(form, text).1
}

/// What the text sets, and what is wrong with it.
pub(crate) fn read(form: Form, text: &str) -> (Vec<Set>, Vec<Diagnostic>) {
    if text.len() > TEXT_LEN_MAX {
        let message = format!("the file has {} bytes", text.len());
        let finding = Diagnostic::error(TOO_LONG, 0..0, message).help(format!("{TEXT_LEN_MAX} bytes are the most"));
        return (vec![], vec![finding]);
    }
    let (entries, findings) = tree::read(form, text);
    let mut reading = Reading { text, sets: vec![], findings };
    reading.table("", &entries);
    let Reading { sets, mut findings, .. } = reading;
    findings.sort_by_key(|finding| finding.span().start);
    if findings.len() > FINDINGS_LEN_MAX {
        let more = findings.len() - FINDINGS_LEN_MAX;
        findings.truncate(FINDINGS_LEN_MAX);
        let end = text.len()..text.len();
        findings.push(Diagnostic::error(UNKNOWN, end, format!("{more} more findings are not shown")));
    }
    (sets, findings)
}

/// DE902 for a name that nothing has.
pub(crate) fn unknown(name: &str, span: Span) -> Diagnostic {
    let finding = Diagnostic::error(UNKNOWN, span, format!("unknown setting `{name}`"));
    finding.help(meant(name).map_or_else(
        || "`daemoneye-cli config show` lists what can be set".to_owned(),
        |meant| format!("did you mean `{meant}`?"),
    ))
}

/// The setting or table that was probably meant: one with a similar key in the same table, or with this key in another.
fn meant(name: &str) -> Option<&'static str> {
    let tables = ALL.iter().filter_map(|setting| Some(setting.name.rsplit_once('.')?.0));
    let known = || ALL.iter().map(|setting| setting.name).chain(tables.clone());
    let (table, key) = name.rsplit_once('.').unwrap_or(("", name));
    let parts = |known: &'static str| known.rsplit_once('.').unwrap_or(("", known));
    let beside = known().filter(|known| parts(known).0 == table);
    let similar = nearest(key, beside.clone().map(|known| parts(known).1));
    similar
        .and_then(|key| beside.clone().find(|known| parts(known).1 == key))
        .or_else(|| known().find(|known| parts(known).1 == key))
}

/// What is wrong with a value, over the place that it has.
pub(crate) fn finding(setting: &Setting, fault: Fault, span: Span) -> Diagnostic {
    let span = fault.span.unwrap_or(span);
    let finding = Diagnostic::error(fault.code, span, format!("`{}`: {}", setting.name, fault.message));
    finding.help(fault.help)
}

struct Reading<'a> {
    text: &'a str,
    sets: Vec<Set>,
    findings: Vec<Diagnostic>,
}

impl Reading<'_> {
    /// The entries of the table of that name.
    fn table(&mut self, name: &str, entries: &[Entry]) {
        // Where the text is broken, what was read of it may lack its key; that is said already.
        let is_broken = !self.findings.is_empty();
        for entry in entries.iter().filter(|entry| !entry.key.is_empty() || !is_broken) {
            let full = if name.is_empty() { entry.key.clone() } else { format!("{name}.{}", entry.key) };
            let below = format!("{full}.");
            if let Some(setting) = find(&full) {
                self.value(setting, &entry.node);
            } else if ALL.iter().any(|setting| setting.name.starts_with(&below)) {
                match &entry.node.value {
                    Tree::Table(entries) => self.table(&full, entries),
                    Tree::Nothing => {}
                    other => self.no_table(&full, other, &entry.node),
                }
            } else {
                let finding = self.unknown(name, &full, entry);
                self.findings.push(finding);
            }
        }
    }

    fn value(&mut self, setting: &'static Setting, node: &Node) {
        match setting.kind.of_file(node) {
            Ok(value) => self.sets.push(Set { setting, value, span: node.span.clone() }),
            Err(fault) => {
                let meant = fault.meant.clone();
                let mut finding = finding(setting, fault, node.span.clone());
                let quoted = self.text.get(node.span.clone()).is_some_and(|it| it.starts_with(['"', '\'']));
                if let (Some(meant), Some(help)) = (meant, &mut finding.help) {
                    let meant = if quoted { format!("\"{meant}\"") } else { meant };
                    help.fix = Some(replacement(&node.span, meant));
                }
                self.findings.push(finding);
            }
        }
    }

    fn no_table(&mut self, name: &str, found: &Tree, node: &Node) {
        let message = format!("`{name}` is a table, and this is {}", found.name());
        let first = ALL.iter().find(|setting| setting.name.starts_with(name)).map_or(name, |setting| setting.name);
        let finding = Diagnostic::error(TYPE, node.span.clone(), message);
        self.findings.push(finding.help(format!("set what is in it, such as `{first}`")));
    }

    fn unknown(&self, table: &str, full: &str, entry: &Entry) -> Diagnostic {
        let mut finding = unknown(full, entry.span.clone());
        let is_plain = self.text.get(entry.span.clone()).is_some_and(|written| written == entry.key);
        // What was meant can take the place of the key only where it lies in the same table.
        let meant_here = meant(full).and_then(|meant| match table {
            "" => Some(meant),
            _ => meant.strip_prefix(table)?.strip_prefix('.'),
        });
        if let (Some(key), Some(help), true) =
            (meant_here.filter(|key| !key.contains('.')), &mut finding.help, is_plain)
        {
            help.fix = Some(replacement(&entry.span, key.to_owned()));
        }
        finding
    }
}

/// A setting that is refused sets nothing: mending it changes nothing that holds.
fn replacement(span: &Span, text: String) -> Fix {
    Fix { edits: vec![(span.clone(), text)], safety: Safety::Safe }
}
