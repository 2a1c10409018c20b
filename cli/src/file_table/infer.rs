//! What a column is, from all its cells.
//!
//! | cells | type |
//! |---|---|
//! | integers | INTEGER |
//! | numbers, among them one with a fraction, an exponent or more than 64 bits | REAL |
//! | `true` and `false` | BOOLEAN |
//! | text, objects, arrays, any other mix, nothing at all | TEXT, as JSON spells it |
//!
//! NULL belongs to every type. A type that was declared is taken instead, and then every cell has to be of it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use daemoneye_dsl::convert::numeric;
use daemoneye_dsl::types::{MICROS_PER_SEC, Timestamp, Type, Value};

use super::spelled::{Spelled, Spelling};

/// The type of all the cells together.
pub(super) fn infer(column: &Spelled) -> Type {
    const BOOLEANS: u8 = Spelling::Boolean as u8;
    const INTEGERS: u8 = Spelling::Integer as u8;
    const NUMBERS: u8 = Spelling::Integer as u8 | Spelling::Real as u8;
    match column.met {
        BOOLEANS => Type::Boolean,
        INTEGERS => Type::Integer,
        met if met != 0 && met & !NUMBERS == 0 => Type::Real,
        _ => Type::Text,
    }
}

/// How a number is spelled: JSON's grammar, in which one with leading zeros is none.
pub(super) fn number(text: &str) -> Option<Spelling> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let rest = text.strip_prefix('-').unwrap_or(text);
    let whole = digits(rest);
    if whole == 0 || (whole > 1 && rest.starts_with('0')) {
        return None;
    }
    let mut rest = &rest[whole..];
    if rest.is_empty() {
        return Some(if text.parse::<i64>().is_ok() { Spelling::Integer } else { Spelling::Real });
    }
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = digits(fraction);
        if len == 0 {
            return None;
        }
        rest = &fraction[len..];
    }
    if let Some(exponent) = rest.strip_prefix(['e', 'E']) {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let len = digits(exponent);
        if len == 0 {
            return None;
        }
        rest = &exponent[len..];
    }
    rest.is_empty().then_some(Spelling::Real)
}

/// The cells as the type that all of them have.
pub(super) fn array(column: Spelled, ty: Type) -> ArrayRef {
    let cells = |column: &Spelled| column.kinds.len();
    match ty {
        Type::Boolean => {
            let values = (0..cells(&column)).map(|record| match column.cell(record) {
                (Spelling::Null, _) => None,
                (_, text) => Some(text == "true"),
            });
            Arc::new(values.collect::<BooleanArray>())
        }
        Type::Integer => {
            let values = (0..cells(&column)).map(|record| column.cell(record).1.parse::<i64>().ok());
            Arc::new(values.collect::<Int64Array>())
        }
        Type::Real => {
            let values = (0..cells(&column)).map(|record| column.cell(record).1.parse::<f64>().ok());
            Arc::new(values.collect::<Float64Array>())
        }
        _ => text(column),
    }
}

/// The spellings, whose bytes become the array's.
fn text(column: Spelled) -> ArrayRef {
    let nulls: NullBuffer = column.kinds.iter().map(|kind| *kind != Spelling::Null).collect();
    let offsets: Vec<i32> = std::iter::once(0).chain(column.ends).collect();
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let array = StringArray::try_new(offsets, Buffer::from_vec(column.text.into_bytes()), Some(nulls))
        .expect("cells end at the boundaries of characters");
    Arc::new(if array.null_count() == 0 {
        StringArray::new(array.offsets().clone(), array.values().clone(), None)
    } else {
        array
    })
}

/// The cells as a type that was declared; else the record whose cell is not of it, and the cell.
pub(super) fn declared(column: Spelled, ty: Type) -> Result<ArrayRef, (usize, String)> {
    if ty == Type::Text || ty == infer(&column) {
        return Ok(array(column, ty));
    }
    convert_all(column.kinds.len(), ty, |record| {
        let (kind, text) = column.cell(record);
        (kind, Cow::Borrowed(text))
    })
}

/// Cells of another type as `ty`, by way of their JSON spelling.
pub(super) fn retyped(array: &ArrayRef, ty: Type) -> Result<ArrayRef, (usize, String)> {
    convert_all(array.len(), ty, |record| {
        let json = Value::at(array, record).to_json();
        match json {
            serde_json::Value::Null => (Spelling::Null, "".into()),
            serde_json::Value::Bool(value) => (Spelling::Boolean, value.to_string().into()),
            serde_json::Value::Number(number) if number.is_f64() => (Spelling::Real, number.to_string().into()),
            serde_json::Value::Number(number) => (Spelling::Integer, number.to_string().into()),
            serde_json::Value::String(text) => (Spelling::Text, text.into()),
            other => (Spelling::Json, other.to_string().into()),
        }
    })
}

