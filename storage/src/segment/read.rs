//! Reading a segment: which rows may be wanted, and their values.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow_array::builder::{BooleanBuilder, Int64Builder, StringBuilder, TimestampMicrosecondBuilder};
use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BooleanArray, DictionaryArray, StringArray, UInt32Array, new_null_array};
use arrow_buffer::NullBufferBuilder;
use arrow_schema::DataType;
use arrow_select::concat::concat;
use arrow_select::take::take;
use daemoneye_dsl::pattern::Literal;
use daemoneye_dsl::types::Value;

use super::bytes::{Bytes, Wrong};
use super::derived::Derivation;
use super::numbers::Numbers;
use super::pairs::{self, Places};
use super::pieces::{self, ChunkTable, Fault, PIECE_LEN, Piece};
use super::texts::{self, Page};
use super::{Column, Encoding, PAGE_ROWS, Segment, Spans, derived, grams, hash_of_number, hash_of_text};
use crate::keys::ProcKey;
use crate::reader::Question;

/// Codes that are looked up one by one; with more, every row's code is looked at.
const CODES_MAX: usize = 64;
const NUMBER_ENTRY_LEN: usize = 17 + PIECE_LEN;
const TEXT_ENTRY_LEN: usize = 4 + PIECE_LEN;

/// A segment that is being read.
pub(crate) struct Reading<'t, T> {
    table: &'t T,
    segment: Segment,
    /// By column: what was read and will be wanted again.
    tables: HashMap<usize, Arc<TextTable>>,
    dictionaries: HashMap<usize, StringArray>,
    pages: HashMap<usize, (usize, Page)>,
    bytes: Cell<u64>,
}

/// Where the pages of texts begin and lie.
type TextTable = Vec<(u32, Piece)>;

impl<'t, T: ChunkTable> Reading<'t, T> {
    pub(crate) fn new(table: &'t T, segment: Segment) -> Self {
        Self {
            table,
            segment,
            tables: HashMap::new(),
            dictionaries: HashMap::new(),
            pages: HashMap::new(),
            bytes: Cell::new(0),
        }
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    pub(super) fn piece<R>(&mut self, piece: Piece, read: impl FnOnce(&[u8]) -> Result<R, Fault>) -> Result<R, Fault> {
        self.bytes.set(self.bytes.get() + piece.len() as u64);
        pieces::read(self.table, self.segment.edition, piece, read)
    }

    /// Bytes of all pieces that were read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes.get()
    }

