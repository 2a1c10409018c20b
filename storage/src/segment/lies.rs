//! Segments whose checksums are right and whose content is a lie: what fuzzing makes of bytes.
//!
//! Checksums keep chance out, so damage alone never reaches what lies behind them. Here everything that a writer could
//! have put there is taken from the input: how many rows a column claims, its tables, its pages, its indexes. Whoever
//! reads it gets values or a [`Fault`](super::Fault), whatever it says.

use arrow_array::{ArrayRef, BooleanArray};
use daemoneye_dsl::pattern::Literal;
use daemoneye_dsl::types::Value;

use super::bytes::{Bytes, Wrong};
use super::pieces::{Chunks, Edition, Piece};
use super::{Column, Encoding, PAGE_ROWS, Reading, Segment, Spans, put_header};
use crate::reader::Question;
use crate::tables::{HISTORY, SEGMENTS, builtin, segment_fields};
use crate::{Error, Reader, Scan, Store};

/// The number of the segment.
const ID: u64 = 1;
const COLUMNS_MAX: u8 = 6;
const ENTRIES_MAX: u8 = 4;

/// Reads a segment made of the bytes, in every way in which one is read.
pub fn segment(bytes: &[u8]) {
    thread_local! {
        static STORE: Store = Store::in_memory().expect("memory");
    }
    let Ok((columns, chunks)) = lie(&mut Bytes(bytes)) else { return };
    let read = STORE.with(|store| -> Result<(), Error> {
        let txn = store.begin()?;
        {
            let mut segments = txn.txn.open_table(SEGMENTS)?;
            for (number, chunk) in (0..).zip(&chunks) {
                segments.insert((ID, number), chunk.as_slice())?;
            }
            let Ok(header) = Segment::open(ID, &chunks[0]) else { return Ok(()) };
            let mut reading = Reading::new(&segments, header);
            for column in &columns {
                ask(&mut reading, column);
            }
        }
        // Damage that is found is an answer that says so, and nothing ends the scan.
        let table = daemoneye_dsl::tables::Catalog::builtin().table(HISTORY).expect("a table of the catalog").clone();
        let columns: Vec<usize> = (0..builtin(HISTORY).fields().len()).collect();
        txn.scan(&Scan::all(&table, &columns)).map(drop)
    });
    read.expect("a lie is damage of one part");
}

fn ask<T: super::ChunkTable>(reading: &mut Reading<'_, T>, column: &str) {
    let fields = segment_fields();
    let (field, _) = fields.iter().find(|(field, _)| field.name() == column).expect("a field of segments");
    let text = |text: &str| Value::Text(text.to_owned());
    let literal = Literal { bytes: b"abcde".to_vec(), at_start: false, at_end: false };
    let questions = [
        Question::Null,
        Question::Equal(text("abcde")),
        Question::Equal(text("00000000000000ff")),
        Question::Equal(Value::Integer(7)),
        Question::AtLeast(7.0),
        Question::AtMost(7.0),
        Question::Contains(literal),
    ];
    let all = Spans::all(reading.segment().rows());
    for question in &questions {
        if let Ok(Some(found)) = reading.probe(column, question) {
            assert!(found.iter().all(|row| row < reading.segment().rows()), "rows beyond the last");
        }
    }
    let everyone = |values: &ArrayRef| -> BooleanArray { (0..values.len()).map(|_| Some(true)).collect() };
    let _some_or_fault = reading.tested(column, field.data_type(), &everyone, &all);
    for rows in [all.clone(), all.within(&(1..3)), all.within(&(PAGE_ROWS - 1..PAGE_ROWS + 1))] {
        if let Ok(values) = reading.read(column, field.data_type(), &rows) {
            assert_eq!(values.len(), rows.len(), "a value for each row");
        }
        if let Ok(values) = reading.read_coded(column, &rows) {
            assert_eq!(values.len(), rows.len(), "a code for each row");
        }
    }
}

/// The columns of a segment that says what the bytes say, and its chunks.
fn lie(bytes: &mut Bytes<'_>) -> Result<(Vec<String>, Vec<Vec<u8>>), Wrong> {
    let fields = segment_fields();
    let rows = small(bytes, 2 * PAGE_ROWS + 1)?;
    let edition = Edition { first: ID, generation: 1 };
    let mut chunks = Chunks::new(edition);
    let mut columns: Vec<Column> = Vec::new();
    for _ in 0..=bytes.u8()? % COLUMNS_MAX {
        let (field, _) = &fields[usize::from(bytes.u8()?) % fields.len()];
        if columns.iter().any(|column| column.name == *field.name()) {
            continue;
        }
        let encoding = [Encoding::None, Encoding::Numbers, Encoding::Ids, Encoding::Dictionary, Encoding::Texts]
            [usize::from(bytes.u8()? % 5)];
        let values = small(bytes, rows + 1)?;
        let column = Column {
            name: field.name().clone(),
            encoding,
            nulls: small(bytes, rows + 1)?,
            values,
            least: i64::from(bytes.u8()?) - 8,
            greatest: i64::from(bytes.u8()?),
            ..Column::default()
        };
        let is_text = matches!(encoding, Encoding::Dictionary | Encoding::Texts);
        let pages = if is_text { texts(bytes, &mut chunks)? } else { numbers(bytes, rows, &mut chunks)? };
        let codes = if is_text { numbers(bytes, rows, &mut chunks)? } else { Piece::default() };
        let (index, grams) = (index(bytes, &mut chunks)?, index(bytes, &mut chunks)?);
        columns.push(Column { pages, codes, index, grams, ..column });
    }
    let header = put_header(edition, ID + u64::from(rows), rows, chunks.bytes(), 0, &columns);
    Ok((columns.into_iter().map(|column| column.name).collect(), chunks.finish(&header)))
}

