//! Texts that lie by likeness come back by row, whatever rows are asked for.

use std::convert::Infallible;
use std::ops::Range;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field};
use daemoneye_dsl::pattern::Literal;

use crate::reader::Question;
use crate::segment::{self, Edition, Spans};
use crate::tables::SEGMENTS;
use crate::{Store, history};

const ROWS: u32 = 3 * 16_384 + 77;
const SEGMENT: u64 = 1;

/// Lines of which some stand often, some are NULL, some are long; and arguments, of which most say the same.
fn columns() -> [StringArray; 2] {
    let line = |row: u32| match row.wrapping_mul(2_654_435_761) >> 16 {
        _ if row % 20_000 == 100 => Some(format!("/usr/bin/sh needle {row}")),
        n if n % 11 == 0 => None,
        n if n % 7 == 0 => Some("/bin/sh -c true".to_owned()),
        n if n % 5003 == 0 => Some(format!("{row} {}", "x".repeat(40_000))),
        n => Some(format!("/usr/bin/{} --row {row} é", ["curl", "Curl", "nginx", "sh"][n as usize % 4])),
    };
    let lines: StringArray = (0..ROWS).map(line).collect();
    let arguments = (0..ROWS).zip(&lines).map(|(row, line)| match row % 13 {
        0 => None,
        1 => Some(format!("[\"{row}\"]")),
        _ => line.map(|line| serde_json::to_string(&line.split(' ').collect::<Vec<_>>()).unwrap()),
    });
    [lines.clone(), arguments.collect()]
}

/// They are unlike each other, which is known beforehand or found out.
struct Given([StringArray; 2], bool);

impl segment::Rows for Given {
    type Error = Infallible;

    fn column(&mut self, at: usize) -> Result<ArrayRef, Infallible> {
        Ok(Arc::new(self.0[at].clone()))
    }

    fn texts(&mut self, at: usize, rows: Range<u32>) -> Result<ArrayRef, Infallible> {
        Ok(Arc::new(self.0[at].slice(rows.start as usize, rows.len())))
    }

    fn unlike(&mut self, at: usize) -> Result<Option<usize>, Infallible> {
        Ok(self.1.then(|| self.0[at].value_data().len()))
    }
}

#[test]
fn texts_come_back_by_row() {
    let columns = columns();
    let names = ["command_line", "argv"];
    let fields = names.map(|name| (Field::new(name, DataType::Utf8, true), false));
    let edition = Edition { first: SEGMENT, generation: 1 };
    let mut given = Given(columns.clone(), false);
    let Ok(whole) = segment::write(edition, SEGMENT + u64::from(ROWS), ROWS, &fields, &mut given);
    given.1 = true;
    let Ok(chunks) = segment::write(edition, SEGMENT + u64::from(ROWS), ROWS, &fields, &mut given);
    let bytes = |chunks: &[Vec<u8>]| chunks[1..].iter().map(Vec::len).sum::<usize>();
    assert!(bytes(&chunks).abs_diff(bytes(&whole)) < 64 << 10, "{} and {}", bytes(&chunks), bytes(&whole));
    let store = stored(&chunks);
    let txn = store.begin().unwrap();
    let segments = txn.txn.open_table(SEGMENTS).unwrap();
    let mut reading = history::open(&segments, SEGMENT).unwrap();
    let some = |step: usize, from: u32| Spans::of((from..ROWS).step_by(step).collect());
    // One reading for all: what is held of one question must not harm the next.
    for rows in [some(1, 0), some(1, 40_000), some(28, 3), some(1, 0), some(5_000, 9), Spans::of(vec![7])] {
        for (name, column) in names.iter().zip(&columns) {
            let read = reading.read(name, &DataType::Utf8, &rows).unwrap();
            let expected = rows.iter().map(|row| column.is_valid(row as usize).then(|| column.value(row as usize)));
            assert!(read.as_string::<i32>().iter().eq(expected), "{name}");
        }
    }
    let wanted = |text: &str| text.contains("needle");
    let literal = Literal { bytes: b"needle".to_vec(), at_start: false, at_end: false };
    let found = reading.probe("command_line", &Question::Contains(literal)).unwrap().expect("there are grams");
    let meant = (0..ROWS).zip(&columns[0]).filter(|(_, line)| line.is_some_and(wanted)).map(|(row, _)| row);
    let missed: Vec<u32> = meant.filter(|row| !found.iter().any(|other| other == *row)).take(3).collect();
    assert!(missed.is_empty() && found.len() < ROWS as usize / 2, "{missed:?} of {}", found.len());
}

/// A store with one segment of these chunks.
fn stored(chunks: &[Vec<u8>]) -> Store {
    let store = Store::in_memory().unwrap();
    let put = |txn: &redb::WriteTransaction| {
        let mut segments = txn.open_table(SEGMENTS)?;
        for (number, chunk) in (0..).zip(chunks) {
            segments.insert((SEGMENT, number), chunk.as_slice())?;
        }
        Ok(())
    };
    store.write(put).unwrap();
    store
}

/// Long texts fill their pages badly, so that there are more pages than their bytes let expect.
#[test]
fn what_every_page_has_is_found_in_every_page() {
    const ROWS: u32 = 64;
    let line = |row: u32| Some(format!("{row} needle {}", "x".repeat(9_000)));
    let lines: StringArray = (0..ROWS).map(line).collect();
    let fields = [(Field::new("command_line", DataType::Utf8, true), false)];
    let edition = Edition { first: SEGMENT, generation: 1 };
    for known in [false, true] {
        let mut given = Given([lines.clone(), lines.clone()], known);
        let Ok(chunks) = segment::write(edition, SEGMENT + u64::from(ROWS), ROWS, &fields, &mut given);
        let store = stored(&chunks);
        let txn = store.begin().unwrap();
        let segments = txn.txn.open_table(SEGMENTS).unwrap();
        let mut reading = history::open(&segments, SEGMENT).unwrap();
        let literal = Literal { bytes: b"needle".to_vec(), at_start: false, at_end: false };
        let found = reading.probe("command_line", &Question::Contains(literal)).unwrap();
        assert!(found.is_none_or(|found| found.len() == ROWS as usize));
    }
}