    /// About how many rows meet a probe, from the header alone.
    pub(crate) fn estimate(&self, name: &str, question: &Question) -> f64 {
        let rows = f64::from(self.segment.rows);
        let Some(column) = self.segment.column(name) else { return rows };
        // As if numbers were spread evenly.
        let part = |from: f64, to: f64| {
            let (least, greatest) = (rounded(column.least), rounded(column.greatest));
            rows * ((to.min(greatest) - from.max(least)) / (greatest - least).max(1.0)).clamp(0.0, 1.0)
        };
        match (column.encoding, question) {
            (Encoding::None, Question::Null) => rows,
            (Encoding::None, _) => 0.0,
            (_, Question::Null) => f64::from(column.nulls),
            (_, Question::AtLeast(bound)) => part(*bound, f64::INFINITY),
            (_, Question::AtMost(bound)) => part(f64::NEG_INFINITY, *bound),
            (Encoding::Dictionary, Question::Equal(_)) => rows / f64::from(column.values.max(1)),
            (Encoding::Numbers | Encoding::Ids, Question::Equal(_)) if column.index.is_none() => rows,
            (_, Question::Equal(_)) => 1.0,
            // A gram more makes a text about so much rarer.
            (_, Question::Contains(literal)) => rows / f64::from(1_u32 << literal.bytes.len().min(16)),
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.segment.columns.iter().position(|column| column.name == name)
    }

    pub(super) fn column(&self, at: usize) -> Column {
        self.segment.columns[at].clone()
    }

    fn all(&self) -> Spans {
        Spans::all(self.segment.rows)
    }

    /// The rows in which a probe may be met; nothing if that cannot be told without reading them.
    pub(crate) fn probe(&mut self, name: &str, question: &Question) -> Result<Option<Spans>, Fault> {
        let Some(at) = self.position(name) else { return Ok(None) };
        let column = self.column(at);
        let nothing = Ok(Some(Spans::default()));
        match (column.encoding, question) {
            (Encoding::None, Question::Null) => Ok(None),
            (Encoding::None, _) => nothing,
            (_, Question::Null) if column.nulls == 0 => nothing,
            (Encoding::Numbers, Question::Null) => Ok(Some(self.number_pages(&column, |_, nulls| nulls)?)),
            (Encoding::Numbers, Question::AtLeast(bound)) => {
                Ok(Some(self.number_pages(&column, |range, _| range.is_some_and(|it| rounded(*it.end()) >= *bound))?))
            }
            (Encoding::Numbers, Question::AtMost(bound)) => {
                Ok(Some(self.number_pages(&column, |range, _| range.is_some_and(|it| rounded(*it.start()) <= *bound))?))
            }
            (Encoding::Numbers, Question::Equal(value)) => match value {
                Value::Integer(value) | Value::Timestamp(value) => self.equal_number(&column, *value).map(Some),
                Value::Boolean(value) => self.equal_number(&column, i64::from(*value)).map(Some),
                _ => Ok(None),
            },
            (Encoding::Ids, Question::Equal(Value::Text(text))) => match ProcKey::parse(&text.to_ascii_lowercase()) {
                None => nothing,
                Some(key) => self.equal_number(&column, key.0.cast_signed()).map(Some),
            },
            (Encoding::Dictionary, Question::Equal(Value::Text(text))) => {
                let literal = whole(text);
                self.literal_in_dictionary(at, &column, &literal).map(Some)
            }
            (Encoding::Dictionary, Question::Contains(literal)) => {
                self.literal_in_dictionary(at, &column, literal).map(Some)
            }
            (Encoding::Texts, Question::Equal(Value::Text(text))) if !column.index.is_none() => {
                let key = hash_of_text(&text.to_ascii_lowercase());
                self.indexed(&column, key..=key)
            }
            (Encoding::Texts, Question::Equal(Value::Text(text))) => self.pages_with(at, &column, &whole(text)),
            (Encoding::Texts, Question::Contains(literal)) => self.pages_with(at, &column, literal),
            _ => Ok(None),
        }
    }

    /// The rows of pages whose range, and whether they have NULLs, is so.
    fn number_pages(
        &mut self,
        column: &Column,
        wanted: impl Fn(Option<&RangeInclusive<i64>>, bool) -> bool,
    ) -> Result<Spans, Fault> {
        let mut spans = Spans::default();
        let range = |least, greatest| (least <= greatest).then_some(least..=greatest);
        if !wanted(range(column.least, column.greatest).as_ref(), column.nulls > 0) {
            return Ok(spans);
        }
        let rows = self.segment.rows;
        self.piece(column.pages, |table| {
            let entries = number_entries(table, rows)?;
            for (from, entry) in (0..rows).step_by(PAGE_ROWS as usize).zip(entries) {
                let mut entry = Bytes(entry);
                let (least, greatest, nulls) = (entry.i64()?, entry.i64()?, entry.u8()? != 0);
                if wanted(range(least, greatest).as_ref(), nulls) {
                    spans.add(from..rows.min(from + PAGE_ROWS));
                }
            }
            Ok(())
        })?;
        Ok(spans)
    }

    fn equal_number(&mut self, column: &Column, value: i64) -> Result<Spans, Fault> {
        if value < column.least || value > column.greatest {
            return Ok(Spans::default());
        }
        let key = hash_of_number(value);
        let found = if column.index.is_none() { None } else { self.indexed(column, key..=key)? };
        match found {
            Some(found) => Ok(found),
            None => self.number_pages(column, |range, _| range.is_some_and(|range| range.contains(&value))),
        }
    }

    /// The rows that an index has for keys, if it has them all.
    fn indexed(&mut self, column: &Column, keys: RangeInclusive<u32>) -> Result<Option<Spans>, Fault> {
        Ok(match self.places(column.index, &keys, self.segment.rows)? {
            Places::At(rows) => Some(Spans::of(rows)),
            Places::Anywhere => None,
        })
    }

    fn places(&mut self, root: Piece, keys: &RangeInclusive<u32>, places: u32) -> Result<Places, Fault> {
        pairs::find(root, keys, places, &mut |piece, read| self.piece(piece, read))
    }

    fn text_table(&mut self, at: usize, column: &Column) -> Result<Arc<TextTable>, Fault> {
        if let Some(known) = self.tables.get(&at) {
            return Ok(known.clone());
        }
        let table = self.piece(column.pages, |table| {
            let (entries, _) = table.as_chunks::<TEXT_ENTRY_LEN>();
            let entry = |entry: &[u8; TEXT_ENTRY_LEN]| {
                let mut entry = Bytes(entry);
                Ok((entry.u32()?, Piece::read(&mut entry)?))
            };
            entries.iter().map(entry).collect::<Result<TextTable, Fault>>()
        })?;
        if !table.is_sorted_by_key(|(first, _)| *first) || table.first().is_none_or(|(first, _)| *first != 0) {
            return Err("the pages of a column are out of order".into());
        }
        let table = Arc::new(table);
        self.tables.insert(at, table.clone());
        Ok(table)
    }

    /// The texts of a page, and the number of the first.
    fn page_range(table: &TextTable, page: usize, values: u32) -> Range<u32> {
        let end = table.get(page + 1).map_or(values, |(first, _)| *first);
        table[page].0..end.max(table[page].0)
    }

    /// The pages that can hold a literal, of texts' rows; nothing if that cannot be told.
    fn pages_with(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Option<Spans>, Fault> {
        let Some(pages) = self.gram_pages(at, column, literal)? else { return Ok(None) };
        let table = self.text_table(at, column)?;
        let rows = pages.iter().filter(|page| (*page as usize) < table.len());
        Ok(Some(Spans::of_ranges(rows.map(|page| Self::page_range(&table, page as usize, column.values)).collect())))
    }

    /// The numbers of the pages that have every gram of a literal.
    fn gram_pages(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Option<Spans>, Fault> {
        if column.grams.is_none() || literal.bytes.len() < grams::GRAM_LEN {
            return Ok(None);
        }
        let pages = u32::try_from(self.text_table(at, column)?.len()).map_err(|_| "it claims too many pages")?;
        let mut found: Option<Spans> = None;
        for key in grams::keys(&literal.bytes) {
            if let Places::At(with) = self.places(column.grams, &(key..=key), pages)? {
                let with = Spans::of(with);
                let all = found.map_or_else(|| with.clone(), |found| found.and(&with));
                if all.len() <= 1 {
                    return Ok(Some(all));
                }
                found = Some(all);
            }
        }
        Ok(found)
    }

    fn page(&mut self, at: usize, column: &Column, page: usize) -> Result<Page, Fault> {
        if let Some((known, decoded)) = self.pages.get(&at).filter(|(known, _)| *known == page) {
            debug_assert_eq!(*known, page, "the page that was asked for");
            return Ok(decoded.clone());
        }
        let table = self.text_table(at, column)?;
        let range = Self::page_range(&table, page, column.values);
        let count = (range.end - range.start) as usize;
        let decoded = self.piece(table[page].1, |bytes| Ok(texts::decode(bytes, count)?))?;
        self.pages.insert(at, (page, decoded.clone()));
        Ok(decoded)
    }

    /// The different texts of a column.
    fn dictionary(&mut self, at: usize, column: &Column) -> Result<StringArray, Fault> {
        if let Some(known) = self.dictionaries.get(&at) {
            return Ok(known.clone());
        }
        let pages = self.text_table(at, column)?.len();
        let pages = (0..pages).map(|page| Ok(self.page(at, column, page)?.texts)).collect::<Result<Vec<_>, Fault>>()?;
        let parts: Vec<&dyn Array> = pages.iter().map(|page| page as &dyn Array).collect();
        let all = concat(&parts).map_err(|error| Fault::Damaged(error.to_string()))?.as_string().clone();
        self.dictionaries.insert(at, all.clone());
        Ok(all)
    }

    fn literal_in_dictionary(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Spans, Fault> {
        // Most literals are in no page of a large dictionary.
        if self.gram_pages(at, column, literal)?.is_some_and(|pages| pages.is_empty()) {
            return Ok(Spans::default());
        }
        let texts = self.dictionary(at, column)?;
        let mut wanted: Vec<bool> = texts.iter().map(|text| text.is_some_and(|text| has(text, literal))).collect();
        wanted.push(false);
        let all = self.all();
        self.rows_of_codes(column, &wanted, &all)
    }

    /// The rows, of some, whose code is wanted; the last of `wanted` is NULL's.
    fn rows_of_codes(&mut self, column: &Column, wanted: &[bool], among: &Spans) -> Result<Spans, Fault> {
        let (null, codes) = wanted.split_last().expect("NULL is always there");
        let null = *null && column.nulls > 0;
        let count = codes.iter().filter(|wanted| **wanted).count();
        if !null && count == codes.len() && column.nulls == 0 {
            return Ok(among.clone());
        }
        if !null && count == 0 {
            return Ok(Spans::default());
        }
        if !null && count <= CODES_MAX && !column.index.is_none() {
            let mut rows = Vec::new();
            let mut all_there = true;
            for code in (0..).zip(codes).filter_map(|(code, wanted)| wanted.then_some(code)) {
                match self.places(column.index, &(code..=code), self.segment.rows)? {
                    Places::At(found) => rows.extend(found),
                    Places::Anywhere => all_there = false,
                }
            }
            if all_there {
                return Ok(Spans::of(rows).and(among));
            }
        }
        let mut spans = Spans::default();
        let is_wanted = |code: Option<i64>| match code {
            None => null,
            Some(code) => usize::try_from(code).ok().and_then(|code| codes.get(code)).is_some_and(|wanted| *wanted),
        };
        self.each_number(column.codes, among, |row, code| {
            if is_wanted(code) {
                spans.add(row..row + 1);
            }
        })?;
        Ok(spans)
    }

    /// Every number of some rows, in order.
    fn each_number(&mut self, pages: Piece, rows: &Spans, mut each: impl FnMut(u32, Option<i64>)) -> Result<(), Fault> {
        let total = self.segment.rows;
        let entries: Vec<Piece> = self.piece(pages, |table| {
            let entries = number_entries(table, total)?;
            Ok(entries.iter().map(|entry| Piece::read(&mut Bytes(&entry[17..]))).collect::<Result<_, _>>()?)
        })?;
        for (from, piece) in (0..total).step_by(PAGE_ROWS as usize).zip(entries) {
            let page = from..total.min(from + PAGE_ROWS);
            let within = rows.within(&page);
            if within.is_empty() {
                continue;
            }
            self.piece(piece, |bytes| {
                let numbers = Numbers::decode(bytes, (page.end - page.start) as usize)?;
                for range in within.ranges() {
                    range.clone().for_each(|row| each(row, numbers.get((row - page.start) as usize)));
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Of some rows, those whose value passes a test of single values; nothing if every row has a value of its own, so
    /// that reading them is all there is to do.
    pub(crate) fn tested(
        &mut self,
        name: &str,
        ty: &DataType,
        test: &dyn Fn(&ArrayRef) -> BooleanArray,
        among: &Spans,
    ) -> Result<Option<Spans>, Fault> {
        let at = self.position(name).filter(|at| self.segment.columns[*at].encoding != Encoding::None);
        let null = new_null_array(ty, 1);
        let Some(at) = at else {
            return Ok(Some(if is_true(&test(&null), 0) { among.clone() } else { Spans::default() }));
        };
        let column = self.column(at);
        if column.encoding != Encoding::Dictionary {
            return Ok(None);
        }
        let texts: ArrayRef = Arc::new(self.dictionary(at, &column)?);
        let values = concat(&[&texts, &null]).map_err(|error| Fault::Damaged(error.to_string()))?;
        let passed = test(&values);
        let wanted: Vec<bool> = (0..values.len()).map(|at| is_true(&passed, at)).collect();
        self.rows_of_codes(&column, &wanted, among).map(Some)
    }

    /// The values of a column in some rows, NULL where the segment does not have the column.
    pub(crate) fn read(&mut self, name: &str, ty: &DataType, rows: &Spans) -> Result<ArrayRef, Fault> {
        let at = self.position(name).filter(|at| self.segment.columns[*at].encoding != Encoding::None);
        let Some(at) = at else { return Ok(new_null_array(ty, rows.len())) };
        let column = self.column(at);
        let array = match (column.encoding, ty) {
            (Encoding::None, _) => new_null_array(ty, rows.len()),
            (Encoding::Numbers, _) => self.numbers(&column, ty, rows)?,
            (_, DataType::Utf8) => match column.encoding {
                Encoding::Ids => self.ids(&column, rows)?,
                Encoding::Dictionary => self.words(at, &column, rows)?,
                _ => self.texts(at, &column, rows)?,
            },
            _ => return Err("a column has another type".into()),
        };
        if array.len() != rows.len() {
            return Err("a column has too few rows".into());
        }
        Ok(array)
    }

    fn numbers(&mut self, column: &Column, ty: &DataType, rows: &Spans) -> Result<ArrayRef, Fault> {
        Ok(match ty {
            DataType::Int64 => {
                let mut builder = Int64Builder::with_capacity(rows.len());
                self.each_number(column.pages, rows, |_, value| builder.append_option(value))?;
                Arc::new(builder.finish())
            }
            DataType::Timestamp(..) => {
                let mut builder = TimestampMicrosecondBuilder::with_capacity(rows.len());
                self.each_number(column.pages, rows, |_, value| builder.append_option(value))?;
                Arc::new(builder.finish())
            }
            DataType::Boolean => {
                let mut builder = BooleanBuilder::with_capacity(rows.len());
                self.each_number(column.pages, rows, |_, value| builder.append_option(value.map(|it| it != 0)))?;
                Arc::new(builder.finish())
            }
            _ => return Err("a column has another type".into()),
        })
    }

    fn ids(&mut self, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        let mut builder = StringBuilder::with_capacity(rows.len(), 16 * rows.len());
        self.each_number(column.pages, rows, |_, value| {
            builder.append_option(value.map(|id| ProcKey(id.cast_unsigned()).to_string()));
        })?;
        Ok(Arc::new(builder.finish()))
    }

    fn words(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        let (codes, texts) = self.coded(at, column, rows)?;
        take(&texts, &codes, None).map_err(|error| Fault::Damaged(error.to_string()))
    }

    /// The codes of some rows, and what they stand for.
    fn coded(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<(UInt32Array, StringArray), Fault> {
        let texts = self.dictionary(at, column)?;
        let mut codes = Vec::with_capacity(rows.len());
        let mut present = NullBufferBuilder::new(rows.len());
        let mut greatest = 0;
        self.each_number(column.codes, rows, |_, code| {
            // What does not fit is beyond any dictionary.
            let known = code.map_or(0, |code| u32::try_from(code).unwrap_or(u32::MAX));
            greatest = greatest.max(known);
            codes.push(known);
            present.append(code.is_some());
        })?;
        let codes = UInt32Array::new(codes.into(), present.finish());
        if greatest as usize >= texts.len() {
            return Err("a code has no text".into());
        }
        Ok((codes, texts))
    }

    /// [`Self::read`] of a column of texts, as a dictionary where it is one.
    pub(crate) fn read_coded(&mut self, name: &str, rows: &Spans) -> Result<ArrayRef, Fault> {
        match self.position(name) {
            Some(at) if self.segment.columns[at].encoding == Encoding::Dictionary => {
                let column = self.column(at);
                let (codes, texts) = self.coded(at, &column, rows)?;
                let coded = DictionaryArray::try_new(codes, Arc::new(texts));
                Ok(Arc::new(coded.map_err(|error| Fault::Damaged(error.to_string()))?))
            }
            _ => self.read(name, &DataType::Utf8, rows),
        }
    }

    fn texts(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        let table = self.text_table(at, column)?;
        let mut builder = StringBuilder::with_capacity(rows.len(), 0);
        let mut derived = Spans::default();
        for range in rows.ranges() {
            let mut row = range.start;
            while row < range.end {
                let page = table.partition_point(|(first, _)| *first <= row) - 1;
                let texts = Self::page_range(&table, page, column.values);
                if row >= texts.end {
                    return Err("a column has too few rows".into());
                }
                let decoded = self.page(at, column, page)?;
                let end = range.end.min(texts.end);
                for row in row..end {
                    let place = (row - texts.start) as usize;
                    builder.append_option(decoded.texts.is_valid(place).then(|| decoded.texts.value(place)));
                }
                let is_within = |place: &&u32| (row..end).contains(&(texts.start + **place));
                for place in decoded.derived.iter().filter(is_within) {
                    let row = texts.start + place;
                    derived.add(row..row + 1);
                }
                row = end;
            }
        }
        let texts = builder.finish();
        if derived.is_empty() {
            return Ok(Arc::new(texts));
        }
        self.derive(&column.name, &texts, rows, &derived)
    }

    /// Fills in what another column says.
    fn derive(&mut self, name: &str, texts: &StringArray, rows: &Spans, derived: &Spans) -> Result<ArrayRef, Fault> {
        let Derivation { from, make } = derived::derivation(name).ok_or("a text is derived from nothing")?;
        let sources = self.read(from, &DataType::Utf8, derived)?;
        let mut sources = derived.iter().zip(sources.as_string::<i32>().iter()).peekable();
        let mut filled = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
        for (row, text) in rows.iter().zip(texts) {
            match sources.next_if(|(at, _)| *at == row) {
                Some((_, source)) => filled.append_option(source.map(make)),
                None => filled.append_option(text),
            }
        }
        Ok(Arc::new(filled.finish()))
    }
}

/// A text as a literal that is all of it.
fn whole(text: &str) -> Literal {
    Literal { bytes: text.to_ascii_lowercase().into_bytes(), at_start: true, at_end: true }
}

/// Whether a text has a literal.
fn has(text: &str, Literal { bytes, at_start, at_end }: &Literal) -> bool {
    let text = text.as_bytes();
    if text.len() < bytes.len() {
        return false;
    }
    match (at_start, at_end) {
        (true, true) => text.eq_ignore_ascii_case(bytes),
        (true, false) => text[..bytes.len()].eq_ignore_ascii_case(bytes),
        (false, true) => text[text.len() - bytes.len()..].eq_ignore_ascii_case(bytes),
        (false, false) => bytes.is_empty() || text.windows(bytes.len()).any(|part| part.eq_ignore_ascii_case(bytes)),
    }
}

/// What a table says of each page of numbers. One page too few would leave rows out without a word.
fn number_entries(table: &[u8], rows: u32) -> Result<&[[u8; NUMBER_ENTRY_LEN]], Wrong> {
    match table.as_chunks() {
        (entries, []) if entries.len() == rows.div_ceil(PAGE_ROWS) as usize => Ok(entries),
        _ => Err("its pages of numbers are not as many as its rows need"),
    }
}

/// A number as the double next to it: what is not less stays so.
#[expect(clippy::cast_precision_loss, reason = "rounding keeps the order of what it does not make equal")]
pub(crate) fn rounded(value: i64) -> f64 {
    value as f64
}

fn is_true(passed: &BooleanArray, at: usize) -> bool {
    passed.is_valid(at) && passed.value(at)
}
