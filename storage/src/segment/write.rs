//! Making a segment of rows, a column at a time.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field};

use super::derived::{self, Derivation};
use super::grams::{self, Seen};
use super::numbers;
use super::pairs;
use super::pieces::{Chunks, Edition, Piece};
use super::texts::{PAGE_LEN, Pages};
use super::{Column, Encoding, PAGE_ROWS, SEGMENT_ROWS_MAX, hash_of_number, hash_of_text};
use crate::keys::ProcKey;

/// A value that more than one row in so many has is looked for in all of them.
const INDEX_RARITY: u32 = 8;
/// Texts that take less are not worth an index of grams.
const GRAMS_FROM: usize = 128 << 10;
/// Letters of texts for each gram of a page that is kept, about.
const LETTERS_A_PAIR: usize = 12;
/// Rows whose texts lie together, fewer where they are long.
const WINDOW_ROWS_MAX: u32 = 4 * PAGE_ROWS;
const WINDOW_LEN: usize = 8 << 20;

/// The rows that a segment is made of, a column or some of its texts at a time: columns of long texts are never there as
/// a whole.
pub(crate) trait Rows {
    type Error;

    /// All of a column.
    fn column(&mut self, at: usize) -> Result<ArrayRef, Self::Error>;

    /// The texts of a column in some rows.
    fn texts(&mut self, at: usize, rows: Range<u32>) -> Result<ArrayRef, Self::Error>;

    /// More bytes than the texts of a column have, if they may be unlike each other.
    fn unlike(&mut self, at: usize) -> Result<Option<usize>, Self::Error>;
}

/// The chunks of a segment of so many rows, of which the last is before `end`.
pub(crate) fn write<R: Rows>(
    edition: Edition,
    end: u64,
    rows: u32,
    fields: &[(Field, bool)],
    from: &mut R,
) -> Result<Vec<Vec<u8>>, R::Error> {
    assert!(rows <= SEGMENT_ROWS_MAX, "a segment's rows are bounded");
    let mut writer = Writer { chunks: Chunks::new(edition), pages: Pages::new(rows), rows, longest: 0 };
    let mut columns = Vec::with_capacity(fields.len());
    for (at, (field, indexed)) in fields.iter().enumerate() {
        let derivation = derived::derivation(field.name());
        let derivation =
            derivation.and_then(|it| Some((it, fields.iter().position(|(field, _)| field.name() == it.from)?)));
        columns.push(writer.column(field, *indexed, &mut Input { at, derivation, from })?);
    }
    let Writer { chunks, longest, .. } = writer;
    let header = super::put_header(edition, end, rows, chunks.bytes(), longest, &columns);
    Ok(chunks.finish(&header))
}

/// Where a column comes from.
struct Input<'r, R> {
    at: usize,
    /// How its texts can be made, and of which column.
    derivation: Option<(Derivation, usize)>,
    from: &'r mut R,
}

impl<R: Rows> Input<'_, R> {
    /// The next window from a row on: whole pages of rows, so that their codes are near each other. With the texts that
    /// they can be made of, if there are such.
    fn window(&mut self, first: u32, rows: u32) -> Result<(ArrayRef, Option<ArrayRef>), R::Error> {
        let end = rows.min(first + WINDOW_ROWS_MAX);
        let texts = self.from.texts(self.at, first..end)?;
        let ends = texts.as_string::<i32>().value_offsets();
        let begin = ends[0];
        let within = |row: &usize| usize::try_from(ends[*row] - begin).is_ok_and(|len| len < WINDOW_LEN);
        let page = PAGE_ROWS as usize;
        let more = (page..texts.len()).step_by(page).take_while(within).count();
        let len = texts.len().min((1 + more) * page);
        let to = first + u32::try_from(len).expect("rows are bounded");
        let source = self.derivation.map(|(_, source)| self.from.texts(source, first..to)).transpose()?;
        Ok((texts.slice(0, len), source))
    }

    /// More bytes than its texts have, if they are so unlike that neither a dictionary nor numbers can stand for them.
    fn unlike(&mut self, rows: u32) -> Result<Option<usize>, R::Error> {
        let Some(len) = self.from.unlike(self.at)? else { return Ok(None) };
        let mut different = HashSet::new();
        let mut ids = true;
        for first in (0..rows).step_by(WINDOW_ROWS_MAX as usize) {
            let texts = self.from.texts(self.at, first..rows.min(first + WINDOW_ROWS_MAX))?;
            let texts = || texts.as_string::<i32>().iter().flatten();
            ids = ids && texts().all(|text| ProcKey::parse(text).is_some());
            different.extend(texts().map(hash_of_text));
            if different.len() > few(rows as usize) && !ids {
                return Ok(Some(len));
            }
        }
        Ok(None)
    }
}

struct Writer {
    chunks: Chunks,
    pages: Pages,
    rows: u32,
    /// Bytes of the longest column of texts.
    longest: u64,
}

