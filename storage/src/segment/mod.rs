//! Sealed segments: many rows of history, by column, written once.
//!
//! ```text
//! header   [version: u8][generation: u32][end: u64][rows: u32][bytes in the file, without the header: u64][bytes of the longest column: u64][columns: u16] n × [name: u8, bytes][encoding: u8][nulls: u32][values: u32]
//!          [least: i64][greatest: i64][pages][codes][index][grams]                             each a piece, or none
//! numbers  page table: of every 4096 rows [least: i64][greatest: i64][has NULLs: u8][piece]    numbers.rs
//! texts    page table: [first text: u32][piece]                                                texts.rs
//! ```
//!
//! | encoding   | pages                                                    | codes                    | index                |
//! |------------|----------------------------------------------------------|--------------------------|----------------------|
//! | none       | every value is NULL                                      |                          |                      |
//! | numbers    | numbers, moments, truths                                 |                          | hash → rows          |
//! | ids        | texts of 16 hex digits, as numbers                       |                          | hash → rows          |
//! | dictionary | the different texts, ordered with ASCII letters folded   | of each row, as numbers  | code → rows          |
//! | texts      | the different texts of some thousand rows, in order,     | of each row, as numbers  | hash of folded → rows|
//! |            | then those of the next                                   |                          |                      |
//!
//! Texts that are like each other lie together, so that they compress, and so that who wants those of one program reads
//! little else. That they come by rows as well lets go of a page once the rows that it is for were read. A text that
//! another column says (`derived`) has the code behind the last.
//!
//! `grams` say which pages of texts can hold a literal. A piece proves its own bytes (`pieces`); a piece that is damaged
//! makes a [`Fault`], and no bytes make a reader panic.

mod bits;
pub(crate) mod bytes;
mod check;
mod derived;
mod grams;
pub(crate) mod lies;
mod numbers;
mod pages;
mod pairs;
pub(crate) mod pieces;
mod read;
mod spans;
mod texts;
mod values;
mod write;

pub(crate) use pieces::{ChunkTable, Edition, Fault, in_file};
pub(crate) use read::{Reading, rounded};
pub(crate) use spans::Spans;
pub(crate) use write::{Rows, write};

use bytes::{Bytes, Wrong};
use pieces::Piece;

/// Rows that one segment has at most.
pub(crate) const SEGMENT_ROWS_MAX: u32 = 128 << 10;
/// Rows of a page of numbers; what a scan holds at a time.
pub(crate) const PAGE_ROWS: u32 = 4096;
const VERSION: u8 = 2;
/// Where a header says behind which number the segment ends.
const END_AT: usize = 5;
/// Bits of the hash that an index of numbers or of unlike texts goes by.
const HASH_BITS: u32 = 24;

/// How a column lies in a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    #[default]
    None = 0,
    Numbers = 1,
    Ids = 2,
    Dictionary = 3,
    Texts = 4,
}

/// A column of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Column {
    name: String,
    encoding: Encoding,
    nulls: u32,
    /// How many texts the pages have.
    values: u32,
    /// Of numbers; of ids and codes as numbers too.
    least: i64,
    greatest: i64,
    pages: Piece,
    codes: Piece,
    index: Piece,
    grams: Piece,
}

/// What the header of a segment says.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    edition: Edition,
    end: u64,
    rows: u32,
    bytes: u64,
    longest: u64,
    columns: Vec<Column>,
}

/// The number behind that of the last row of a segment, as its first chunk says: nothing is proven yet.
pub(crate) fn claimed_end(chunk: &[u8]) -> Option<u64> {
    let header = pieces::unproven(chunk)?;
    header.get(END_AT..)?.first_chunk().map(|end| u64::from_le_bytes(*end))
}

impl Segment {
    /// Reads the header in the segment's first chunk.
    pub(crate) fn open(first: u64, chunk: &[u8]) -> Result<Self, Fault> {
        let segment = pieces::read_header(first, chunk, |header| read_header(first, header))?;
        Ok(Self { bytes: segment.bytes.saturating_add(in_file(chunk.len())), ..segment })
    }

    pub(crate) fn rows(&self) -> u32 {
        self.rows
    }

    /// The number behind that of its last row.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// How often what it holds was written, at most.
    pub(crate) fn generation(&self) -> u32 {
        self.edition.generation
    }

