//! Reading a segment: which rows may be wanted, and their values.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, StringArray, new_null_array};
use arrow_schema::DataType;
use arrow_select::concat::concat;
use daemoneye_dsl::pattern::Literal;
use daemoneye_dsl::types::Value;

use super::pages::TextPages;
use super::pairs::{self, Places};
use super::pieces::{ChunkTable, Fault, Piece, Pieces};
use super::values::{NumberPage, PageRows};
use super::{Column, Encoding, PAGE_ROWS, Segment, Spans, grams, hash_of_number, hash_of_text};
use crate::keys::ProcKey;
use crate::reader::Question;

/// Runs of codes that are looked up one by one; with more, every row's code is looked at.
const RUNS_MAX: usize = 64;
/// Grams of a literal that are looked for; more say little more.
const GRAMS_MAX: usize = 12;

/// A segment that is being read.
pub(crate) struct Reading<'t, T> {
    pub(super) pieces: Pieces<'t, T>,
    pub(super) segment: Segment,
    /// What was read and will be wanted again: tables of pages of numbers; by column, texts.
    pub(super) tables: HashMap<Piece, Arc<[NumberPage]>>,
    pub(super) dictionaries: HashMap<usize, StringArray>,
    pub(super) texts: HashMap<usize, TextPages>,
    /// By column of a dictionary that was probed: the codes that were found.
    found: HashMap<usize, Vec<u32>>,
    /// By column of which every wanted row has one of these codes.
    only: HashMap<usize, Vec<u32>>,
}

