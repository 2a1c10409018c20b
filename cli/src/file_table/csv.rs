//! CSV records (RFC 4180): the first names the columns, every other has as many fields.
//!
//! A field tells no text from a number, so its spelling decides; an empty one is NULL, quoted or not.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read};

use anyhow::bail;
use csv::{ErrorKind, Position, ReaderBuilder, StringRecord};

use super::infer::number;
use super::spelled::{Records, Spelling};
use crate::screen::count;

pub(super) fn read(input: impl Read, delimiter: u8, records: &mut Records) -> anyhow::Result<()> {
    let input = Lines::new(input);
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(input);
    let mut record = StringRecord::new();
    if !reader.read_record(&mut record).map_err(|error| said(&error, reader.get_ref()))? {
        return Ok(());
    }
    record.iter().try_for_each(|name| records.add_column(name))?;
    let columns = record.len();
    while reader.read_record(&mut record).map_err(|error| said(&error, reader.get_ref()))? {
        let line = reader.get_ref().of(record.position());
        if record.len() != columns {
            let found = count(record.len(), "field", "fields");
            bail!("line {line} has {found} and the header has {columns}; quote fields that hold the delimiter");
        }
        records.begin(line)?;
        for (place, field) in record.iter().enumerate() {
            records.put(place, spelling(field), field)?;
        }
    }
    Ok(())
}

/// The bytes of a file and where its lines end. The parser tells where a record began to be looked for, which is before
/// the end of the record before and before blank lines.
struct Lines<R> {
    inner: R,
    len: u64,
    last: u8,
    ends: RefCell<Ends>,
}

/// The ends of the lines that have been read and not passed yet.
struct Ends {
    line: u64,
    /// Where the line feed is, and whether a carriage return is before it.
    ahead: VecDeque<(u64, bool)>,
}

impl<R> Lines<R> {
    fn new(inner: R) -> Self {
        Self { inner, len: 0, last: 0, ends: RefCell::new(Ends { line: 1, ahead: VecDeque::new() }) }
    }

    /// The line on which the record begins that was looked for from there. Positions only grow.
    fn of(&self, position: Option<&Position>) -> u64 {
        let Some(mut at) = position.map(Position::byte) else { return 0 };
        let mut ends = self.ends.borrow_mut();
        while let Some((end, after_return)) = ends.ahead.front().copied() {
            let is_rest_of_line_end = end == at || (end == at + 1 && after_return);
            if end >= at && !is_rest_of_line_end {
                break;
            }
            at = at.max(end + 1);
            ends.ahead.pop_front();
            ends.line += 1;
        }
        ends.line
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(into)?;
        for byte in &into[..len] {
            if *byte == b'\n' {
                self.ends.get_mut().ahead.push_back((self.len, self.last == b'\r'));
            }
            self.last = *byte;
            self.len += 1;
        }
        Ok(len)
    }
}

fn spelling(field: &str) -> Spelling {
    match field {
        "" => Spelling::Null,
        "true" | "false" => Spelling::Boolean,
        text => number(text).unwrap_or(Spelling::Text),
    }
}

fn said<R>(error: &csv::Error, lines: &Lines<R>) -> anyhow::Error {
    match error.kind() {
        ErrorKind::Utf8 { pos, .. } => {
            let line = lines.of(pos.as_ref());
            anyhow::anyhow!("line {line} is not UTF-8 text; convert the file, with iconv for one")
        }
        _ => anyhow::anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &[u8]) -> anyhow::Result<Records> {
        let mut records = Records::default();
        read(text, b',', &mut records)?;
        records.finish()?;
        Ok(records)
    }

    #[test]
    fn fields_may_hold_line_breaks_and_lines_are_still_counted() {
        let records = read_text(b"a,b\r\n1,\"x\r\ny, \"\"z\"\"\"\r\n\r\n007,\r\n").unwrap();
        let cells: Vec<_> = records.columns.iter().map(|it| (it.cell(0), it.cell(1))).collect();
        assert_eq!(cells[0], ((Spelling::Integer, "1"), (Spelling::Text, "007")));
        assert_eq!(cells[1], ((Spelling::Text, "x\r\ny, \"z\""), (Spelling::Null, "")));
        assert_eq!(records.lines, [2, 5]);
    }

    #[test]
    fn errors_name_the_line() {
        let error = |text: &[u8]| read_text(text).unwrap_err().to_string();
        assert!(error(b"a,b\n1,2\n\n3\n").starts_with("line 4 has 1 field "), "{}", error(b"a,b\n1,2\n\n3\n"));
        assert!(error(b"a,b\n1,2,3\n").starts_with("line 2 has 3 fields"));
        assert!(error(b"a\n1\n\xff\n").starts_with("line 3 is not UTF-8"));
    }
}