    /// Bytes that it takes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes of the texts of its longest column, as they are read.
    pub(crate) fn longest(&self) -> u64 {
        self.longest
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// How many values of a column are not NULL.
    pub(crate) fn present(&self, column: &str) -> u32 {
        self.column(column).map_or(0, |column| self.rows.saturating_sub(column.nulls))
    }

    /// The least and the greatest value of a column of numbers or moments, if it has any; and whether it has NULLs.
    pub(crate) fn range(&self, column: &str) -> (Option<(i64, i64)>, bool) {
        match self.column(column) {
            Some(column) if column.encoding == Encoding::Numbers => {
                (Some((column.least, column.greatest)), column.nulls > 0)
            }
            _ => (None, true),
        }
    }
}

fn put_header(
    Edition { generation, .. }: Edition,
    end: u64,
    rows: u32,
    bytes: u64,
    longest: u64,
    columns: &[Column],
) -> Vec<u8> {
    let mut out = vec![VERSION];
    out.extend_from_slice(&generation.to_le_bytes());
    out.extend_from_slice(&end.to_le_bytes());
    out.extend_from_slice(&rows.to_le_bytes());
    out.extend_from_slice(&bytes.to_le_bytes());
    out.extend_from_slice(&longest.to_le_bytes());
    out.extend_from_slice(&u16::try_from(columns.len()).expect("tables are narrow").to_le_bytes());
    for column in columns {
        out.push(u8::try_from(column.name.len()).expect("names are short"));
        out.extend_from_slice(column.name.as_bytes());
        out.push(column.encoding as u8);
        out.extend_from_slice(&column.nulls.to_le_bytes());
        out.extend_from_slice(&column.values.to_le_bytes());
        out.extend_from_slice(&column.least.to_le_bytes());
        out.extend_from_slice(&column.greatest.to_le_bytes());
        for piece in [column.pages, column.codes, column.index, column.grams] {
            piece.put(&mut out);
        }
    }
    out
}

fn read_header(first: u64, header: &[u8]) -> Result<Segment, Wrong> {
    let mut header = Bytes(header);
    if header.u8()? != VERSION {
        return Err("it has a version that is not known");
    }
    let (generation, end, rows) = (header.u32()?, header.u64()?, header.u32()?);
    if rows > SEGMENT_ROWS_MAX || end.checked_sub(first).is_none_or(|span| span < u64::from(rows)) {
        return Err("it claims too many rows");
    }
    let (bytes, longest) = (header.u64()?, header.u64()?);
    let count = u16::from(header.u8()?) | u16::from(header.u8()?) << 8;
    let column = |header: &mut Bytes<'_>| {
        let len = usize::from(header.u8()?);
        let name = std::str::from_utf8(header.take(len)?).map_err(|_| "a column's name is not UTF-8")?.to_owned();
        let encoding = match header.u8()? {
            0 => Encoding::None,
            1 => Encoding::Numbers,
            2 => Encoding::Ids,
            3 => Encoding::Dictionary,
            4 => Encoding::Texts,
            _ => return Err("a column has an unknown encoding"),
        };
        let (nulls, values) = (header.u32()?, header.u32()?);
        if nulls > rows || values > rows {
            return Err("a column claims more or fewer rows than there are");
        }
        Ok(Column {
            name,
            encoding,
            nulls,
            values,
            least: header.i64()?,
            greatest: header.i64()?,
            pages: Piece::read(header)?,
            codes: Piece::read(header)?,
            index: Piece::read(header)?,
            grams: Piece::read(header)?,
        })
    };
    let columns = (0..count).map(|_| column(&mut header)).collect::<Result<_, Wrong>>()?;
    Ok(Segment { edition: Edition { first, generation }, end, rows, bytes, longest, columns })
}

/// The key of a number in an index. Two numbers with one key cost time, not answers.
fn hash_of_number(value: i64) -> u32 {
    let spread = value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u32::try_from(spread >> (u64::BITS - HASH_BITS)).expect("that many bits")
}

/// The key of a text whose ASCII letters are folded.
fn hash_of_text(folded: &str) -> u32 {
    crc32c::crc32c(folded.as_bytes()) >> (u32::BITS - HASH_BITS)
}
