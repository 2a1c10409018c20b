//! A file of settings as a tree whose every key and value knows its place, whatever form it is written in.
//!
//! JSON is read as the part of YAML that it is, after it was found to be JSON; so three forms need two parsers that
//! know places.

use std::fmt;
use std::path::Path;

use daemoneye_dsl::diagnostic::{Diagnostic, Span};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use toml::de::{DeTable, DeValue};

/// How deep values may nest: settings need three levels.
const DEPTH_MAX: usize = 32;

/// A form that settings are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// <https://toml.io>
    Toml,
    /// <https://yaml.org>
    Yaml,
    /// <https://json.org>
    Json,
}

impl Form {
    /// The ends of file names, in the order in which files are looked for.
    pub const EXTENSIONS: [(&'static str, Self); 4] =
        [("toml", Self::Toml), ("yaml", Self::Yaml), ("yml", Self::Yaml), ("json", Self::Json)];

    /// The form that a file's name tells.
    pub fn of(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        Self::EXTENSIONS.iter().find(|(own, _)| *own == extension).map(|(_, form)| *form)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        }
    }
}

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) span: Span,
    pub(crate) value: Tree,
}

/// A value.
#[derive(Debug)]
pub(crate) enum Tree {
    Nothing,
    Switch(bool),
    /// A number, as it is written.
    Number(String),
    Moment,
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

/// A key of a table, its place and its value.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) span: Span,
    pub(crate) node: Node,
}

/// DE901: the text is not what its form asks for.
const NO_FORM: &str = "DE901";

/// Reads `text`. What could be read in spite of errors is there too.
pub(crate) fn read(form: Form, text: &str) -> (Vec<Entry>, Vec<Diagnostic>) {
    match form {
        Form::Toml => toml(text),
        Form::Yaml => yaml(text, text),
        Form::Json => match json_fault(text) {
            Some(fault) => (vec![], vec![fault]),
            // A tab in JSON can only stand between words, where YAML wants spaces.
            None => yaml(text, &text.replace('\t', " ")),
        },
    }
}

fn malformed(form: Form, span: Span, message: &str) -> Diagnostic {
    let help = match form {
        Form::Toml => "write `key = value` lines below `[table]` lines",
        Form::Yaml => "write `key: value` lines, indented below their table",
        Form::Json => "write one object of `\"key\": value` pairs",
    };
    Diagnostic::error(NO_FORM, span, format!("this is not {}: {message}", form.name())).help(help)
}

fn toml(text: &str) -> (Vec<Entry>, Vec<Diagnostic>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let faults = errors.iter().map(|error| {
        let span = error.span().unwrap_or(0..0);
        malformed(Form::Toml, span, error.message().trim())
    });
    (entries(table.into_inner()), faults.collect())
}

/// In the order in which they are written.
fn entries(table: DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<_> = table
        .into_iter()
        .map(|(key, value)| {
            let (span, place) = (key.span(), value.span());
            let node = Node { span: place, value: from_toml(value.into_inner()) };
            Entry { key: key.into_inner().into_owned(), span, node }
        })
        .collect();
    entries.sort_by_key(|entry| entry.span.start);
    entries
}

fn from_toml(value: DeValue<'_>) -> Tree {
    match value {
        DeValue::String(text) => Tree::Text(text.into_owned()),
        DeValue::Integer(number) => Tree::Number(number.to_string()),
        DeValue::Float(number) => Tree::Number(number.to_string()),
        DeValue::Boolean(value) => Tree::Switch(value),
        DeValue::Datetime(_) => Tree::Moment,
        DeValue::Array(items) => {
            let items = items.into_iter();
            Tree::List(items.map(|item| Node { span: item.span(), value: from_toml(item.into_inner()) }).collect())
        }
        DeValue::Table(table) => Tree::Table(entries(table)),
    }
}

/// Reads `spaced`, which has its characters where `text` has them.
fn yaml(text: &str, spaced: &str) -> (Vec<Entry>, Vec<Diagnostic>) {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: DEPTH_MAX },
        with_snippet: false,
        strict_booleans: true,
    };
    let read = serde_saphyr::from_str_with_options::<Option<Placed>>(spaced, options);
    match read {
        Ok(None) => (vec![], vec![]),
        Ok(Some(Placed(node))) => match node.value {
            Tree::Table(entries) => (entries, vec![]),
            Tree::Nothing => (vec![], vec![]),
            _ => (vec![], vec![malformed(Form::Yaml, node.span, "the whole is no table of settings")]),
        },
        Err(error) => {
            let span = error.location().map_or(0..0, |place| span_of(&place));
            let message = error.without_snippet().to_string();
            let message = message.split(" at line ").next().unwrap_or_default().to_owned();
            (vec![], vec![malformed(Form::Yaml, clamped(span, text), &message)])
        }
    }
}

