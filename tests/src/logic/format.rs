//! Values as the test files spell them.

use daemoneye_dsl::convert;
use daemoneye_dsl::types::{Value, hex};
use md5::{Digest, Md5};

/// As sqllogictest's own runner prints a value in a column of type `I`, `R` or `T`.
pub(super) fn typed(value: &Value, column: char, bits: Bits) -> String {
    if value.is_null() {
        return "NULL".to_owned();
    }
    match column {
        'I' if bits == Bits::Lower32 => lower_32(integer(value)).to_string(),
        'I' => integer(value).to_string(),
        'R' => three_decimals(real(value)),
        _ => {
            let text = plain(value);
            if text.is_empty() {
                return "(empty)".to_owned();
            }
            let shown = |byte: u8| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '@' };
            text.bytes().map(shown).collect()
        }
    }
}

/// How much of an integer a file's writer has printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bits {
    /// All of it.
    All,
    /// What the runner of SQLite's own files prints.
    Lower32,
}

#[expect(clippy::cast_possible_truncation, reason = "as `sqlite3_column_int` does")]
fn lower_32(value: i64) -> i32 {
    value as i32
}

/// As SQLite turns the value into text; NULL is empty.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Boolean(value) => i64::from(*value).to_string(),
        Value::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        // SQLite prints 15 digits.
        Value::Real(real) => convert::real_to_text(format!("{real:.14e}").parse().unwrap_or(*real)),
        value => convert::to_text(value),
    }
}

fn integer(value: &Value) -> i64 {
    match convert::cast(value.clone(), daemoneye_dsl::types::Type::Integer) {
        Value::Integer(value) => value,
        _ => 0,
    }
}

fn real(value: &Value) -> f64 {
    match convert::cast(value.clone(), daemoneye_dsl::types::Type::Real) {
        // A zero has no sign in print.
        Value::Real(value) => value + 0.0,
        _ => 0.0,
    }
}

/// `%.3f` as SQLite does it: no more than 16 digits, then zeros.
fn three_decimals(real: f64) -> String {
    if real.abs() < 1e12 || !real.is_finite() {
        return format!("{real:.3}");
    }
    let text = format!("{:.15e}", real.abs());
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let whole = exponent.parse::<usize>().unwrap_or(0) + 1;
    let digits = digits.replace('.', "");
    let padded = format!("{digits:0<width$}", width = whole + 3);
    let sign = if real < 0.0 { "-" } else { "" };
    format!("{sign}{}.{}", &padded[..whole], &padded[whole..whole + 3])
}

/// `30 values hashing to …`.
pub(super) fn hashed(values: &[String]) -> String {
    let mut hasher = Md5::new();
    for value in values {
        hasher.update(value.as_bytes());
        hasher.update(b"\n");
    }
    format!("{} values hashing to {}", values.len(), hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_spelled_as_the_files_have_them() {
        assert_eq!(typed(&Value::Real(2.0), 'I', Bits::All), "2");
        assert_eq!(typed(&Value::Text("7x".to_owned()), 'I', Bits::All), "7");
        assert_eq!(typed(&Value::Integer(2), 'R', Bits::All), "2.000");
        assert_eq!(typed(&Value::Real(-0.0), 'R', Bits::All), "0.000");
        assert_eq!(typed(&Value::Text(String::new()), 'T', Bits::All), "(empty)");
        assert_eq!(typed(&Value::Text("a\nb".to_owned()), 'T', Bits::All), "a@b");
        assert_eq!(typed(&Value::Null, 'T', Bits::All), "NULL");
        assert_eq!(typed(&Value::Real(-18_446_744_073_709_551_616.0), 'R', Bits::All), "-18446744073709550000.000");
        assert_eq!(typed(&Value::Real(20.0 / 3.0), 'T', Bits::All), "6.66666666666667");
        assert_eq!(typed(&Value::Integer(1 << 32), 'I', Bits::Lower32), "0");
    }

    #[test]
    fn hashes_are_md5_of_lines() {
        let values = ["1", "2"].map(str::to_owned);
        assert_eq!(hashed(&values), "2 values hashing to 6ddb4095eb719e2a9f0a3f95677d24e0");
    }
}