impl<'t, T: ChunkTable> Reading<'t, T> {
    pub(crate) fn new(table: &'t T, segment: Segment) -> Self {
        Self {
            pieces: Pieces::new(table, segment.edition),
            segment,
            tables: HashMap::new(),
            dictionaries: HashMap::new(),
            texts: HashMap::new(),
            found: HashMap::new(),
            only: HashMap::new(),
        }
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Bytes of all pieces that were read so far.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.pieces.bytes_read()
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

    pub(super) fn position(&self, name: &str) -> Option<usize> {
        self.segment.columns.iter().position(|column| column.name == name)
    }

    pub(super) fn column(&self, at: usize) -> Column {
        self.segment.columns[at].clone()
    }

    /// Whether the texts of a column are stored as they are, because they are unlike each other.
    pub(crate) fn is_unlike(&self, name: &str) -> bool {
        self.segment.column(name).is_some_and(|column| column.encoding == Encoding::Texts)
    }

    fn all(&self) -> Spans {
        Spans::all(self.segment.rows)
    }

    /// The rows in which a probe may be met; nothing if that cannot be told without reading them.
    pub(crate) fn probe(&mut self, name: &str, question: &Question) -> Result<Option<Spans>, Fault> {
        let Some(at) = self.position(name) else { return Ok(None) };
        let column = self.column(at);
        self.found.remove(&at);
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
            (Encoding::Texts, Question::Equal(Value::Text(text))) => self.rows_with(at, &column, &whole(text)),
            (Encoding::Texts, Question::Contains(literal)) => self.rows_with(at, &column, literal),
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
        for (from, page) in (0..rows).step_by(PAGE_ROWS as usize).zip(&*self.number_table(column.pages)?) {
            if wanted(range(page.least, page.greatest).as_ref(), page.nulls) {
                spans.add(from..rows.min(from + PAGE_ROWS));
            }
        }
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
        pairs::find(root, keys, places, &mut |piece, read| self.pieces.read(piece, read))
    }

    /// The rows whose texts are in pages that can hold a literal; nothing if that cannot be told.
    fn rows_with(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Option<Spans>, Fault> {
        let Some(pages) = self.gram_pages(at, column, literal)? else { return Ok(None) };
        let texts = self.text_pages(at)?;
        let pages = pages.iter().map(|page| page as usize).filter(|page| *page < texts.count());
        let codes = Spans::of_ranges(pages.map(|page| texts.range(page)).collect());
        self.rows_of_texts(column, &codes).map(Some)
    }

    /// The numbers of the pages that have every gram of a literal.
    fn gram_pages(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Option<Spans>, Fault> {
        if column.grams.is_none() || literal.bytes.len() < grams::GRAM_LEN {
            return Ok(None);
        }
        let pages = u32::try_from(self.text_pages(at)?.count()).map_err(|_| "it claims too many pages")?;
        let mut found: Option<Spans> = None;
        let every = (literal.bytes.len() - grams::GRAM_LEN) / GRAMS_MAX + 1;
        for key in grams::keys(&literal.bytes).step_by(every) {
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

    /// The rows whose texts have a literal, and notes their codes.
    fn literal_in_dictionary(&mut self, at: usize, column: &Column, literal: &Literal) -> Result<Spans, Fault> {
        // Most literals are in no page of a large dictionary.
        let pages = self.gram_pages(at, column, literal)?;
        let Self { pieces, texts, .. } = self.with_text_pages(at)?;
        let texts = texts.get_mut(&at).expect("it was opened");
        let count = texts.count();
        let pages = pages.unwrap_or_else(|| Spans::all(count.try_into().unwrap_or(u32::MAX)));
        let mut codes = Vec::new();
        for page in pages.iter().map(|page| page as usize).filter(|page| *page < count) {
            let range = texts.range(page);
            let with = range.zip(texts.page(page, pieces)?.iter()).filter(|(_, text)| has(text, literal));
            codes.extend(with.map(|(code, _)| code));
        }
        let all = self.all();
        let rows = self.rows_of_codes(column, &codes, false, &all);
        self.found.insert(at, codes);
        rows
    }

    /// Says that only rows are wanted that the last probe of a column found.
    pub(crate) fn only_found(&mut self, name: &str) {
        if let Some((at, codes)) = self.position(name).and_then(|at| Some((at, self.found.remove(&at)?))) {
            self.only.insert(at, codes);
        }
    }

    /// The rows, of some, whose code is one of these, in order, or NULL if that is wanted.
    fn rows_of_codes(&mut self, column: &Column, wanted: &[u32], null: bool, among: &Spans) -> Result<Spans, Fault> {
        let null = null && column.nulls > 0;
        if !null && wanted.is_empty() {
            return Ok(Spans::default());
        }
        if wanted.len() == column.values as usize && (null || column.nulls == 0) {
            return Ok(among.clone());
        }
        // Like texts have codes beside each other, and so have their rows in the index.
        let runs: Vec<&[u32]> = wanted.chunk_by(|one, other| one + 1 == *other).take(RUNS_MAX + 1).collect();
        let are_few = runs.len() <= RUNS_MAX && wanted.len() <= column.values as usize / 2;
        if !null && are_few && !column.index.is_none() {
            let mut rows = Vec::new();
            let mut all_there = true;
            for run in runs {
                match self.places(column.index, &(run[0]..=run[run.len() - 1]), self.segment.rows)? {
                    Places::At(found) => rows.extend(found),
                    Places::Anywhere => all_there = false,
                }
            }
            if all_there {
                return Ok(Spans::of(rows).and(among));
            }
        }
        let mut is_wanted = vec![false; column.values as usize];
        for code in wanted {
            if let Some(is_wanted) = is_wanted.get_mut(*code as usize) {
                *is_wanted = true;
            }
        }
        let is_wanted = |code: i64| usize::try_from(code).is_ok_and(|code| is_wanted.get(code).is_some_and(|it| *it));
        let mut spans = Spans::default();
        for page in self.pages_of(column.codes, among)? {
            self.add_where(&page, &mut spans, |code| code.map_or(null, is_wanted))?;
        }
        Ok(spans)
    }

    /// The rows whose texts' numbers are among these.
    fn rows_of_texts(&mut self, column: &Column, texts: &Spans) -> Result<Spans, Fault> {
        let mut spans = Spans::default();
        for page in self.pages_of(column.codes, &self.all())? {
            // Texts that are near each other belong to rows that are.
            let near = texts.near(page.page.least, page.page.greatest);
            let is_near =
                |code: i64| near.iter().any(|range| (i64::from(range.start)..i64::from(range.end)).contains(&code));
            if !near.is_empty() {
                self.add_where(&page, &mut spans, |code| code.is_some_and(is_near))?;
            }
        }
        Ok(spans)
    }

    /// Adds the rows of a page whose number is wanted.
    fn add_where(
        &self,
        page: &PageRows,
        spans: &mut Spans,
        is_wanted: impl Fn(Option<i64>) -> bool,
    ) -> Result<(), Fault> {
        let (numbers, present) = self.page_numbers(page)?;
        for (at, (row, number)) in page.rows.iter().zip(numbers).enumerate() {
            let is_there = present.as_ref().is_none_or(|present| present.is_valid(at));
            if is_wanted(is_there.then_some(number)) {
                spans.add(row..row + 1);
            }
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
        if let Some(codes) = self.only.get(&at).cloned() {
            let texts =
                codes.iter().map(|code| Ok(Some(self.text(at, *code)?))).collect::<Result<StringArray, Fault>>()?;
            let passed = test(&(Arc::new(texts) as ArrayRef));
            let wanted: Vec<u32> = (0..).zip(&codes).filter(|(at, _)| is_true(&passed, *at)).map(|it| *it.1).collect();
            if wanted.len() == codes.len() {
                return Ok(Some(among.clone()));
            }
            return self.rows_of_codes(&column, &wanted, false, among).map(Some);
        }
        let texts = self.dictionary(at)?;
        let values = concat(&[&texts, &null]).map_err(|error| Fault::Damaged(error.to_string()))?;
        let passed = test(&values);
        let wanted: Vec<u32> = (0..column.values).filter(|code| is_true(&passed, *code as usize)).collect();
        self.rows_of_codes(&column, &wanted, is_true(&passed, texts.len()), among).map(Some)
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

/// A number as the double next to it: what is not less stays so.
#[expect(clippy::cast_precision_loss, reason = "rounding keeps the order of what it does not make equal")]
pub(crate) fn rounded(value: i64) -> f64 {
    value as f64
}

fn is_true(passed: &BooleanArray, at: usize) -> bool {
    passed.is_valid(at) && passed.value(at)
}
