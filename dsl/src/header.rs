//! The rule header: `-- @key: value` lines above the SELECT.
//!
//! ```text
//! file        = header sql
//! header      = 1*( annotation / plain )      contiguous lines at the top that start with "--"
//! annotation  = "-- @" key ":" [SP value] EOL *continuation
//! continuation= "--" 2*SP text EOL            two or more spaces after the dashes
//! list item   = continuation whose text starts with "- "
//! key         = lowercase letters, digits, "-"
//! ```
//!
//! A value has no escapes: it is the rest of the line, so spans are exact and nothing needs quoting. The grammar is a
//! property of lines, which a reader of lines says more plainly than tokens and parser combinators would.

mod fixes;
mod tags;

use serde_json::json;

use crate::alert::Level;
use crate::diagnostic::{Diagnostic, Safety, Source, Span, nearest};
use crate::types::{MICROS_PER_SEC, parse_interval};

/// Every key, in the order in which the canonical header lists them.
pub const KEYS: [&str; 16] = [
    "id",
    "title",
    "level",
    "status",
    "description",
    "tags",
    "author",
    "date",
    "modified",
    "platform",
    "falsepositives",
    "references",
    "related",
    "dedup",
    "owner",
    "runbook",
];

/// How long the same key counts up one alert when the header does not say.
pub const DEDUP_WINDOW_DEFAULT_MICROS: i64 = 3_600 * MICROS_PER_SEC;

/// One `-- @key: value` as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Annotation {
    /// The key without `@`.
    pub key: String,
    /// The place of `@key`.
    pub key_span: Span,
    /// The value's lines, each with its place; the first is the rest of the annotation's own line.
    pub lines: Vec<(String, Span)>,
}

impl Annotation {
    /// The place of the whole value.
    pub fn value_span(&self) -> Span {
        let filled = || self.lines.iter().filter(|(text, _)| !text.is_empty());
        match (filled().next(), filled().next_back()) {
            (Some((_, first)), Some((_, last))) => first.start..last.end,
            _ => self.key_span.clone(),
        }
    }

    fn text(&self) -> String {
        let filled: Vec<_> = self.lines.iter().map(|(text, _)| text.as_str()).collect();
        filled.join("\n").trim().to_owned()
    }

    /// The items of a list: `- item` lines, or comma separated.
    pub(crate) fn items(&self) -> Vec<(String, Span)> {
        let mut items = Vec::new();
        for (text, span) in &self.lines {
            if let Some(item) = text.strip_prefix("- ") {
                items.push((item.trim().to_owned(), span.start + 2..span.end));
                continue;
            }
            let mut start = span.start;
            for part in text.split(',') {
                let trimmed = part.trim();
                if !trimmed.is_empty() {
                    let lead = part.len() - part.trim_start().len();
                    items.push((trimmed.to_owned(), start + lead..start + lead + trimmed.len()));
                }
                start += part.len() + 1;
            }
        }
        items
    }
}

/// How far a rule has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// New, untested.
    Experimental,
    /// Being tried.
    Test,
    /// Tested, in use.
    Stable,
    /// Replaced.
    Deprecated,
    /// Cannot work at present.
    Unsupported,
}

impl Status {
    const ALL: [(&'static str, Self); 5] = [
        ("experimental", Self::Experimental),
        ("test", Self::Test),
        ("stable", Self::Stable),
        ("deprecated", Self::Deprecated),
        ("unsupported", Self::Unsupported),
    ];
}

/// What the header says, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The rule's UUID, never reused.
    pub id: String,
    /// What an alert is called, with `{column}` for values of the row.
    pub title: Template,
    /// How grave a match is.
    pub level: Level,
    /// How far the rule has come.
    pub status: Status,
    /// What it finds and why that matters, in Markdown.
    pub description: String,
    /// `attack.tXXXX[.YYY]`, `attack.<tactic>`, `cve.…`.
    pub tags: Vec<String>,
    /// Who wrote it.
    pub author: Option<String>,
    /// linux, macos, windows.
    pub platform: Vec<String>,
    /// What else may match.
    pub falsepositives: Vec<String>,
    /// Where to read more.
    pub references: Vec<String>,
    /// `@dedup`, with the place of each column.
    pub dedup: Option<DedupKey>,
}

/// `@dedup: columns for duration`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DedupKey {
    /// Output columns whose values together are the key.
    pub columns: Vec<(String, Span)>,
    /// How long, from the first raise, the same key counts up one alert.
    pub window_micros: i64,
}

/// A title with holes for the row's values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// Text and holes in turn.
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// Text as it is.
    Text(String),
    /// The value of an output column, with its place in the header.
    Column(String, Span),
}

