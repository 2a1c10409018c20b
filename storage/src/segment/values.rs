//! The values of a segment's rows.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int64Array, StringArray, TimestampMicrosecondArray, UInt32Array,
    new_null_array,
};
use arrow_buffer::{NullBuffer, NullBufferBuilder};
use arrow_schema::DataType;
use arrow_select::take::take;
use daemoneye_dsl::ipc::DECODED_LEN_MAX;

use super::bytes::{Bytes, Wrong};
use super::derived::{self, Derivation};
use super::numbers::Numbers;
use super::pages::TextPages;
use super::pieces::{ChunkTable, Fault, PIECE_LEN, Piece};
use super::read::Reading;
use super::{Column, Encoding, PAGE_ROWS, Spans};
use crate::keys::ProcKey;

const NUMBER_ENTRY_LEN: usize = 17 + PIECE_LEN;
/// A dictionary is read whole for more rows than one for so many of its texts.
const TEXTS_A_ROW: usize = 4;

/// What a table says of a page of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct NumberPage {
    pub(super) least: i64,
    pub(super) greatest: i64,
    pub(super) nulls: bool,
    piece: Piece,
}

/// Rows of one page of numbers.
pub(super) struct PageRows {
    pub(super) page: NumberPage,
    /// The number of its first row, and how many it has.
    from: u32,
    count: u32,
    /// Those that are wanted.
    pub(super) rows: Spans,
}