impl Writer {
    fn column<R: Rows>(&mut self, field: &Field, indexed: bool, input: &mut Input<'_, R>) -> Result<Column, R::Error> {
        let mut column = Column { name: field.name().clone(), ..Column::default() };
        let is_text = *field.data_type() == DataType::Utf8;
        if is_text && let Some(len) = input.unlike(self.rows)? {
            self.texts(&mut column, indexed, len, input)?;
            return Ok(column);
        }
        let array = input.from.column(input.at)?;
        column.nulls = u32::try_from(array.null_count()).expect("a segment's rows are bounded");
        if array.null_count() == array.len() {
            return Ok(column);
        }
        if !is_text {
            column.encoding = Encoding::Numbers;
            self.numbers(&mut column, indexed, &numbers_of(&array));
            return Ok(column);
        }
        let texts = array.as_string::<i32>();
        self.longest = self.longest.max(texts.value_data().len() as u64);
        if let Some(ids) = ids_of(texts) {
            column.encoding = Encoding::Ids;
            self.numbers(&mut column, indexed, &ids);
        } else if let Some(different) = different(texts) {
            column.encoding = Encoding::Dictionary;
            self.dictionary(&mut column, indexed, texts, different);
        } else {
            let len = texts.value_data().len();
            self.texts(&mut column, indexed, len, input)?;
        }
        Ok(column)
    }

    fn numbers(&mut self, column: &mut Column, indexed: bool, values: &[Option<i64>]) {
        column.pages = self.number_pages(values, &mut column.least, &mut column.greatest);
        if indexed {
            let key = |(row, value): (u32, &Option<i64>)| Some((hash_of_number((*value)?), row));
            column.index = self.index((0..).zip(values).filter_map(key).collect());
        }
    }

    fn number_pages(&mut self, values: &[Option<i64>], least: &mut i64, greatest: &mut i64) -> Piece {
        (*least, *greatest) = (i64::MAX, i64::MIN);
        let mut table = Vec::new();
        for page in values.chunks(PAGE_ROWS as usize) {
            let present = || page.iter().flatten().copied();
            let (first, last) = (present().min().unwrap_or(i64::MAX), present().max().unwrap_or(i64::MIN));
            (*least, *greatest) = ((*least).min(first), (*greatest).max(last));
            table.extend_from_slice(&first.to_le_bytes());
            table.extend_from_slice(&last.to_le_bytes());
            table.push(u8::from(page.iter().any(Option::is_none)));
            self.chunks.add(&numbers::encode(page)).put(&mut table);
        }
        self.chunks.add(&table)
    }

    fn dictionary(&mut self, column: &mut Column, indexed: bool, texts: &StringArray, different: Vec<&str>) {
        let mut sorted: Vec<(String, &str)> =
            different.into_iter().map(|text| (text.to_ascii_lowercase(), text)).collect();
        sorted.sort_unstable();
        let values: Vec<&str> = sorted.iter().map(|(_, text)| *text).collect();
        column.values = u32::try_from(values.len()).expect("fewer than rows");
        let mut pages = TextPages::new(values.iter().map(|text| text.len()).sum());
        for text in &values {
            self.add_text(&mut pages, text);
        }
        (column.pages, column.grams) = self.finish_texts(pages);
        let codes: HashMap<&str, u32> = (0..).zip(&sorted).map(|(code, (_, text))| (*text, code)).collect();
        let codes: Vec<Option<u32>> = texts.iter().map(|text| Some(codes[text?])).collect();
        let numbers: Vec<_> = codes.iter().map(|code| code.map(i64::from)).collect();
        column.codes = self.number_pages(&numbers, &mut column.least, &mut column.greatest);
        if indexed {
            let pair = |(row, code): (u32, &Option<u32>)| Some(((*code)?, row));
            column.index = self.index((0..).zip(&codes).filter_map(pair).collect());
        }
    }

    /// Of texts that have `len` bytes together, or fewer.
    fn texts<R: Rows>(
        &mut self,
        column: &mut Column,
        indexed: bool,
        len: usize,
        input: &mut Input<'_, R>,
    ) -> Result<(), R::Error> {
        // What is derived has no grams here.
        let mut pages = TextPages::new(if input.derivation.is_some() { 0 } else { len });
        let mut codes: Vec<Option<i64>> = Vec::with_capacity(self.rows as usize);
        let mut derived = Vec::new();
        let mut keys = Vec::new();
        let mut len = 0;
        while codes.len() < self.rows as usize {
            let first = u32::try_from(codes.len()).expect("rows are bounded");
            let (texts, source) = input.window(first, self.rows)?;
            let texts = texts.as_string::<i32>();
            len += texts.iter().flatten().map(str::len).sum::<usize>();
            column.nulls += u32::try_from(texts.null_count()).expect("rows are bounded");
            if indexed {
                let key = |(row, text): (u32, Option<&str>)| Some((hash_of_text(&text?.to_ascii_lowercase()), row));
                keys.extend((first..).zip(texts).filter_map(key));
            }
            let source = source.as_ref().map(AsArray::as_string::<i32>);
            let is_derived = |row: usize, text: &str| {
                let made = input.derivation.zip(source.filter(|source| source.is_valid(row)));
                made.is_some_and(|((derivation, _), source)| (derivation.make)(source.value(row)) == text)
            };
            let mut sorted: Vec<(&str, usize)> = Vec::with_capacity(texts.len());
            for (row, text) in texts.iter().enumerate() {
                match text {
                    Some(text) if is_derived(row, text) => derived.push(codes.len() + row),
                    Some(text) => sorted.push((text, codes.len() + row)),
                    None => {}
                }
            }
            codes.resize(codes.len() + texts.len(), None);
            sorted.sort_unstable();
            for same in sorted.chunk_by(|one, other| one.0 == other.0) {
                let code = i64::from(self.add_text(&mut pages, same[0].0));
                for (_, row) in same {
                    codes[*row] = Some(code);
                }
            }
        }
        self.longest = self.longest.max(len as u64);
        if column.nulls == self.rows {
            return Ok(());
        }
        column.encoding = Encoding::Texts;
        column.values = pages.texts;
        for row in derived {
            codes[row] = Some(i64::from(column.values));
        }
        (column.pages, column.grams) = self.finish_texts(pages);
        column.codes = self.number_pages(&codes, &mut column.least, &mut column.greatest);
        if indexed {
            column.index = self.index(keys);
        }
        Ok(())
    }

