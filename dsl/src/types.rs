//! The seven types of the dialect and the values they hold.
//!
//! Columns travel as Arrow arrays (see [`Type::arrow`]); a [`Value`] is one cell of them, used for literals, keys,
//! alerts and printing. A NULL belongs to every type.

use std::cmp::Ordering;
use std::fmt;

use arrow_array::cast::AsArray;
use arrow_array::types::{DurationMicrosecondType, Float64Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BinaryArray, BooleanArray, DurationMicrosecondArray, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// Microseconds in one second: the unit of TIMESTAMP and INTERVAL.
pub const MICROS_PER_SEC: i64 = 1_000_000;

/// A moment: microseconds since 1970-01-01 00:00:00 UTC, leap seconds not counted. In JSON it is RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Reads RFC 3339 (`2026-11-22T10:30:00Z`), the same with a space, without an offset (then UTC), or a bare date.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Ok(moment) = text.parse::<jiff::Timestamp>() {
            return Some(Self(moment.as_microsecond()));
        }
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        let moment = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp();
        Some(Self(moment.as_microsecond()))
    }

    /// RFC 3339 in UTC with as many fractional digits as needed, the form that machines read.
    pub fn rfc3339(self) -> String {
        jiff::Timestamp::from_microsecond(self.0).map_or_else(|_| self.0.to_string(), |moment| moment.to_string())
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let wrong = || serde::de::Error::custom(format!("`{text}` is not a moment in RFC 3339"));
        Self::parse(&text).ok_or_else(wrong)
    }
}

/// The type of a column or an expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Type {
    /// A signed 64-bit integer.
    Integer,
    /// An IEEE 754 double. Never NaN: an operation that would give NaN gives NULL, as in SQLite.
    Real,
    /// UTF-8 text. Bytes that are not UTF-8 were written `\xHH` by the collector.
    Text,
    /// Bytes.
    Blob,
    /// True or false; 1 or 0 where it meets an INTEGER.
    Boolean,
    /// Microseconds since 1970 UTC.
    Timestamp,
    /// A duration in microseconds.
    Interval,
}

impl Type {
    /// Every type, in the order of the reference.
    pub const ALL: [Self; 7] =
        [Self::Integer, Self::Real, Self::Text, Self::Blob, Self::Boolean, Self::Timestamp, Self::Interval];

    /// How a column of this type is laid out in a `RecordBatch`.
    pub fn arrow(self) -> DataType {
        match self {
            Self::Integer => DataType::Int64,
            Self::Real => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Blob => DataType::Binary,
            Self::Boolean => DataType::Boolean,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Interval => DataType::Duration(TimeUnit::Microsecond),
        }
    }

    /// The type whose layout this is, the inverse of [`Type::arrow`].
    pub fn from_arrow(layout: &DataType) -> Option<Self> {
        Self::ALL.into_iter().find(|ty| ty.arrow() == *layout)
    }

