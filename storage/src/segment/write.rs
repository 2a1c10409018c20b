//! Making a segment of rows, a column at a time.

use std::collections::{HashMap, HashSet};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, StringArray};
use arrow_schema::{DataType, Field};

use super::derived::{self, Derivation};
use super::grams::{self, Seen};
use super::numbers;
use super::pairs;
use super::pieces::{Chunks, Edition, Piece};
use super::texts::{PAGE_LEN, PAGE_TEXTS_MAX, Pages};
use super::{Column, Encoding, PAGE_ROWS, SEGMENT_ROWS_MAX, hash_of_number, hash_of_text};
use crate::keys::ProcKey;

/// A value that more than one row in so many has is looked for in all of them.
const INDEX_RARITY: u32 = 8;
/// Texts that take less are not worth an index of grams.
const GRAMS_FROM: usize = 128 << 10;
/// Letters of texts for each gram of a page that is kept, about.
const LETTERS_A_PAIR: usize = 12;
/// Rows whose texts lie together, unlike where they are long: whole pages of rows, so that their codes are near each
/// other.
const WINDOW_ROWS_MAX: usize = 4 * PAGE_ROWS as usize;
const WINDOW_LEN: usize = 8 << 20;

/// The chunks of a segment of so many rows, of which the last is before `end`; `column` gives the column of a field, whole.
pub(crate) fn write<E>(
    edition: Edition,
    end: u64,
    rows: u32,
    fields: &[(Field, bool)],
    column: &mut dyn FnMut(usize) -> Result<ArrayRef, E>,
) -> Result<Vec<Vec<u8>>, E> {
    assert!(rows <= SEGMENT_ROWS_MAX, "a segment's rows are bounded");
    let mut writer = Writer { chunks: Chunks::new(edition), pages: Pages::new(rows), rows };
    let mut columns = Vec::with_capacity(fields.len());
    let mut longest = 0;
    for (at, (field, indexed)) in fields.iter().enumerate() {
        let array = column(at)?;
        longest = longest.max(array.as_string_opt::<i32>().map_or(0, |texts| texts.value_data().len() as u64));
        let derivation = derived::derivation(field.name());
        let from = derivation.and_then(|it| fields.iter().position(|(field, _)| field.name() == it.from));
        let source = from.map(&mut *column).transpose()?;
        columns.push(writer.column(field, *indexed, &array, derivation.zip(source.as_ref())));
    }
    let header = super::put_header(edition, end, rows, writer.chunks.bytes(), longest, &columns);
    Ok(writer.chunks.finish(&header))
}

struct Writer {
    chunks: Chunks,
    pages: Pages,
    rows: u32,
}

impl Writer {
    fn column(
        &mut self,
        field: &Field,
        indexed: bool,
        array: &ArrayRef,
        source: Option<(Derivation, &ArrayRef)>,
    ) -> Column {
        let mut column = Column { name: field.name().clone(), ..Column::default() };
        column.nulls = u32::try_from(array.null_count()).expect("a segment's rows are bounded");
        if array.null_count() == array.len() {
            return column;
        }
        if *field.data_type() != DataType::Utf8 {
            column.encoding = Encoding::Numbers;
            self.numbers(&mut column, indexed, &numbers_of(array));
            return column;
        }
        let texts = array.as_string::<i32>();
        if let Some(ids) = ids_of(texts) {
            column.encoding = Encoding::Ids;
            self.numbers(&mut column, indexed, &ids);
        } else if let Some(different) = different(texts) {
            column.encoding = Encoding::Dictionary;
            self.dictionary(&mut column, indexed, texts, different);
        } else {
            column.encoding = Encoding::Texts;
            self.texts(&mut column, indexed, texts, source);
        }
        column
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
        (column.pages, column.grams) = self.text_pages(&values);
        let codes: HashMap<&str, u32> = (0..).zip(&sorted).map(|(code, (_, text))| (*text, code)).collect();
        let codes: Vec<Option<u32>> = texts.iter().map(|text| Some(codes[text?])).collect();
        let numbers: Vec<_> = codes.iter().map(|code| code.map(i64::from)).collect();
        column.codes = self.number_pages(&numbers, &mut column.least, &mut column.greatest);
        if indexed {
            let pair = |(row, code): (u32, &Option<u32>)| Some(((*code)?, row));
            column.index = self.index((0..).zip(&codes).filter_map(pair).collect());
        }
    }

