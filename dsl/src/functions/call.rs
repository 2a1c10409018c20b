//! One evaluation of a function: its argument columns, row by row, and the column that it makes.
//!
//! A [`Row`] hands out borrowed cells, so nothing is copied that the result does not need. Unless a function asks for
//! NULLs, a row with one among its arguments gives NULL without being looked at.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::builder::{BinaryBuilder, StringBuilder};
use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, TimestampMicrosecondArray};
use regex::Regex;

use super::Prepared;
use crate::limits::{RESULT_LEN_MAX, RESULTS_LEN_MAX};
use crate::types::{Type, Value};

/// The arguments of one evaluation.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    columns: &'a [ArrayRef],
    rows: usize,
    returns: Type,
    prepared: &'a Prepared,
    with_nulls: bool,
}

impl<'a> Call<'a> {
    pub(super) fn new(columns: &'a [ArrayRef], rows: usize, returns: Type, prepared: &'a Prepared) -> Self {
        Self { columns, rows, returns, prepared, with_nulls: false }
    }

    /// Rows with NULLs among the arguments are looked at too.
    pub(super) fn with_nulls(self) -> Self {
        Self { with_nulls: true, ..self }
    }

    /// The pattern that was compiled when the rule was loaded.
    pub(super) fn regex(self) -> Option<&'a Regex> {
        self.prepared.regex.as_ref()
    }

    fn each<T>(self, mut work: impl FnMut(Row<'a>) -> Option<T>) -> impl Iterator<Item = Option<T>> {
        (0..self.rows).map(move |at| {
            let row = Row { columns: self.columns, at };
            let skipped = !self.with_nulls && (0..self.columns.len()).any(|argument| row.is_null(argument));
            if skipped { None } else { work(row) }
        })
    }

    /// A column of TEXT; what is too long is NULL.
    pub(super) fn text<S: AsRef<str>>(self, work: impl FnMut(Row<'a>) -> Option<S>) -> ArrayRef {
        let mut out = StringBuilder::with_capacity(self.rows, self.rows * 16);
        for text in self.each(work) {
            out.append_option(
                text.as_ref().map(AsRef::as_ref).filter(|text| fits(text.len(), out.values_slice().len())),
            );
        }
        Arc::new(out.finish())
    }

    /// A column of BLOB; what is too long is NULL.
    pub(super) fn blob<B: AsRef<[u8]>>(self, work: impl FnMut(Row<'a>) -> Option<B>) -> ArrayRef {
        let mut out = BinaryBuilder::with_capacity(self.rows, self.rows * 16);
        for bytes in self.each(work) {
            let room = out.values_slice().len();
            out.append_option(bytes.as_ref().map(AsRef::as_ref).filter(|bytes| fits(bytes.len(), room)));
        }
        Arc::new(out.finish())
    }

    /// A column of INTEGER.
    pub(super) fn integer(self, work: impl FnMut(Row<'a>) -> Option<i64>) -> ArrayRef {
        Arc::new(self.each(work).collect::<Int64Array>())
    }

    /// A column of INTEGER from counts.
    pub(super) fn count(self, mut work: impl FnMut(Row<'a>) -> usize) -> ArrayRef {
        self.integer(|row| i64::try_from(work(row)).ok())
    }

    /// A column of REAL; what is not a number is NULL.
    pub(super) fn real(self, mut work: impl FnMut(Row<'a>) -> Option<f64>) -> ArrayRef {
        Arc::new(self.each(|row| work(row).filter(|number| !number.is_nan())).collect::<Float64Array>())
    }

    /// A column of BOOLEAN.
    pub(super) fn boolean(self, work: impl FnMut(Row<'a>) -> Option<bool>) -> ArrayRef {
        Arc::new(self.each(work).collect::<BooleanArray>())
    }

    /// A column of TIMESTAMP.
    pub(super) fn timestamp(self, work: impl FnMut(Row<'a>) -> Option<i64>) -> ArrayRef {
        Arc::new(self.each(work).collect::<TimestampMicrosecondArray>())
    }

    /// A column of the call's own type.
    pub(super) fn value(self, work: impl FnMut(Row<'a>) -> Option<Value>) -> ArrayRef {
        self.returns.array(self.each(work).map(Option::unwrap_or_default))
    }
}

fn fits(len: usize, before: usize) -> bool {
    len <= RESULT_LEN_MAX && before + len <= RESULTS_LEN_MAX
}

/// The arguments of one row. The accessors of one type are for arguments that the checker has made of that type and
/// that are not NULL.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    columns: &'a [ArrayRef],
    at: usize,
}

impl<'a> Row<'a> {
    /// How many arguments were given.
    pub(super) fn len(self) -> usize {
        self.columns.len()
    }

    pub(super) fn is_null(self, argument: usize) -> bool {
        self.columns[argument].is_null(self.at)
    }

    pub(super) fn text(self, argument: usize) -> &'a str {
        self.columns[argument].as_string::<i32>().value(self.at)
    }

    /// The text, unless it is NULL.
    pub(super) fn text_or_null(self, argument: usize) -> Option<&'a str> {
        (!self.is_null(argument)).then(|| self.text(argument))
    }

    /// The text, if the argument was given.
    pub(super) fn given_text(self, argument: usize) -> Option<&'a str> {
        (argument < self.len()).then(|| self.text(argument))
    }

    pub(super) fn bytes(self, argument: usize) -> &'a [u8] {
        self.columns[argument].as_binary::<i32>().value(self.at)
    }

    pub(super) fn integer(self, argument: usize) -> i64 {
        self.columns[argument].as_primitive::<Int64Type>().value(self.at)
    }

    /// The number, if the argument was given.
    pub(super) fn given_integer(self, argument: usize) -> Option<i64> {
        (argument < self.len()).then(|| self.integer(argument))
    }

    pub(super) fn real(self, argument: usize) -> f64 {
        self.columns[argument].as_primitive::<Float64Type>().value(self.at)
    }

    pub(super) fn timestamp(self, argument: usize) -> i64 {
        self.columns[argument].as_primitive::<TimestampMicrosecondType>().value(self.at)
    }

    pub(super) fn interval(self, argument: usize) -> i64 {
        self.columns[argument].as_primitive::<DurationMicrosecondType>().value(self.at)
    }

    /// The row with one argument alone.
    pub(super) fn only(self, argument: usize) -> Self {
        Self { columns: &self.columns[argument..=argument], ..self }
    }

    /// The cell, whatever its type.
    pub(super) fn value(self, argument: usize) -> Value {
        Value::at(&self.columns[argument], self.at)
    }

    /// The cell as text, as `||` gives it; nothing for NULL.
    pub(super) fn shown(self, argument: usize) -> Option<Cow<'a, str>> {
        if self.is_null(argument) {
            return None;
        }
        Some(match self.ty(argument) {
            Type::Text => Cow::Borrowed(self.text(argument)),
            _ => Cow::Owned(crate::convert::to_text(&self.value(argument))),
        })
    }

    /// The type of the argument.
    pub(super) fn ty(self, argument: usize) -> Type {
        Type::from_arrow(self.columns[argument].data_type()).expect("every column has a layout of ours")
    }
}

/// Text that grows no further than a result may.
#[derive(Default)]
pub(super) struct Growing(String);

impl Growing {
    /// Appends, or gives nothing when that would be too much.
    pub(super) fn push(&mut self, text: &str) -> Option<()> {
        (self.0.len() + text.len() <= RESULT_LEN_MAX).then(|| self.0.push_str(text))
    }

    /// Appends a character so many times.
    pub(super) fn fill(&mut self, c: char, count: usize) -> Option<()> {
        let fits = count.checked_mul(c.len_utf8()).is_some_and(|len| self.0.len() + len <= RESULT_LEN_MAX);
        fits.then(|| self.0.extend(std::iter::repeat_n(c, count)))
    }

    /// What there is so far.
    pub(super) fn finish(self) -> String {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::functions::overloads;

    /// The answer of one row of texts.
    fn call(name: &str, args: &[&str]) -> Value {
        let columns: Vec<_> = args.iter().map(|arg| Type::Text.array([Value::Text((*arg).to_owned())])).collect();
        let function = overloads(name).next().unwrap();
        Value::at(&function.evaluate(&columns, 1, Type::Text, &Arc::new(Prepared::default())), 0)
    }

    #[test]
    fn what_grows_too_long_is_null() {
        let (half, long) = ("a".repeat(RESULT_LEN_MAX / 2), "a".repeat(RESULT_LEN_MAX));
        let len = |value: &Value| value.as_text().map(str::len);
        assert_eq!(len(&call("hex", &[&half])), Some(RESULT_LEN_MAX));
        assert!(call("hex", &[&format!("{half}a")]).is_null());
        assert_eq!(len(&call("concat", &[&half, &half])), Some(RESULT_LEN_MAX));
        assert!(call("concat", &[&long, "a"]).is_null());
        assert!(call("concat_ws", &[&half, &half, "a"]).is_null());
        // These would take gigabytes before anybody looked.
        assert!(call("replace", &[&half, "a", &half]).is_null());
        assert!(call("regexp_replace", &[&half, "a", &half]).is_null());
        for format in ["%999999999d", "%.999999999d", "%999999999s", "%.999999999c", "%999999999f", "%*d"] {
            assert!(call("printf", &[format, "99999999999"]).is_null(), "{format}");
        }
        assert!(call("json_array", &[&long]).is_null());
        assert!(call("json_array_length", &[&"[".repeat(RESULT_LEN_MAX)]).is_null());
    }
}