    /// INTEGER, REAL and BOOLEAN: the types that arithmetic takes.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Real | Self::Boolean)
    }

    /// The name as SQL writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Real => "REAL",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
            Self::Boolean => "BOOLEAN",
            Self::Timestamp => "TIMESTAMP",
            Self::Interval => "INTERVAL",
        }
    }

    /// One array of this type holding `values`; each must be NULL or of this type.
    pub fn array(self, values: impl IntoIterator<Item = Value>) -> ArrayRef {
        let values = values.into_iter();
        match self {
            Self::Integer => Arc::new(values.map(|v| v.as_integer()).collect::<Int64Array>()),
            Self::Real => Arc::new(values.map(|v| v.as_real()).collect::<Float64Array>()),
            Self::Text => Arc::new(values.map(Value::into_text).collect::<StringArray>()),
            Self::Blob => Arc::new(values.map(Value::into_blob).collect::<BinaryArray>()),
            Self::Boolean => Arc::new(values.map(|v| v.as_boolean()).collect::<BooleanArray>()),
            Self::Timestamp => Arc::new(values.map(|v| v.as_timestamp()).collect::<TimestampMicrosecondArray>()),
            Self::Interval => Arc::new(values.map(|v| v.as_interval()).collect::<DurationMicrosecondArray>()),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One cell.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Unknown or absent.
    #[default]
    Null,
    /// A signed 64-bit integer.
    Integer(i64),
    /// A double, never NaN.
    Real(f64),
    /// Text, possibly an attacker's: print it only through [`crate::untrusted`].
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// True or false.
    Boolean(bool),
    /// Microseconds since 1970 UTC.
    Timestamp(i64),
    /// Microseconds.
    Interval(i64),
}

impl Value {
    /// The cell at `row` of `array`, whose layout is one of [`Type::arrow`].
    pub fn at(array: &dyn Array, row: usize) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        match Type::from_arrow(array.data_type()).expect("every column has a layout of ours") {
            Type::Integer => Self::Integer(array.as_primitive::<Int64Type>().value(row)),
            Type::Real => Self::Real(array.as_primitive::<Float64Type>().value(row)),
            Type::Text => Self::Text(array.as_string::<i32>().value(row).to_owned()),
            Type::Blob => Self::Blob(array.as_binary::<i32>().value(row).to_owned()),
            Type::Boolean => Self::Boolean(array.as_boolean().value(row)),
            Type::Timestamp => Self::Timestamp(array.as_primitive::<TimestampMicrosecondType>().value(row)),
            Type::Interval => Self::Interval(array.as_primitive::<DurationMicrosecondType>().value(row)),
        }
    }

    /// The type, or nothing for NULL.
    pub fn ty(&self) -> Option<Type> {
        Some(match self {
            Self::Null => return None,
            Self::Integer(_) => Type::Integer,
            Self::Real(_) => Type::Real,
            Self::Text(_) => Type::Text,
            Self::Blob(_) => Type::Blob,
            Self::Boolean(_) => Type::Boolean,
            Self::Timestamp(_) => Type::Timestamp,
            Self::Interval(_) => Type::Interval,
        })
    }

    /// Whether this is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        if let Self::Integer(value) = self { Some(*value) } else { None }
    }

    /// The double, if it is one.
    pub fn as_real(&self) -> Option<f64> {
        if let Self::Real(value) = self { Some(*value) } else { None }
    }

    /// The boolean, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        if let Self::Boolean(value) = self { Some(*value) } else { None }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    /// Microseconds since 1970, if it is a moment.
    pub fn as_timestamp(&self) -> Option<i64> {
        if let Self::Timestamp(value) = self { Some(*value) } else { None }
    }

    /// Microseconds, if it is a duration.
    pub fn as_interval(&self) -> Option<i64> {
        if let Self::Interval(value) = self { Some(*value) } else { None }
    }

    fn into_text(self) -> Option<String> {
        if let Self::Text(value) = self { Some(value) } else { None }
    }

    fn into_blob(self) -> Option<Vec<u8>> {
        if let Self::Blob(value) = self { Some(value) } else { None }
    }

    /// The value as JSON keeps it: exact text, numbers as numbers, moments as RFC 3339, durations in seconds,
    /// bytes as hexadecimal digits.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Integer(value) => (*value).into(),
            // JSON has no infinity; SQLite prints it as a number that overflows a double.
            Self::Real(value) if value.is_infinite() => {
                serde_json::Value::String(if *value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned())
            }
            Self::Real(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::Blob(value) => hex(value).into(),
            Self::Boolean(value) => (*value).into(),
            Self::Timestamp(value) => Timestamp(*value).rfc3339().into(),
            Self::Interval(value) => interval_seconds(*value),
        }
    }

    /// Total order for sorting and grouping: NULL first, then by value; text by bytes (collation BINARY).
    /// Values of different types, which one column never holds, order by type.
    pub fn compare(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Integer(a), Self::Integer(b))
            | (Self::Timestamp(a), Self::Timestamp(b))
            | (Self::Interval(a), Self::Interval(b)) => a.cmp(b),
            // -0.0 equals 0.0, as in SQLite.
            (Self::Real(a), Self::Real(b)) => a.partial_cmp(b).expect("a REAL is never NaN"),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            (Self::Blob(a), Self::Blob(b)) => a.cmp(b),
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> usize {
        self.ty().map_or(0, |ty| ty as usize + 1)
    }

    /// Appends bytes that are equal exactly when the values are: the form of keys (grouping, joins, alerts).
    pub fn encode_key(&self, out: &mut Vec<u8>) {
        let rank = u8::try_from(self.rank()).expect("eight ranks");
        out.push(rank);
        match self {
            Self::Null => {}
            Self::Integer(value) | Self::Timestamp(value) | Self::Interval(value) => {
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::Real(value) => {
                // One encoding for both zeros.
                let value = if *value == 0.0 { 0.0 } else { *value };
                out.extend_from_slice(&value.to_be_bytes());
            }
            Self::Text(value) => encode_bytes(value.as_bytes(), out),
            Self::Blob(value) => encode_bytes(value, out),
            Self::Boolean(value) => out.push(u8::from(*value)),
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Equal
    }
}

impl Eq for Value {}

fn encode_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&(bytes.len() as u64).to_be_bytes());
    out.extend_from_slice(bytes);
}

fn interval_seconds(micros: i64) -> serde_json::Value {
    if micros % MICROS_PER_SEC == 0 {
        return (micros / MICROS_PER_SEC).into();
    }
    #[expect(clippy::cast_precision_loss, reason = "a fraction of a second is shown to the microsecond for 285 years")]
    let seconds = micros as f64 / 1e6;
    seconds.into()
}