fn json_fault(text: &str) -> Option<Diagnostic> {
    let read = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text);
    let error = read.err()?;
    let line_start: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = line_start + error.column().saturating_sub(1);
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    Some(malformed(Form::Json, clamped(at..at + 1, text), message))
}

fn clamped(span: Span, text: &str) -> Span {
    span.start.min(text.len())..span.end.min(text.len())
}

fn span_of(place: &serde_saphyr::Location) -> Span {
    let usize_of = |number: Option<u64>| number.and_then(|number| usize::try_from(number).ok()).unwrap_or_default();
    let start = usize_of(place.span().byte_offset());
    start..start.saturating_add(usize_of(place.span().byte_len()).max(1))
}

/// A node of YAML.
struct Placed(Node);

impl<'de> Deserialize<'de> for Placed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Bare>::deserialize(deserializer)?;
        Ok(Self(Node { span: span_of(&spanned.referenced), value: spanned.value.0 }))
    }
}

struct Bare(Tree);

impl<'de> Deserialize<'de> for Bare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Switch(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Tree, E> {
        Ok(Tree::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let mut list = Vec::new();
        while let Some(Placed(node)) = items.next_element()? {
            list.push(node);
        }
        Ok(Tree::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Tree, A::Error> {
        let mut table = Vec::new();
        while let Some(Placed(key)) = entries.next_key()? {
            let name = match key.value {
                Tree::Text(name) => name,
                other => return Err(A::Error::custom(format!("a key is {}, not a word", other.name()))),
            };
            let Placed(node) = entries.next_value()?;
            table.push(Entry { key: name, span: key.span, node });
        }
        Ok(Tree::Table(table))
    }
}

impl Tree {
    /// What it is, for people.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Nothing => "empty",
            Self::Switch(_) => "a switch, true or false",
            Self::Number(_) => "a number",
            Self::Moment => "a moment",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(form: Form, text: &str) -> Vec<(String, &str)> {
        let (entries, faults) = read(form, text);
        assert!(faults.is_empty(), "{faults:?}");
        let mut found = Vec::new();
        for entry in &entries {
            found.push((entry.key.clone(), &text[entry.span.clone()]));
            let Tree::Table(below) = &entry.node.value else { continue };
            for entry in below {
                found.push((entry.key.clone(), &text[entry.node.span.clone()]));
            }
        }
        found
    }

    #[test]
    fn each_form_knows_the_places_of_keys_and_values() {
        let toml = "# é\ndata = '/d'\n[collector]\ninterval = \"5s\"\nredact_names = ['a']\n";
        let expected =
            [("data", "data"), ("collector", "collector"), ("interval", "\"5s\""), ("redact_names", "['a']")];
        let expected = expected.map(|(key, text)| (key.to_owned(), text));
        assert_eq!(places(Form::Toml, toml), expected);
        let json = "{\n\t\"data\": \"/d\",\n\t\"collector\": {\"interval\": \"5s\", \"redact\": \"é\", \"mode\": 7}\n}";
        let found = places(Form::Json, json);
        assert_eq!(
            found.iter().map(|(_, text)| *text).collect::<Vec<_>>(),
            ["\"data\"", "\"collector\"", "\"5s\"", "\"é\"", "7"]
        );
        let yaml = "# é\ndata: /d\ncollector:\n  interval: \"5s\"\n  redact: é\n  mode: 7\n";
        let found = places(Form::Yaml, yaml);
        assert_eq!(found.iter().map(|(_, text)| *text).collect::<Vec<_>>(), ["data", "collector", "\"5s\"", "é", "7"]);
    }

    #[test]
    fn an_empty_file_sets_nothing() {
        for (form, text) in [(Form::Toml, ""), (Form::Yaml, ""), (Form::Yaml, "# nothing\n"), (Form::Json, "{}")] {
            assert!(places(form, text).is_empty(), "{form:?}");
        }
    }
}