    /// Adds a text to the page that is open, or begins the next; gives its number.
    fn add_text(&mut self, pages: &mut TextPages, text: &str) -> u32 {
        if self.pages.is_full(text) {
            self.close_page(pages);
        }
        if self.pages.is_empty() {
            pages.table.extend_from_slice(&pages.texts.to_le_bytes());
        }
        self.pages.add(text);
        if let Some(seen) = &mut pages.seen {
            seen.add(text.as_bytes());
        }
        pages.texts += 1;
        pages.texts - 1
    }

    fn close_page(&mut self, pages: &mut TextPages) {
        self.chunks.add(&self.pages.encode()).put(&mut pages.table);
        if let Some(seen) = &mut pages.seen {
            pages.pairs.extend(seen.take().map(|key| (key, pages.pages)));
        }
        pages.pages += 1;
    }

    /// The pages of texts, and the index of their grams.
    fn finish_texts(&mut self, mut pages: TextPages) -> (Piece, Piece) {
        if !self.pages.is_empty() {
            self.close_page(&mut pages);
        }
        let TextPages { table, mut pairs, pages, seen, .. } = pages;
        let table = self.chunks.add(&table);
        let Some(seen) = seen.filter(|_| !pairs.is_empty()) else { return (table, Piece::default()) };
        pairs.sort_unstable();
        // There may be more pages than were expected: of a key that too many of those have, not all pairs are here.
        let most = grams::most(pages as usize).min(seen.most());
        (table, pairs::write(&pairs, pages, most.into(), &mut self.chunks))
    }

    fn index(&mut self, mut pairs: Vec<(u32, u32)>) -> Piece {
        pairs.sort_unstable();
        let most = (self.rows / INDEX_RARITY).max(1) as usize;
        pairs::write(&pairs, self.rows, most, &mut self.chunks)
    }
}

/// Pages of texts that are being written.
struct TextPages {
    /// Where they are.
    table: Vec<u8>,
    /// How many there are, but for the open one.
    pages: u32,
    texts: u32,
    /// The grams of the open page.
    seen: Option<Seen>,
    /// The grams of the others.
    pairs: Vec<(u32, u32)>,
}

impl TextPages {
    /// Of texts that have so many bytes together, or fewer.
    fn new(len: usize) -> Self {
        let seen = (len >= GRAMS_FROM).then(|| Seen::of(len.div_ceil(PAGE_LEN)));
        // More than it needs costs nothing until it is written to; growing leaves holes that the allocator keeps.
        let pairs = Vec::with_capacity(if seen.is_some() { len / LETTERS_A_PAIR } else { 0 });
        Self { table: vec![], pages: 0, texts: 0, seen, pairs }
    }
}

/// Numbers, moments and truths as numbers.
fn numbers_of(array: &ArrayRef) -> Vec<Option<i64>> {
    match array.data_type() {
        DataType::Int64 => array.as_primitive::<Int64Type>().iter().collect(),
        DataType::Timestamp(..) => array.as_primitive::<TimestampMicrosecondType>().iter().collect(),
        DataType::Boolean => array.as_boolean().iter().map(|value| value.map(i64::from)).collect(),
        other => unreachable!("no stored column is {other}"),
    }
}

/// Texts that are all ids of processes, as numbers.
fn ids_of(texts: &StringArray) -> Option<Vec<Option<i64>>> {
    let id = |text: Option<&str>| match text {
        None => Some(None),
        Some(text) => Some(Some(ProcKey::parse(text)?.0.cast_signed())),
    };
    texts.iter().map(id).collect()
}

/// As many different texts as are worth a dictionary.
fn few(rows: usize) -> usize {
    (rows / 4).max(16)
}

/// The different texts, if each stands for several.
fn different(texts: &StringArray) -> Option<Vec<&str>> {
    let mut different = HashSet::new();
    for text in texts.iter().flatten() {
        different.insert(text);
        if different.len() > few(texts.len()) {
            return None;
        }
    }
    Some(different.into_iter().collect())
}