    fn texts(
        &mut self,
        column: &mut Column,
        indexed: bool,
        texts: &StringArray,
        source: Option<(Derivation, &ArrayRef)>,
    ) {
        let source = source.map(|(derivation, array)| (derivation.make, array.as_string::<i32>()));
        let is_derived = |row: usize| {
            let derived = source.filter(|(_, array)| array.is_valid(row)).map(|(make, array)| make(array.value(row)));
            derived.as_deref() == Some(texts.value(row))
        };
        let wanted = |row: &usize| texts.is_valid(*row) && !is_derived(*row);
        let (values, mut codes) = windows(texts, wanted);
        column.values = u32::try_from(values.len()).expect("a segment's rows are bounded");
        let derived = (0..texts.len()).filter(|row| codes[*row].is_none() && texts.is_valid(*row)).collect::<Vec<_>>();
        for row in &derived {
            codes[*row] = Some(i64::from(column.values));
        }
        let grams;
        (column.pages, grams) = self.text_pages(&values);
        // What is derived has grams that are not here.
        column.grams = if derived.is_empty() { grams } else { Piece::default() };
        column.codes = self.number_pages(&codes, &mut column.least, &mut column.greatest);
        if indexed {
            let key = |(row, text): (u32, Option<&str>)| Some((hash_of_text(&text?.to_ascii_lowercase()), row));
            column.index = self.index((0..).zip(texts).filter_map(key).collect());
        }
    }

    /// The pages of texts, and the index of their grams.
    fn text_pages(&mut self, texts: &[&str]) -> (Piece, Piece) {
        let mut table = Vec::new();
        let all: usize = texts.iter().map(|text| text.len()).sum();
        let pages = page_lens(texts);
        let mut seen = (all >= GRAMS_FROM).then(|| Seen::of(pages.len()));
        let mut pairs = Vec::with_capacity(if seen.is_some() { all / LETTERS_A_PAIR } else { 0 });
        let mut from = 0;
        for (count, page) in pages.iter().zip(0..) {
            let texts = &texts[from..from + count];
            table.extend_from_slice(&u32::try_from(from).expect("rows are bounded").to_le_bytes());
            let payload = self.pages.encode(texts);
            self.chunks.add(&payload).put(&mut table);
            if let Some(seen) = &mut seen {
                for text in texts {
                    seen.add(text.as_bytes());
                }
                pairs.extend(seen.take().map(|key| (key, page)));
            }
            from += count;
        }
        let table = self.chunks.add(&table);
        if pairs.is_empty() {
            return (table, Piece::default());
        }
        pairs.sort_unstable();
        let most = usize::from(grams::most(pages.len()));
        let pages = u32::try_from(pages.len()).expect("a page has a row");
        (table, pairs::write(&pairs, pages, most, &mut self.chunks))
    }

    fn index(&mut self, mut pairs: Vec<(u32, u32)>) -> Piece {
        pairs.sort_unstable();
        let most = (self.rows / INDEX_RARITY).max(1) as usize;
        pairs::write(&pairs, self.rows, most, &mut self.chunks)
    }
}

/// How many texts go into each page.
fn page_lens(texts: &[&str]) -> Vec<usize> {
    let mut pages = Vec::new();
    let mut from = 0;
    while from < texts.len() {
        let mut bytes = 0;
        let whole = |text: &&&str| {
            bytes += text.len();
            bytes <= PAGE_LEN
        };
        let count = texts[from..].iter().take(PAGE_TEXTS_MAX).take_while(whole).count().max(1);
        pages.push(count);
        from += count;
    }
    pages
}

/// The different texts of wanted rows, window by window and in order within each; and the place of each row's text.
fn windows(texts: &StringArray, wanted: impl Fn(&usize) -> bool) -> (Vec<&str>, Vec<Option<i64>>) {
    let mut values = Vec::new();
    let mut codes = vec![None; texts.len()];
    let mut from = 0;
    while from < texts.len() {
        let (mut to, mut len) = (from, 0);
        while to < texts.len() && to - from < WINDOW_ROWS_MAX && (len < WINDOW_LEN || to % PAGE_ROWS as usize != 0) {
            len += texts.value(to).len();
            to += 1;
        }
        let mut sorted: Vec<(&str, usize)> = (from..to).filter(&wanted).map(|row| (texts.value(row), row)).collect();
        sorted.sort_unstable();
        for same in sorted.chunk_by(|one, other| one.0 == other.0) {
            let code = i64::try_from(values.len()).expect("rows are bounded");
            values.push(same[0].0);
            for (_, row) in same {
                codes[*row] = Some(code);
            }
        }
        from = to;
    }
    (values, codes)
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

/// The different texts, if each stands for several.
fn different(texts: &StringArray) -> Option<Vec<&str>> {
    let most = texts.len() / 4;
    let mut different = HashSet::new();
    for text in texts.iter().flatten() {
        different.insert(text);
        if different.len() > most.max(16) {
            return None;
        }
    }
    Some(different.into_iter().collect())
}
