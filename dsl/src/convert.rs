//! One value in another type, as SQLite's CAST and its printing of numbers have it.

use crate::types::{Timestamp, Type, Value};

/// The value as `to`; NULL where there is none.
///
/// TEXT to a number reads the longest prefix that is one, else 0; REAL to INTEGER truncates and stays within 64 bits;
/// a number to BOOLEAN asks whether it is not zero.
pub fn cast(value: Value, to: Type) -> Value {
    match (to, value) {
        (_, Value::Null) => Value::Null,
        (Type::Integer, value) => integer(&value),
        (Type::Real, value) => real(&value),
        (Type::Boolean, value) => match real(&value) {
            Value::Real(number) => Value::Boolean(number != 0.0),
            _ => Value::Null,
        },
        (Type::Text, value) => Value::Text(to_text(&value)),
        (Type::Blob, Value::Blob(bytes)) => Value::Blob(bytes),
        (Type::Blob, value) => Value::Blob(to_text(&value).into_bytes()),
        (Type::Timestamp, Value::Timestamp(micros)) => Value::Timestamp(micros),
        (Type::Timestamp, Value::Text(text)) => {
            Timestamp::parse(&text).map_or(Value::Null, |it| Value::Timestamp(it.0))
        }
        (Type::Interval, Value::Interval(micros)) => Value::Interval(micros),
        (Type::Interval, Value::Text(text)) => crate::types::parse_interval(&text).map_or(Value::Null, Value::Interval),
        (Type::Timestamp | Type::Interval, _) => Value::Null,
    }
}

fn integer(value: &Value) -> Value {
    Value::Integer(match value {
        Value::Integer(value) => *value,
        Value::Boolean(value) => i64::from(*value),
        Value::Real(value) => saturate(*value),
        Value::Text(text) => integer_prefix(text),
        Value::Blob(bytes) => integer_prefix(&String::from_utf8_lossy(bytes)),
        Value::Null | Value::Timestamp(_) | Value::Interval(_) => return Value::Null,
    })
}

fn real(value: &Value) -> Value {
    Value::Real(match value {
        #[expect(clippy::cast_precision_loss, reason = "REAL has 53 bits; so has SQLite's")]
        Value::Integer(value) => *value as f64,
        Value::Boolean(value) => f64::from(u8::from(*value)),
        Value::Real(value) => *value,
        Value::Text(text) => real_prefix(text),
        Value::Blob(bytes) => real_prefix(&String::from_utf8_lossy(bytes)),
        Value::Null | Value::Timestamp(_) | Value::Interval(_) => return Value::Null,
    })
}

/// The integer part, held within 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is what is wanted")]
pub fn saturate(value: f64) -> i64 {
    value as i64
}

fn integer_prefix(text: &str) -> i64 {
    let text = text.trim_start_matches(is_space);
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 {
        return 0;
    }
    let digits = &unsigned[..unsigned.find(|c: char| !c.is_ascii_digit()).unwrap_or(unsigned.len())];
    let sign = if text.starts_with('-') { "-" } else { "" };
    match (digits.is_empty(), format!("{sign}{digits}").parse()) {
        (true, _) => 0,
        (false, Ok(number)) => number,
        (false, Err(_)) if sign.is_empty() => i64::MAX,
        (false, Err(_)) => i64::MIN,
    }
}

fn real_prefix(text: &str) -> f64 {
    let text = text.trim_start_matches(is_space);
    text[..number_len(text)].parse().unwrap_or(0.0)
}

/// The number that the whole text is, spaces around it allowed: SQLite's numeric affinity.
pub fn numeric(text: &str) -> Option<Value> {
    let text = text.trim_matches(is_space);
    if text.is_empty() || number_len(text) != text.len() {
        return None;
    }
    text.strip_prefix('+')
        .unwrap_or(text)
        .parse()
        .map(Value::Integer)
        .ok()
        .or_else(|| text.parse().map(Value::Real).ok())
}

/// Bytes of the number at the start: sign, digits, fraction, exponent.
fn number_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from.min(bytes.len())..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mut at = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let whole = digits(at);
    at += whole;
    let mut fraction = 0;
    if bytes.get(at) == Some(&b'.') {
        fraction = digits(at + 1);
        if whole + fraction > 0 {
            at += 1 + fraction;
        }
    }
    if whole + fraction == 0 {
        return 0;
    }
    if matches!(bytes.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent > 0 {
            at += 1 + sign + exponent;
        }
    }
    at
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// The text of a value, as CAST and `||` give it.
pub fn to_text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Integer(value) => value.to_string(),
        Value::Real(value) => real_to_text(*value),
        Value::Text(value) => value.clone(),
        Value::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::Boolean(value) => u8::from(*value).to_string(),
        Value::Timestamp(value) => Timestamp(*value).rfc3339(),
        Value::Interval(value) => crate::types::display_interval(*value),
    }
}

/// A REAL with the fewest digits that read back as the same number, and always a point or an exponent.
///
/// SQLite prints 15 digits where they suffice and 17 else; where 15 do, the two agree.
pub fn real_to_text(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "Inf" } else { "-Inf" }.to_owned();
    }
    if value == 0.0 {
        return "0.0".to_owned();
    }
    let scientific = format!("{value:e}");
    let (mantissa, exponent) = scientific.split_once('e').expect("this format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let sign = if mantissa.starts_with('-') { "-" } else { "" };
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    if !(-4..17).contains(&exponent) {
        let (first, rest) = digits.split_at(1);
        let rest = if rest.is_empty() { "0" } else { rest };
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        return format!("{sign}{first}.{rest}e{exponent_sign}{:02}", exponent.unsigned_abs());
    }
    let point = exponent + 1;
    match usize::try_from(point) {
        Ok(point) if point > 0 => {
            let padded = format!("{digits:0<point$}");
            let (whole, fraction) = padded.split_at(point);
            format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
        }
        _ => format!("{sign}0.{}{digits}", "0".repeat(usize::try_from(-point).unwrap_or(0))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_with_the_digits_they_need() {
        for (value, text) in [
            (1.0, "1.0"),
            (0.1, "0.1"),
            (-2.5, "-2.5"),
            (1e16, "10000000000000000.0"),
            (1e17, "1.0e+17"),
            (123_456_789_012_345.0, "123456789012345.0"),
            (1e-5, "1.0e-05"),
            (0.0001, "0.0001"),
            (1.0 / 3.0, "0.3333333333333333"),
            (1e300, "1.0e+300"),
            (9.223_372_036_854_776e18, "9.223372036854776e+18"),
        ] {
            assert_eq!(real_to_text(value), text);
            assert_eq!(real_prefix(text).to_bits(), value.to_bits(), "{text}");
        }
    }

    #[test]
    fn text_gives_the_number_at_its_start() {
        for (text, number) in
            [("12abc", 12), ("  -7", -7), ("", 0), ("abc", 0), ("+3", 3), ("99999999999999999999", i64::MAX)]
        {
            assert_eq!(cast(Value::Text(text.to_owned()), Type::Integer), Value::Integer(number), "{text}");
        }
        for (text, number) in [("1.5e2x", 150.0), (".5", 0.5), ("-.", 0.0), ("1e", 1.0)] {
            assert_eq!(cast(Value::Text(text.to_owned()), Type::Real), Value::Real(number), "{text}");
        }
        assert_eq!(numeric(" 5 "), Some(Value::Integer(5)));
        assert_eq!(numeric("5.5"), Some(Value::Real(5.5)));
        assert_eq!(numeric("5x"), None);
        assert_eq!(numeric(""), None);
    }
}