/// A number below a bound, mostly a small one.
fn small(bytes: &mut Bytes<'_>, bound: u32) -> Result<u32, Wrong> {
    let byte = u32::from(bytes.u8()?);
    Ok(if byte < 224 { byte } else { byte << 8 | u32::from(bytes.u8()?) } % bound)
}

fn payload<'a>(bytes: &mut Bytes<'a>) -> Result<&'a [u8], Wrong> {
    let len = usize::from(bytes.u8()?);
    bytes.take(len)
}

/// A table of pages of numbers, usually of as many as there should be.
fn numbers(bytes: &mut Bytes<'_>, rows: u32, chunks: &mut Chunks) -> Result<Piece, Wrong> {
    let off = u32::from(bytes.u8()? == 255);
    let mut table = Vec::new();
    for _ in 0..rows.div_ceil(PAGE_ROWS) + off {
        table.extend_from_slice(&(i64::from(bytes.u8()?) - 8).to_le_bytes());
        table.extend_from_slice(&i64::from(bytes.u8()?).to_le_bytes());
        table.push(bytes.u8()? % 2);
        let mut page = payload(bytes)?.to_vec();
        // A page that says as much as is asked for.
        page.resize(page.len() + usize::from(bytes.u8()?) * 64, 0);
        chunks.add(&page).put(&mut table);
    }
    Ok(chunks.add(&table))
}

/// A table of pages of texts, compressed as they should be or not.
fn texts(bytes: &mut Bytes<'_>, chunks: &mut Chunks) -> Result<Piece, Wrong> {
    let mut table = Vec::new();
    for _ in 0..bytes.u8()? % ENTRIES_MAX {
        table.extend_from_slice(&small(bytes, u32::MAX)?.to_le_bytes());
        let claimed = i32::from(bytes.u8()?.cast_signed());
        let texts_len = u32::from(bytes.u8()?);
        let raw = payload(bytes)?;
        let len = i32::try_from(raw.len()).expect("short") + claimed.min(1);
        let mut page = [len.to_le_bytes(), texts_len.to_le_bytes()].concat();
        match claimed {
            -128..-120 => page.extend_from_slice(raw),
            _ => page.extend(zstd::bulk::compress(raw, 1).expect("short")),
        }
        chunks.add(&page).put(&mut table);
    }
    Ok(chunks.add(&table))
}

/// An index, or none.
fn index(bytes: &mut Bytes<'_>, chunks: &mut Chunks) -> Result<Piece, Wrong> {
    let mut root = Vec::new();
    for _ in 0..bytes.u8()? % ENTRIES_MAX {
        root.extend_from_slice(&bytes.u32()?.to_le_bytes());
        let block = payload(bytes)?;
        chunks.add(block).put(&mut root);
    }
    Ok(if root.is_empty() { Piece::default() } else { chunks.add(&root) })
}

/// The rows of a block whose checksums are right and whose content is the bytes.
pub fn block(bytes: &[u8]) {
    let columns: Vec<usize> = (0..crate::tables::block_schema().fields().len()).collect();
    let (keys, rows) = bytes.split_at(bytes.len().min(8));
    let _rows_or_error = crate::block::decode(ID, &crate::block::sealed(ID, keys, rows), &columns);
    let _rows_or_error = crate::block::decode(ID, &crate::block::sealed(ID, &1_u32.to_le_bytes(), bytes), &columns);
    let _rows_or_error = crate::block::decode(ID, bytes, &columns);
    let _any = crate::filter::may_have(bytes, "pid", &Question::Equal(Value::Integer(7)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_lie_makes_a_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            segment(&bytes);
        }

        #[test]
        fn no_little_lie_makes_a_reader_panic(bytes in prop::collection::vec(0_u8..24, 0..300)) {
            segment(&bytes);
        }

        #[test]
        fn no_rows_make_a_block_panic(bytes: Vec<u8>) {
            block(&bytes);
        }
    }

    /// What makes the law worth something: lies get far.
    #[test]
    fn some_lies_are_read() {
        let (mut read, mut damaged) = (0, 0);
        for n in 0..400_u32 {
            let bytes: Vec<u8> =
                (0..300).map(|at| (n.wrapping_mul(2_654_435_761).rotate_left(at) ^ at).to_le_bytes()[0] % 24).collect();
            let Ok((columns, chunks)) = lie(&mut Bytes(&bytes)) else { continue };
            let store = Store::in_memory().unwrap();
            let txn = store.begin().unwrap();
            let mut segments = txn.txn.open_table(SEGMENTS).unwrap();
            for (number, chunk) in (0..).zip(&chunks) {
                segments.insert((ID, number), chunk.as_slice()).unwrap();
            }
            let Ok(header) = Segment::open(ID, &chunks[0]) else { continue };
            let mut reading = Reading::new(&segments, header);
            for name in &columns {
                let fields = segment_fields();
                let (field, _) = fields.iter().find(|(field, _)| field.name() == name).unwrap();
                let all = Spans::all(reading.segment().rows());
                match reading.read(name, field.data_type(), &all) {
                    Ok(_) => read += 1,
                    Err(_) => damaged += 1,
                }
            }
        }
        assert!(read > 20 && damaged > 20, "{read} columns were read, {damaged} were damaged");
    }
}