/// Lower-case hexadecimal digits of `bytes`.
pub fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        write!(out, "{byte:02x}").expect("a String takes every write");
        out
    })
}

/// A duration as people write it: `5m`, `1h 30m`, `250ms`.
pub fn display_interval(micros: i64) -> String {
    const UNITS: [(i64, &str); 6] = [
        (86_400 * MICROS_PER_SEC, "d"),
        (3_600 * MICROS_PER_SEC, "h"),
        (60 * MICROS_PER_SEC, "m"),
        (MICROS_PER_SEC, "s"),
        (1_000, "ms"),
        (1, "µs"),
    ];
    let mut rest = micros.unsigned_abs();
    let mut parts = Vec::new();
    for (size, unit) in UNITS {
        let count = rest / size.unsigned_abs();
        rest %= size.unsigned_abs();
        if count > 0 {
            parts.push(format!("{count}{unit}"));
        }
    }
    let sign = if micros < 0 { "-" } else { "" };
    if parts.is_empty() { "0s".to_owned() } else { format!("{sign}{}", parts.join(" ")) }
}

/// Reads a duration: `5 minutes`, `1h30m`, `250 ms`, `1.5 days`. Months and years have no fixed length and are refused.
pub fn parse_interval(text: &str) -> Option<i64> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    let sign = if let Some(after) = rest.strip_prefix('-') {
        rest = after.trim_start();
        -1.0
    } else {
        1.0
    };
    while !rest.is_empty() {
        let number_len = rest.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(rest.len());
        let number: f64 = rest[..number_len].parse().ok()?;
        rest = rest[number_len..].trim_start();
        let unit_len = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
        total += number * unit_micros(&rest[..unit_len])?;
        rest = rest[unit_len..].trim_start();
    }
    #[expect(clippy::cast_possible_truncation, reason = "the bound is checked first")]
    (total.abs() < 9.0e18).then_some((total * sign).round() as i64)
}

fn unit_micros(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "us" | "µs" | "microsecond" | "microseconds" => 1.0,
        "ms" | "millisecond" | "milliseconds" => 1e3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1e6,
        "m" | "min" | "mins" | "minute" | "minutes" => 60e6,
        "h" | "hr" | "hour" | "hours" => 3_600e6,
        "d" | "day" | "days" => 86_400e6,
        "w" | "week" | "weeks" => 604_800e6,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn intervals_read_the_forms_people_write() {
        for (text, secs) in
            [("5 minutes", 300), ("1h30m", 5_400), ("1 h 30 m", 5_400), ("2 days", 172_800), ("-10s", -10)]
        {
            assert_eq!(parse_interval(text), Some(secs * MICROS_PER_SEC), "{text}");
        }
        for text in ["", "5", "1 month", "minutes", "1..2 s"] {
            assert_eq!(parse_interval(text), None, "{text}");
        }
    }

    #[test]
    fn moments_read_rfc3339_and_its_relatives() {
        let moment = Timestamp::parse("2026-11-22T10:30:00Z").unwrap();
        assert_eq!(moment.rfc3339(), "2026-11-22T10:30:00Z");
        assert_eq!(Timestamp::parse("2026-11-22 10:30:00"), Some(moment));
        assert_eq!(Timestamp::parse("2026-11-22T11:30:00+01:00"), Some(moment));
        assert_eq!(Timestamp::parse("2026-11-22").unwrap().rfc3339(), "2026-11-22T00:00:00Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            prop_oneof![Just(0), Just(i64::MIN), any::<i64>()].prop_map(Value::Integer),
            prop_oneof![Just(0.0), Just(-0.0), -1e300..1e300].prop_map(Value::Real),
            "[a\\x00-]{0,3}".prop_map(Value::Text),
            any::<bool>().prop_map(Value::Boolean),
        ]
    }

    proptest! {
        #[test]
        fn keys_are_equal_exactly_when_values_are(a in any_value(), b in any_value()) {
            let (mut key_a, mut key_b) = (Vec::new(), Vec::new());
            a.encode_key(&mut key_a);
            b.encode_key(&mut key_b);
            prop_assert_eq!(key_a == key_b, a == b);
        }

        #[test]
        fn an_array_gives_back_what_was_put_in(value in any_value()) {
            for ty in Type::ALL {
                let fits = value.ty().is_none_or(|own| own == ty);
                if fits {
                    prop_assert_eq!(&Value::at(&ty.array([value.clone()]), 0), &value);
                }
            }
        }

        #[test]
        fn a_printed_interval_reads_back(micros in -1_000_000_000_000i64..1_000_000_000_000) {
            let shown = display_interval(micros);
            prop_assert_eq!(parse_interval(&shown), Some(micros), "{}", shown);
        }
    }
}
