//! Rows for programs: JSON with the types kept, and the one way to standard output.
//!
//! `ndjson` is one object a line; `json` is one array of them. A reader that has seen enough (`| head`) ends the
//! output without a message.

use std::io::{self, BufWriter, ErrorKind, IsTerminal, Write};

use anyhow::bail;
use serde_json::{Map, Value};

use crate::failed;
use crate::pager::Paged;
use crate::screen::Screen;

/// The form of what goes to standard output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Columns for people, fitted to the terminal
    Table,
    /// The same with lines around
    Box,
    /// RFC 4180 for spreadsheets: names first, NULL empty, control characters made visible
    Csv,
    /// One array of objects; status: one object
    Json,
    /// One object a line
    Ndjson,
}

/// The machine forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Json {
    /// `[…]`
    Array,
    /// A line each.
    Lines,
}

impl Format {
    /// Which of the machine forms this is, if it is one.
    pub(crate) fn json(self) -> Option<Json> {
        match self {
            Self::Table | Self::Box | Self::Csv => None,
            Self::Json => Some(Json::Array),
            Self::Ndjson => Some(Json::Lines),
        }
    }

    /// What was asked for, where the answer is a text or a tree and not a table.
    pub(crate) fn without_tables(asked: Option<Self>) -> anyhow::Result<Option<Self>> {
        match asked {
            Some(Self::Box | Self::Csv) => {
                bail!("this answer is no table: ask for `-o table`, `-o json` or `-o ndjson`")
            }
            _ => Ok(asked),
        }
    }

    /// The machine form, for a command whose answer is a text where none is asked for.
    pub(crate) fn of_text(asked: Option<Self>) -> anyhow::Result<Option<Json>> {
        Ok(Self::without_tables(asked)?.and_then(Self::json))
    }

    /// What a command that gives data does when nobody says: a table for people, lines for programs.
    pub(crate) fn of_data(asked: Option<Self>) -> Self {
        asked.unwrap_or(if io::stdout().is_terminal() { Self::Table } else { Self::Ndjson })
    }
}

/// Writes to standard output through `write`, or to the pager where it is longer than the terminal; nothing is given
/// where the reader went away before the end.
pub(crate) fn print<T>(
    screen: &Screen,
    write: impl FnOnce(&mut dyn Write) -> io::Result<T>,
) -> anyhow::Result<Option<T>> {
    let mut out = BufWriter::new(Paged::new(screen));
    let written = write(&mut out).and_then(|value| out.flush().map(|()| value));
    // What is still buffered has nobody to go to where the reader went away.
    let (paged, _unread) = out.into_parts();
    match written.and_then(|value| paged.finish().map(|()| value)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(None),
        Err(error) => Err(failed("cannot write to standard output", error, "free space there, or write elsewhere")),
    }
}

/// Writes objects in a machine form.
pub(crate) fn write_json(
    out: &mut dyn Write,
    form: Json,
    objects: impl Iterator<Item = Map<String, Value>>,
) -> io::Result<()> {
    if form == Json::Lines {
        for object in objects {
            serde_json::to_writer(&mut *out, &object)?;
            out.write_all(b"\n")?;
        }
        return Ok(());
    }
    let mut before = "[";
    for object in objects {
        out.write_all(before.as_bytes())?;
        serde_json::to_writer(&mut *out, &object)?;
        before = ",\n ";
    }
    out.write_all(if before == "[" { b"[]\n" } else { b"]\n" })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(form: Json, count: usize) -> String {
        let objects = (0..count).map(|at| Map::from_iter([("n".to_owned(), at.into())]));
        let mut out = Vec::new();
        write_json(&mut out, form, objects).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn arrays_and_lines() {
        assert_eq!(written(Json::Array, 0), "[]\n");
        assert_eq!(written(Json::Array, 2), "[{\"n\":0},\n {\"n\":1}]\n");
        assert_eq!(written(Json::Lines, 0), "");
        assert_eq!(written(Json::Lines, 2), "{\"n\":0}\n{\"n\":1}\n");
    }
}
