//! JSON records: one object a line, or objects one after the other or in an array, over as many lines as they like.
//!
//! Blank lines are skipped. A key that stands twice in one object is an error: readers of JSON disagree on what that
//! means. Objects and arrays within a record become JSON text without white space.

use std::fmt;
use std::io::{BufRead, Read};

use anyhow::{Context, bail};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::infer::number;
use super::spelled::{Records, Spelling};

/// Bytes that one line may have.
const LINE_LEN_MAX: u64 = 64 << 20;
/// Bytes that a document of several lines may have.
const DOCUMENT_LEN_MAX: u64 = 1 << 30;

pub(super) fn read(mut input: impl BufRead, records: &mut Records) -> anyhow::Result<()> {
    let mut bytes = Vec::new();
    let mut line: u64 = 0;
    loop {
        line += 1;
        if !next_line(&mut input, line, &mut bytes)? {
            return Ok(());
        }
        let is_first = records.lines.is_empty();
        if is_first && bytes.trim_ascii_start().starts_with(b"[") {
            return read_document(bytes, input, line, records);
        }
        let text = text_of(&bytes, line)?;
        if text.is_empty() {
            continue;
        }
        match read_record(text, line, records) {
            Ok(()) => {}
            Err(error) if is_first && error.is_eof() => {
                *records = Records::default();
                return read_document(bytes, input, line, records);
            }
            Err(error) => bail!("line {line}: {}", said(&error)),
        }
    }
}

/// Reads the line of that number in place of the one before; false at the end.
pub(super) fn next_line(input: &mut impl BufRead, line: u64, bytes: &mut Vec<u8>) -> anyhow::Result<bool> {
    bytes.clear();
    let len = input.by_ref().take(LINE_LEN_MAX + 1).read_until(b'\n', bytes)?;
    if len as u64 > LINE_LEN_MAX {
        bail!("line {line} is longer than {} MiB", LINE_LEN_MAX >> 20);
    }
    Ok(len > 0)
}

/// The text of a line, without the white space around it.
pub(super) fn text_of(bytes: &[u8], line: u64) -> anyhow::Result<&str> {
    let text = str::from_utf8(bytes)
        .with_context(|| format!("line {line} is not UTF-8 text; convert the file, with iconv for one"))?;
    Ok(text.trim_ascii())
}

/// Values over several lines, the first of which has been read.
fn read_document(mut bytes: Vec<u8>, input: impl Read, first_line: u64, records: &mut Records) -> anyhow::Result<()> {
    input.take(DOCUMENT_LEN_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > DOCUMENT_LEN_MAX {
        bail!("a document of more than {} GiB; write one object a line, with jq -c", DOCUMENT_LEN_MAX >> 30);
    }
    let text = str::from_utf8(&bytes).map_err(|error| {
        let line = first_line + newlines(&bytes[..error.valid_up_to()]);
        anyhow::anyhow!("line {line} is not UTF-8 text; convert the file, with iconv for one")
    })?;
    let mut place = Place { text, at: 0, line: first_line };
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value.map_err(|error| {
            let line = first_line - 1 + error.line() as u64;
            anyhow::anyhow!("line {line}: {}", said(&error))
        })?;
        if value.get().starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(value.get())?;
            elements.into_iter().try_for_each(|element| place.read(element.get(), records))?;
        } else {
            place.read(value.get(), records)?;
        }
    }
    Ok(())
}

/// How far a document has been read.
struct Place<'a> {
    text: &'a str,
    at: usize,
    line: u64,
}

