//! Records as they are written, column by column, until all have been read and their types can be told.
//!
//! A cell keeps its spelling: text without its quotes, everything else as JSON writes it. So whatever a column turns out
//! to be, nothing of it was lost on the way, and a column of TEXT is made without touching its bytes again.
//!
//! Must hold: `ends`, `kinds` and `text` of a column agree; a column holds no cell beyond the record that is being
//! read; everything together stays below [`BYTES_MAX`], so that offsets of 32 bits reach everywhere.

use std::collections::HashMap;

use anyhow::bail;

/// Bytes that the cells of one file may take, somewhat estimated.
pub(crate) const BYTES_MAX: usize = 2 << 30;
/// Records that one file may have.
pub(crate) const RECORDS_MAX: usize = 50_000_000;
/// Columns that one file may have.
pub(crate) const COLUMNS_MAX: usize = 4_096;
/// Bytes that a cell takes beside its text.
const CELL_BYTES: usize = 5;
/// Records between two looks at how much there is.
const LOOK_EVERY: usize = 1_024;

/// What a cell was when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// Absent, or `null`.
    Null = 0,
    /// `true` or `false`.
    Boolean = 1,
    /// A number without fraction and exponent that fits 64 bits.
    Integer = 2,
    /// Any other number.
    Real = 4,
    /// Text.
    Text = 8,
    /// An object or an array.
    Json = 16,
}

/// One column.
#[derive(Debug)]
pub(super) struct Spelled {
    pub(super) name: String,
    pub(super) kinds: Vec<Spelling>,
    /// Where the text of each cell ends.
    pub(super) ends: Vec<i32>,
    pub(super) text: String,
    /// The spellings that occur, as a set.
    pub(super) met: u8,
}

impl Spelled {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), kinds: Vec::new(), ends: Vec::new(), text: String::new(), met: 0 }
    }

    fn fill(&mut self, records: usize) {
        let end = self.ends.last().copied().unwrap_or(0);
        self.kinds.resize(records, Spelling::Null);
        self.ends.resize(records, end);
    }

    /// What the record's cell is and how it is spelled.
    pub(super) fn cell(&self, record: usize) -> (Spelling, &str) {
        let start = record.checked_sub(1).map_or(0, |before| self.ends[before]);
        (self.kinds[record], &self.text[at(start)..at(self.ends[record])])
    }
}

fn at(end: i32) -> usize {
    usize::try_from(end).expect("offsets are not negative")
}

/// Everything that was read of a file.
#[derive(Debug, Default)]
pub(super) struct Records {
    pub(super) columns: Vec<Spelled>,
    places: HashMap<String, usize>,
    /// The line on which each record begins.
    pub(super) lines: Vec<u64>,
    /// The column after the last one filled: records mostly have their fields in one order.
    next: usize,
    bytes: usize,
}

impl Records {
    /// Begins a record.
    pub(super) fn begin(&mut self, line: u64) -> anyhow::Result<()> {
        if self.lines.len() == RECORDS_MAX {
            bail!("line {line}: more than {RECORDS_MAX} records; take a part of the file");
        }
        if self.lines.len().is_multiple_of(LOOK_EVERY) {
            self.within_bytes(line)?;
        }
        self.lines.push(line);
        self.next = 0;
        Ok(())
    }

    /// The column of that name, made where there is none.
    pub(super) fn column(&mut self, name: &str) -> anyhow::Result<usize> {
        if self.columns.get(self.next).is_some_and(|column| column.name == name) {
            return Ok(self.next);
        }
        if let Some(place) = self.places.get(name) {
            return Ok(*place);
        }
        if self.columns.len() == COLUMNS_MAX {
            bail!("more than {COLUMNS_MAX} columns; leave out those that are not asked for");
        }
        let place = self.columns.len();
        self.columns.push(Spelled::new(name));
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    /// A column beside whatever others have its name.
    pub(super) fn add_column(&mut self, name: &str) -> anyhow::Result<()> {
        if self.columns.len() == COLUMNS_MAX {
            bail!("more than {COLUMNS_MAX} columns; leave out those that are not asked for");
        }
        self.columns.push(Spelled::new(name));
        Ok(())
    }

    /// Puts a cell into the record that was begun last; false where that has one in this column already.
    pub(super) fn put(&mut self, place: usize, kind: Spelling, text: &str) -> anyhow::Result<bool> {
        self.next = place + 1;
        let records = self.lines.len();
        let column = &mut self.columns[place];
        if column.kinds.len() == records {
            return Ok(false);
        }
        column.fill(records - 1);
        column.kinds.push(kind);
        column.text.push_str(text);
        column.met |= kind as u8;
        let Ok(end) = i32::try_from(column.text.len()) else { return too_much(self.lines[records - 1]) };
        column.ends.push(end);
        self.bytes += text.len();
        Ok(true)
    }

    /// Ends reading: every column has a cell for every record.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        self.within_bytes(self.lines.last().copied().unwrap_or(0))?;
        let records = self.lines.len();
        self.columns.iter_mut().for_each(|column| column.fill(records));
        Ok(())
    }

    fn within_bytes(&self, line: u64) -> anyhow::Result<()> {
        let beside = self.lines.len() * self.columns.len() * CELL_BYTES;
        if self.bytes + beside <= BYTES_MAX { Ok(()) } else { too_much(line) }
    }
}

fn too_much<T>(line: u64) -> anyhow::Result<T> {
    bail!("line {line}: more than {} GiB of cells; take a part of the file, with grep or jq", BYTES_MAX >> 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_ends_at_the_bounds() {
        let mut records = Records::default();
        for column in 0..COLUMNS_MAX {
            records.column(&column.to_string()).unwrap();
        }
        assert!(records.column("x").unwrap_err().to_string().contains("4096 columns"));
        records.bytes = BYTES_MAX;
        records.begin(7).unwrap();
        assert!(records.finish().unwrap_err().to_string().contains("line 7: more than 2 GiB"));
    }

    #[test]
    fn a_record_has_one_cell_of_a_column() {
        let mut records = Records::default();
        for line in 1..=3 {
            records.begin(line).unwrap();
            let (a, b) = (records.column("a").unwrap(), records.column("b").unwrap());
            if line == 2 {
                assert!(records.put(b, Spelling::Text, "x").unwrap());
                assert!(!records.put(b, Spelling::Text, "y").unwrap());
            }
            assert!(records.put(a, Spelling::Integer, "1").unwrap());
        }
        records.finish().unwrap();
        let b = &records.columns[1];
        assert_eq!([b.cell(0), b.cell(1), b.cell(2)].map(|cell| cell.1), ["", "x", ""]);
        assert_eq!(b.met, Spelling::Text as u8);
    }
}