fn convert_all<'c>(
    records: usize,
    ty: Type,
    cell: impl Fn(usize) -> (Spelling, Cow<'c, str>),
) -> Result<ArrayRef, (usize, String)> {
    let mut wrong = None;
    let array = ty.array((0..records).map_while(|record| {
        let (kind, text) = cell(record);
        let value = convert(kind, &text, ty);
        if value.is_none() {
            wrong = Some((record, text.into_owned()));
        }
        value
    }));
    wrong.map_or(Ok(array), Err)
}

/// A cell as `ty`. Text that spells a value of the type is one; moments may be numbers, seconds since 1970.
fn convert(kind: Spelling, text: &str, ty: Type) -> Option<Value> {
    match (ty, kind) {
        (_, Spelling::Null) => Some(Value::Null),
        (Type::Text, _) => Some(Value::Text(text.to_owned())),
        (_, Spelling::Json) => None,
        (Type::Integer, Spelling::Boolean) => Some(Value::Integer(i64::from(text == "true"))),
        (Type::Integer, _) => whole(text).map(Value::Integer),
        (Type::Real, Spelling::Boolean) => Some(Value::Real(f64::from(u8::from(text == "true")))),
        (Type::Real, _) => real(text).map(Value::Real),
        (Type::Boolean, _) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(Value::Boolean(true)),
            "false" | "0" => Some(Value::Boolean(false)),
            _ => None,
        },
        (Type::Timestamp, Spelling::Text) => Timestamp::parse(text).map(|moment| Value::Timestamp(moment.0)),
        (Type::Timestamp, Spelling::Integer | Spelling::Real) => seconds(text).map(Value::Timestamp),
        (Type::Blob, Spelling::Text) => bytes(text).map(Value::Blob),
        (Type::Timestamp | Type::Blob | Type::Interval, _) => None,
    }
}

fn whole(text: &str) -> Option<i64> {
    match numeric(text)? {
        Value::Integer(number) => Some(number),
        #[expect(clippy::cast_possible_truncation, reason = "the bound is checked first")]
        Value::Real(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Some(number as i64),
        _ => None,
    }
}

fn real(text: &str) -> Option<f64> {
    match numeric(text)? {
        #[expect(clippy::cast_precision_loss, reason = "REAL has 53 bits, as declared")]
        Value::Integer(number) => Some(number as f64),
        Value::Real(number) => Some(number),
        _ => None,
    }
}

/// Microseconds since 1970, if the moment is in one of the years 0 to 9999.
pub(super) fn seconds(text: &str) -> Option<i64> {
    const LAST: f64 = 253_402_300_799.0;
    const FIRST: f64 = -62_167_219_200.0;
    if let Ok(seconds) = text.parse::<i64>() {
        let micros = seconds.checked_mul(MICROS_PER_SEC)?;
        return (real(text)? >= FIRST && real(text)? <= LAST).then_some(micros);
    }
    let seconds = real(text).filter(|seconds| (FIRST..=LAST).contains(seconds))?;
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked first")]
    Some((seconds * 1e6).round() as i64)
}

/// The bytes that hexadecimal digits stand for: as JSON output spells a BLOB.
fn bytes(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_in_json() {
        for text in ["0", "-0", "7", "-12", "9223372036854775807"] {
            assert_eq!(number(text), Some(Spelling::Integer), "{text}");
        }
        for text in ["0.5", "-1.25e3", "1e9", "9223372036854775808", "1E+2", "1e-2"] {
            assert_eq!(number(text), Some(Spelling::Real), "{text}");
        }
        for text in ["", "-", "007", "-01", ".5", "5.", "1e", "1e+", "+1", " 1", "1 ", "0x1f", "NaN", "Infinity"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn a_declared_type_takes_what_spells_it_and_nothing_else() {
        use Spelling::{Boolean, Integer, Json, Real, Text};
        let is = |kind, text, ty, value| assert_eq!(convert(kind, text, ty).unwrap(), value, "{text}");
        is(Text, "2124", Type::Integer, Value::Integer(2124));
        is(Real, "5.0", Type::Integer, Value::Integer(5));
        is(Boolean, "true", Type::Integer, Value::Integer(1));
        is(Text, "TRUE", Type::Boolean, Value::Boolean(true));
        is(Integer, "7", Type::Text, Value::Text("7".to_owned()));
        is(Text, "2026-11-22 10:30:00.5", Type::Timestamp, Value::Timestamp(1_795_343_400_500_000));
        is(Integer, "1795343400", Type::Timestamp, Value::Timestamp(1_795_343_400_000_000));
        is(Text, "00fF", Type::Blob, Value::Blob(vec![0, 255]));
        for (kind, text, ty) in [
            (Text, "0x1f", Type::Integer),
            (Real, "5.5", Type::Integer),
            (Integer, "2", Type::Boolean),
            (Integer, "1795343400000", Type::Timestamp),
            (Text, "yesterday", Type::Timestamp),
            (Text, "abc", Type::Blob),
            (Json, "[1]", Type::Integer),
        ] {
            assert!(convert(kind, text, ty).is_none(), "{text}");
        }
    }
}