impl Place<'_> {
    /// Reads one record, which is a part of the text.
    fn read(&mut self, record: &str, records: &mut Records) -> anyhow::Result<()> {
        let at = record.as_ptr().addr() - self.text.as_ptr().addr();
        self.line += newlines(&self.text.as_bytes()[self.at..at]);
        self.at = at;
        let line = self.line;
        read_record(record, line, records)
            .map_err(|error| anyhow::anyhow!("line {}: {}", line + error.line() as u64 - 1, said(&error)))
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// What is wrong, without the place in what was a part of the file.
pub(super) fn said(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    match text.strip_suffix(&place) {
        Some(what) if error.column() > 0 => format!("{what} at column {}", error.column()),
        _ => text,
    }
}

/// Reads an object into a new record.
pub(super) fn read_record(text: &str, line: u64, records: &mut Records) -> serde_json::Result<()> {
    records.begin(line).map_err(serde_json::Error::custom)?;
    let mut json = serde_json::Deserializer::from_str(text);
    Object { records }.deserialize(&mut json)?;
    json.end()
}

/// Reads an object into the last record.
struct Object<'r> {
    records: &'r mut Records,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object, which a record is")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<(), A::Error> {
        while let Some(place) = object.next_key_seed(Key { records: self.records })? {
            let value: &RawValue = object.next_value()?;
            put(self.records, place, value.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

/// Finds the column of a key.
struct Key<'r> {
    records: &'r mut Records,
}

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<usize, E> {
        self.records.column(name).map_err(E::custom)
    }
}

/// Puts a value, as it is spelled, into the last record.
fn put(records: &mut Records, place: usize, json: &str) -> anyhow::Result<()> {
    let new = match json.as_bytes() {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'\\') => {
            records.put(place, Spelling::Text, &json[1..json.len() - 1])
        }
        [b'"', ..] => match serde_json::from_str::<String>(json) {
            Ok(text) => records.put(place, Spelling::Text, &text),
            Err(_) => bail!("the text of `{}` has an escape that is no character", records.columns[place].name),
        },
        [b'{' | b'[', ..] => records.put(place, Spelling::Json, &compact(json)),
        [b't' | b'f', ..] => records.put(place, Spelling::Boolean, json),
        [b'n', ..] => records.put(place, Spelling::Null, ""),
        _ => records.put(place, number(json).unwrap_or(Spelling::Real), json),
    }?;
    if !new {
        bail!("the key `{}` stands twice in one object", records.columns[place].name);
    }
    Ok(())
}

/// JSON without the white space around its tokens.
fn compact(json: &str) -> String {
    let (mut in_text, mut escaped) = (false, false);
    let keep = |c: &char| {
        let keep = in_text || !c.is_ascii_whitespace();
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_text = !in_text,
            _ => {}
        }
        keep
    };
    json.chars().filter(keep).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, cells as spelled, and lines.
    type Column = (String, Vec<String>, Vec<u64>);

    fn columns(text: &str) -> anyhow::Result<Vec<Column>> {
        let mut records = Records::default();
        read(text.as_bytes(), &mut records)?;
        records.finish()?;
        let lines = records.lines.clone();
        let cells = |column: &super::super::spelled::Spelled| {
            (0..column.kinds.len()).map(|record| column.cell(record).1.to_owned()).collect()
        };
        Ok(records.columns.iter().map(|column| (column.name.clone(), cells(column), lines.clone())).collect())
    }

    #[test]
    fn lines_arrays_and_drawn_objects_are_the_same_records() {
        let expected = |lines: [u64; 2]| {
            let column =
                |name: &str, cells: [&str; 2]| (name.to_owned(), cells.map(str::to_owned).to_vec(), lines.to_vec());
            vec![column("a", ["1", "2"]), column("b", ["x \" y", ""]), column("c", ["", "{\"k\":[1,\" \\\" \"]}"])]
        };
        let (one, two) = (r#"{"a":1,"b":"x \" y"}"#, r#"{"a": 2, "c": { "k" : [1, " \" "] } }"#);
        assert_eq!(columns(&format!("{one}\r\n\r\n{two}")).unwrap(), expected([1, 3]));
        assert_eq!(columns(&format!("\n[{one},\n\n{two}]\n")).unwrap(), expected([2, 4]));
        let drawn = one.replace(',', ",\n");
        assert_eq!(columns(&format!("{drawn}\n{two}")).unwrap(), expected([1, 3]));
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("{\"a\":1}\n{\"a\":}\n", "line 2: expected value at column 6"),
            ("{\"a\":1}\n\n[1]\n", "line 3: invalid type: sequence, expected an object, which a record is"),
            ("{\"a\":1}\n{\"b\":1,\"b\":2}\n", "line 2: the key `b` stands twice in one object"),
            ("{\"a\":1} {\"a\":2}\n", "line 1: trailing characters at column 9"),
            ("[{\"a\":1},\n{\"a\":1},\n7]", "line 3: invalid type: integer `7`"),
            ("[{\"a\":1},\n{\"a\" 1}]", "line 2: expected `:`"),
            ("{\"a\":1}\n{\"a\":01}\n", "line 2: invalid number"),
            ("{\"a\":\"\\ud800\"}\n", "line 1: the text of `a` has an escape that is no character"),
        ] {
            let error = format!("{:#}", columns(text).unwrap_err());
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let error = read(&b"{\"a\":1}\n{\"a\":\"\xff\"}\n"[..], &mut Records::default()).unwrap_err();
        assert!(error.to_string().starts_with("line 2 is not UTF-8"), "{error}");
    }
}