impl Template {
    /// The title with `value` asked for each hole.
    pub fn render(&self, value: impl Fn(&str) -> String) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Column(column, _) => value(column),
            })
            .collect()
    }

    fn parse(text: &str, at: usize) -> Self {
        let mut parts = Vec::new();
        let (mut rest, mut offset) = (text, at);
        while let Some(open) = rest.find('{') {
            let Some(close) = rest[open..].find('}') else { break };
            if open > 0 {
                parts.push(Part::Text(rest[..open].to_owned()));
            }
            let column = &rest[open + 1..open + close];
            parts.push(Part::Column(column.to_owned(), offset + open..offset + open + close + 1));
            offset += open + close + 1;
            rest = &rest[open + close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Self { parts }
    }
}

/// The annotations at the top of `source` and where its SQL begins. A file without any has no header.
pub fn read(source: &Source, diagnostics: &mut Vec<Diagnostic>) -> (Vec<Annotation>, usize) {
    let mut annotations: Vec<Annotation> = Vec::new();
    let mut sql_start = 0;
    let mut continues = false;
    for (start, line) in lines(&source.text) {
        let Some(body) = line.strip_prefix("--") else {
            if line.trim().is_empty() && annotations.is_empty() {
                continue;
            }
            sql_start = start;
            break;
        };
        sql_start = start + line.len();
        if body.starts_with('\t') {
            let message = "tab after `--` in the rule header";
            diagnostics.push(Diagnostic::error("DE104", start + 2..start + 3, message).help("use spaces"));
        } else if let Some(annotation) = annotation(body, start + 2) {
            annotations.push(annotation);
            continues = true;
        } else if continues && body.starts_with("  ") {
            let text = body.trim();
            let at = start + 2 + (body.len() - body.trim_start().len());
            let last = annotations.last_mut().expect("a continuation follows an annotation");
            last.lines.push((text.to_owned(), at..at + text.len()));
        } else {
            continues = false;
        }
    }
    late_annotations(source, &annotations, sql_start, diagnostics);
    (annotations, sql_start)
}

fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    text.split_inclusive('\n').map(move |line| {
        let at = start;
        start += line.len();
        (at, line.trim_end_matches(['\n', '\r']))
    })
}

fn annotation(body: &str, at: usize) -> Option<Annotation> {
    let after = body.strip_prefix(" @")?;
    let colon = after.find(':')?;
    let key = &after[..colon];
    let is_key = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if key.is_empty() || !key.chars().all(is_key) {
        return None;
    }
    let value = &after[colon + 1..];
    let text = value.trim();
    let start = at + 2 + colon + 1 + (value.len() - value.trim_start().len());
    Some(Annotation {
        key: key.to_owned(),
        key_span: at + 1..at + 2 + colon,
        lines: vec![(text.to_owned(), start..start + text.len())],
    })
}

fn late_annotations(source: &Source, header: &[Annotation], sql_start: usize, diagnostics: &mut Vec<Diagnostic>) {
    for (start, late) in below(&source.text, sql_start) {
        let message = format!("annotation `@{}` below the SQL", late.key);
        let diagnostic = Diagnostic::error("DE105", late.key_span, message);
        let taken = header.iter().any(|annotation| annotation.key == late.key);
        diagnostics.push(if taken {
            diagnostic.help("the header has one already: remove this one")
        } else {
            let edits = fixes::moved(&source.text, start, sql_start);
            diagnostic.fix("annotations stand above the first SQL token", edits, Safety::Safe)
        });
    }
}

/// The annotations from `sql_start` on, each with the start of its line.
fn below(text: &str, sql_start: usize) -> impl Iterator<Item = (usize, Annotation)> {
    lines(text).filter(move |(start, _)| *start >= sql_start).filter_map(|(start, line)| {
        let trimmed = line.trim_start();
        let lead = line.len() - trimmed.len();
        Some((start, annotation(trimmed.strip_prefix("--")?, start + lead + 2)?))
    })
}