impl<T: ChunkTable> Reading<'_, T> {
    pub(super) fn number_table(&mut self, pages: Piece) -> Result<Arc<[NumberPage]>, Fault> {
        if let Some(known) = self.tables.get(&pages) {
            return Ok(known.clone());
        }
        let count = self.segment.rows.div_ceil(PAGE_ROWS) as usize;
        let table: Arc<[NumberPage]> = self.pieces.read(pages, |table| {
            let entry = |entry: &[u8; NUMBER_ENTRY_LEN]| {
                let mut entry = Bytes(entry);
                let (least, greatest, nulls) = (entry.i64()?, entry.i64()?, entry.u8()? != 0);
                Ok(NumberPage { least, greatest, nulls, piece: Piece::read(&mut entry)? })
            };
            match table.as_chunks() {
                (entries, []) if entries.len() == count => {
                    Ok(entries.iter().map(entry).collect::<Result<_, Wrong>>()?)
                }
                // One page too few would leave rows out without a word.
                _ => Err("its pages of numbers are not as many as its rows need".into()),
            }
        })?;
        self.tables.insert(pages, table.clone());
        Ok(table)
    }

    /// Some rows by the page of numbers that they are in.
    pub(super) fn pages_of(&mut self, pages: Piece, rows: &Spans) -> Result<Vec<PageRows>, Fault> {
        let (table, total) = (self.number_table(pages)?, self.segment.rows);
        let (Some(first), Some(last)) = (rows.ranges().first(), rows.ranges().last()) else { return Ok(vec![]) };
        let (first, last) = ((first.start / PAGE_ROWS) as usize, (last.end.div_ceil(PAGE_ROWS)) as usize);
        let within = |(at, page): (usize, &NumberPage)| {
            let from = u32::try_from(at).expect("rows are bounded") * PAGE_ROWS;
            let to = total.min(from + PAGE_ROWS);
            PageRows { page: *page, from, count: to - from, rows: rows.within(&(from..to)) }
        };
        let all = table.iter().enumerate().take(last).skip(first).map(within);
        Ok(all.filter(|page| !page.rows.is_empty()).collect())
    }

    fn append<V>(
        &self,
        page: &PageRows,
        make: impl Fn(i64) -> V,
        values: &mut Vec<V>,
        present: &mut NullBufferBuilder,
    ) -> Result<(), Fault> {
        self.pieces.read(page.page.piece, |bytes| {
            let numbers = Numbers::decode(bytes, page.count as usize)?;
            for range in page.rows.ranges() {
                let place = |row: u32| (row - page.from) as usize;
                numbers.append(place(range.start)..place(range.end), &make, values, present);
            }
            Ok(())
        })
    }

    /// The numbers of the rows of a page; those that are NULL have any value.
    pub(super) fn page_numbers(&self, page: &PageRows) -> Result<(Vec<i64>, Option<NullBuffer>), Fault> {
        let len = page.rows.len();
        let (mut values, mut present) = (Vec::with_capacity(len), NullBufferBuilder::new(len));
        self.append(page, |value| value, &mut values, &mut present)?;
        Ok((values, present.finish()))
    }

    /// What `make` makes of the numbers of some rows; those that are NULL have any value.
    fn numbers_of<V>(
        &mut self,
        pages: Piece,
        rows: &Spans,
        make: impl Fn(i64) -> V,
    ) -> Result<(Vec<V>, Option<NullBuffer>), Fault> {
        let len = rows.len();
        let (mut values, mut present) = (Vec::with_capacity(len), NullBufferBuilder::new(len));
        for page in self.pages_of(pages, rows)? {
            self.append(&page, &make, &mut values, &mut present)?;
        }
        Ok((values, present.finish()))
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
        let (values, present) = self.numbers_of(column.pages, rows, |value| value)?;
        Ok(match ty {
            DataType::Int64 => Arc::new(Int64Array::new(values.into(), present)),
            DataType::Timestamp(..) => Arc::new(TimestampMicrosecondArray::new(values.into(), present)),
            DataType::Boolean => {
                Arc::new(BooleanArray::new(values.into_iter().map(|value| value != 0).collect(), present))
            }
            _ => return Err("a column has another type".into()),
        })
    }

    fn ids(&mut self, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        let (values, present) = self.numbers_of(column.pages, rows, |value| value)?;
        let mut builder = StringBuilder::with_capacity(rows.len(), 16 * rows.len());
        for (at, id) in values.into_iter().enumerate() {
            let is_there = present.as_ref().is_none_or(|present| present.is_valid(at));
            builder.append_option(is_there.then(|| ProcKey(id.cast_unsigned()).to_string()));
        }
        Ok(Arc::new(builder.finish()))
    }

    fn words(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        if !self.dictionaries.contains_key(&at) && rows.len() < column.values as usize / TEXTS_A_ROW {
            return self.texts(at, column, rows);
        }
        let (codes, texts) = self.coded(at, column, rows)?;
        if codes.iter().flatten().any(|code| code as usize >= texts.len()) {
            return Err("a code has no text".into());
        }
        take(&texts, &codes, None).map_err(|error| Fault::Damaged(error.to_string()))
    }

    /// The codes of some rows, and what they should stand for.
    fn coded(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<(UInt32Array, StringArray), Fault> {
        let texts = self.dictionary(at)?;
        // What does not fit is beyond any dictionary.
        let code = |code: i64| u32::try_from(code).unwrap_or(u32::MAX);
        let (mut codes, present) = self.numbers_of(column.codes, rows, code)?;
        if let Some(present) = &present {
            codes.iter_mut().zip(present).filter(|(_, is_there)| !is_there).for_each(|(code, _)| *code = 0);
        }
        Ok((UInt32Array::new(codes.into(), present), texts))
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

    /// The different texts of a column.
    pub(super) fn dictionary(&mut self, at: usize) -> Result<StringArray, Fault> {
        if let Some(known) = self.dictionaries.get(&at) {
            return Ok(known.clone());
        }
        let values = self.segment.columns[at].values as usize;
        let Self { pieces, texts, .. } = self.with_text_pages(at)?;
        let mut texts = texts.remove(&at).expect("it was opened");
        let mut builder = Texts::with_capacity(values);
        for page in 0..texts.count() {
            for text in texts.page(page, pieces)?.iter() {
                builder.append(Some(text))?;
            }
        }
        let all = builder.finish();
        self.dictionaries.insert(at, all.clone());
        Ok(all)
    }

    /// This, with the pages of a column of texts opened.
    pub(super) fn with_text_pages(&mut self, at: usize) -> Result<&mut Self, Fault> {
        if !self.texts.contains_key(&at) {
            let Column { pages, values, .. } = self.segment.columns[at];
            let opened = self.pieces.read(pages, |table| TextPages::open(table, values))?;
            self.texts.insert(at, opened);
        }
        Ok(self)
    }

    pub(super) fn text_pages(&mut self, at: usize) -> Result<&TextPages, Fault> {
        Ok(&self.with_text_pages(at)?.texts[&at])
    }

    /// The text of a column that a code stands for.
    pub(super) fn text(&mut self, at: usize, code: u32) -> Result<String, Fault> {
        let Self { pieces, texts, .. } = self.with_text_pages(at)?;
        texts.get_mut(&at).expect("it was opened").get(code, pieces).map(str::to_owned)
    }

    /// The texts of some rows, looked up one by one.
    fn texts(&mut self, at: usize, column: &Column, rows: &Spans) -> Result<ArrayRef, Fault> {
        let pages = self.pages_of(column.codes, rows)?;
        let this = self.with_text_pages(at)?;
        let mut known = this.texts.remove(&at).expect("it was opened");
        let mut found = Texts::with_capacity(rows.len());
        let mut derived = Spans::default();
        for page in pages {
            let (codes, present) = this.page_numbers(&page)?;
            if column.encoding == Encoding::Texts {
                // Rows come in order, and the texts of later ones are further on.
                known.forget_before(u32::try_from(page.page.least).unwrap_or(0));
            }
            for (at, (row, code)) in page.rows.iter().zip(codes).enumerate() {
                if present.as_ref().is_some_and(|present| present.is_null(at)) {
                    found.append(None)?;
                } else if code == i64::from(column.values) && column.encoding == Encoding::Texts {
                    derived.add(row..row + 1);
                    found.append(None)?;
                } else {
                    let code = u32::try_from(code).map_err(|_| "a code has no text")?;
                    found.append(Some(known.get(code, &this.pieces)?))?;
                }
            }
        }
        this.texts.insert(at, known);
        let texts = found.finish();
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
        let mut filled = Texts::with_capacity(texts.len());
        for (row, text) in rows.iter().zip(texts) {
            match sources.next_if(|(at, _)| *at == row) {
                Some((_, source)) => filled.append(source.map(make).as_deref())?,
                None => filled.append(text)?,
            }
        }
        Ok(Arc::new(filled.finish()))
    }
}

/// Texts of rows, together within their bound: a text that stands once may be that of many rows.
struct Texts(StringBuilder);

impl Texts {
    fn with_capacity(rows: usize) -> Self {
        Self(StringBuilder::with_capacity(rows, 0))
    }

    fn append(&mut self, text: Option<&str>) -> Result<(), Wrong> {
        if self.0.values_slice().len() + text.map_or(0, str::len) > DECODED_LEN_MAX {
            return Err("its texts are too long together");
        }
        self.0.append_option(text);
        Ok(())
    }

    fn finish(mut self) -> StringArray {
        self.0.finish()
    }
}