/// Checks the annotations; nothing is returned where an error stands in the way.
pub fn check(source: &Source, annotations: &[Annotation], diagnostics: &mut Vec<Diagnostic>) -> Option<Header> {
    let errors_before = diagnostics.len();
    for (at, annotation) in annotations.iter().enumerate() {
        unknown_key(annotation, diagnostics);
        if let Some(first) = annotations[..at].iter().find(|other| other.key == annotation.key) {
            let message = format!("`@{}` is given twice", annotation.key);
            diagnostics.push(
                Diagnostic::error("DE111", annotation.key_span.clone(), message)
                    .context(first.key_span.clone(), "first here")
                    .help("one of them has to go; lists continue on lines of their own: `--   - item`"),
            );
        }
    }
    let (_, sql_start) = read(source, &mut Vec::new());
    let late = below(&source.text, sql_start).map(|(_, annotation)| annotation.key).collect();
    let reader = Reader { source, annotations, late };
    let id = reader.required("id", diagnostics);
    let title = reader.required("title", diagnostics);
    let level = reader.required("level", diagnostics);
    let status = reader.required("status", diagnostics);
    let description = reader.required("description", diagnostics);
    let tags = reader.required("tags", diagnostics);
    let platform = reader.required("platform", diagnostics);

    let levels: Vec<_> = Level::ALL.iter().map(|level| (level.name(), *level)).collect();
    let header = Header {
        id: id.map(|id| uuid(id, diagnostics)).unwrap_or_default(),
        title: title.map(|title| Template::parse(&title.lines[0].0, title.lines[0].1.start)).unwrap_or_default(),
        level: level.and_then(|level| choice(level, &levels, diagnostics)).unwrap_or(Level::Low),
        status: status.and_then(|status| choice(status, &Status::ALL, diagnostics)).unwrap_or(Status::Test),
        description: description.map(Annotation::text).unwrap_or_default(),
        tags: tags.map(|tags| tags::read(tags, diagnostics)).unwrap_or_default(),
        author: reader.find("author").map(Annotation::text),
        platform: platform.map(|it| platforms(it, diagnostics)).unwrap_or_default(),
        falsepositives: reader.list("falsepositives"),
        references: reader.list("references"),
        dedup: reader.find("dedup").and_then(|dedup| dedup_key(dedup, diagnostics)),
    };
    let sound = !diagnostics[errors_before..].iter().any(|d| d.severity == crate::diagnostic::Severity::Error);
    sound.then_some(header)
}

struct Reader<'a> {
    source: &'a Source,
    annotations: &'a [Annotation],
    /// The keys that stand below the SQL.
    late: Vec<String>,
}

impl<'a> Reader<'a> {
    fn find(&self, key: &str) -> Option<&'a Annotation> {
        self.annotations.iter().find(|annotation| annotation.key == key)
    }

    fn list(&self, key: &str) -> Vec<String> {
        let items = self.find(key).map(Annotation::items).unwrap_or_default();
        items.into_iter().map(|(item, _)| item).collect()
    }

    fn required(&self, key: &str, diagnostics: &mut Vec<Diagnostic>) -> Option<&'a Annotation> {
        let found = self.find(key);
        // A misspelt or misplaced key was reported as such; that it is missing in its right place is no second mistake.
        let misspelt = || self.annotations.iter().any(|it| is_unknown(&it.key) && meant(&it.key) == Some(key));
        if found.is_none() && (self.late.iter().any(|late| late == key) || misspelt()) {
            return None;
        }
        let empty = found.is_none_or(|annotation| annotation.text().is_empty());
        if empty {
            let span = found.map_or(0..0, |annotation| annotation.key_span.clone());
            let message =
                if found.is_some() { format!("`@{key}` is empty") } else { format!("the rule header has no `@{key}`") };
            diagnostics.push(if key == "id" {
                let edit = fixes::new_id(self.source, self.annotations);
                Diagnostic::error("DE101", span, message).fix("give it one of its own", vec![edit], Safety::Safe)
            } else {
                Diagnostic::error("DE106", span, message).help(example(key))
            });
            return None;
        }
        found
    }
}

fn example(key: &str) -> String {
    let value = match key {
        "id" => return "write `-- @id: ` and the UUID that `uuidgen` prints".to_owned(),
        "title" => "{name} runs from {executable_path}",
        "level" => "informational, low, medium, high or critical",
        "status" => "experimental, test, stable, deprecated or unsupported",
        "description" => "What it finds, and why that matters.",
        "tags" => "attack.execution, attack.t1059.004",
        _ => "linux",
    };
    format!("write `-- @{key}: {value}`")
}

fn is_unknown(key: &str) -> bool {
    !KEYS.contains(&key)
}

/// The key that an unknown one is near to.
fn meant(key: &str) -> Option<&'static str> {
    nearest(key, KEYS)
}

fn unknown_key(annotation: &Annotation, diagnostics: &mut Vec<Diagnostic>) {
    if !is_unknown(&annotation.key) {
        return;
    }
    let message = format!("unknown annotation `@{}`", annotation.key);
    let diagnostic = Diagnostic::error("DE102", annotation.key_span.clone(), message);
    diagnostics.push(match meant(&annotation.key) {
        Some(known) => diagnostic.patch(format!("did you mean `@{known}`?"), format!("@{known}")),
        None => diagnostic.help(format!("known annotations: {}", KEYS.join(", "))),
    });
}

fn uuid(annotation: &Annotation, diagnostics: &mut Vec<Diagnostic>) -> String {
    let text = annotation.text().to_ascii_lowercase();
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    let is_uuid = groups == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    if !is_uuid {
        let message = format!("`{text}` is not a UUID");
        diagnostics.push(Diagnostic::error("DE107", annotation.value_span(), message).help(example("id")));
    }
    text
}

fn choice<T: Copy>(annotation: &Annotation, of: &[(&str, T)], diagnostics: &mut Vec<Diagnostic>) -> Option<T> {
    let text = annotation.text();
    if let Some((_, value)) = of.iter().find(|(name, _)| *name == text) {
        return Some(*value);
    }
    let names: Vec<_> = of.iter().map(|(name, _)| *name).collect();
    let message = format!("`{text}` is not a value of `@{}`", annotation.key);
    let diagnostic = Diagnostic::error("DE108", annotation.value_span(), message);
    diagnostics.push(match nearest(&text, names.iter().copied()) {
        Some(known) => diagnostic.patch(format!("did you mean `{known}`?"), known),
        None => diagnostic.help(format!("one of {}", names.join(", "))),
    });
    None
}

/// linux, macos, windows; DE108 for others.
fn platforms(annotation: &Annotation, diagnostics: &mut Vec<Diagnostic>) -> Vec<String> {
    const NAMES: [&str; 3] = ["linux", "macos", "windows"];
    let items = annotation.items();
    for (item, span) in items.iter().filter(|(item, _)| !NAMES.contains(&item.as_str())) {
        let meant = match item.to_ascii_lowercase().as_str() {
            "mac" | "osx" | "darwin" => Some("macos"),
            "win" | "win32" | "win64" => Some("windows"),
            other => nearest(other, NAMES),
        };
        let diagnostic = Diagnostic::error("DE108", span.clone(), format!("`{item}` is not a platform"));
        diagnostics.push(match meant {
            Some(known) => diagnostic.patch(format!("did you mean `{known}`?"), known),
            None => diagnostic.help(format!("one of {}", NAMES.join(", "))),
        });
    }
    items.into_iter().map(|(item, _)| item).collect()
}

fn dedup_key(annotation: &Annotation, diagnostics: &mut Vec<Diagnostic>) -> Option<DedupKey> {
    let (text, span) = &annotation.lines[0];
    let (columns, window) = match text.rsplit_once(" for ") {
        Some((columns, window)) => (columns, Some(window)),
        None => (text.as_str(), None),
    };
    let window_micros = match window {
        None => Some(DEDUP_WINDOW_DEFAULT_MICROS),
        Some(window) => parse_interval(window).filter(|micros| *micros > 0),
    };
    let Some(window_micros) = window_micros else {
        let message = format!("`{}` is not a duration", window.unwrap_or_default());
        let at = span.end - window.unwrap_or_default().len()..span.end;
        diagnostics.push(Diagnostic::error("DE109", at, message).help("write `-- @dedup: parent_id, user_id for 30m`"));
        return None;
    };
    let list =
        Annotation { lines: vec![(columns.to_owned(), span.start..span.start + columns.len())], ..annotation.clone() };
    Some(DedupKey { columns: list.items(), window_micros })
}

/// The header in one canonical spelling: keys in order, values trimmed; part of a rule's revision.
pub fn canonical(annotations: &[Annotation]) -> String {
    let lists = ["tags", "platform", "falsepositives", "references", "related"];
    let mut entries: Vec<_> = annotations
        .iter()
        .map(|annotation| {
            let order = KEYS.iter().position(|key| *key == annotation.key);
            let value = if lists.contains(&annotation.key.as_str()) {
                annotation.items().into_iter().map(|(item, _)| item).collect()
            } else {
                json!(annotation.text())
            };
            (order, json!([annotation.key, value]).to_string())
        })
        .collect();
    entries.sort();
    entries.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn titles_have_holes() {
        let template = Template::parse("{a} ran {b}{c} }{", 10);
        let columns: Vec<_> = template
            .parts
            .iter()
            .filter_map(|part| match part {
                Part::Column(name, span) => Some((name.as_str(), span.clone())),
                Part::Text(_) => None,
            })
            .collect();
        assert_eq!(columns, [("a", 10..13), ("b", 18..21), ("c", 21..24)]);
        assert_eq!(template.render(str::to_uppercase), "A ran BC }{");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(-- ?@?[a-z]{0,6}:?[ \\t,{}-]{0,4}[a-zé]{0,3}\n){0,6}[a-zS;]{0,5}") {
            let source = Source::query(&text);
            let mut diagnostics = Vec::new();
            let (annotations, start) = read(&source, &mut diagnostics);
            check(&source, &annotations, &mut diagnostics);
            prop_assert!(text.is_char_boundary(start));
            for diagnostic in &diagnostics {
                diagnostic.render(&source, crate::diagnostic::Style::default());
            }
        }
    }
}
