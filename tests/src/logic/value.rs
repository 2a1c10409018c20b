//! Values as SQLite stores them: a column's affinity changes what is put into it.

use daemoneye_dsl::convert;
use daemoneye_dsl::types::{Type, Value};

/// What a column does to values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Affinity {
    Integer,
    Real,
    Numeric,
    Text,
    Blob,
}

impl Affinity {
    /// By the words of the declared type, as SQLite looks for them.
    pub(super) fn of(declared: &str) -> Self {
        let declared = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|word| declared.contains(word));
        if has(&["INT"]) {
            Self::Integer
        } else if has(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if declared.is_empty() || has(&["BLOB"]) {
            Self::Blob
        } else if has(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// The value as it is stored.
    pub(super) fn store(self, value: Value) -> Value {
        let value = match value {
            Value::Boolean(value) => Value::Integer(i64::from(value)),
            value => value,
        };
        match (self, value) {
            (Self::Text, value @ (Value::Integer(_) | Value::Real(_))) => Value::Text(convert::to_text(&value)),
            (Self::Integer | Self::Numeric, Value::Real(real)) => whole(real),
            (Self::Integer | Self::Numeric, Value::Text(text)) => match convert::numeric(&text) {
                Some(Value::Real(real)) => whole(real),
                Some(value) => value,
                None => Value::Text(text),
            },
            (Self::Real, Value::Integer(integer)) => real_of(integer),
            (Self::Real, Value::Text(text)) => match convert::numeric(&text) {
                Some(Value::Integer(integer)) => real_of(integer),
                Some(value) => value,
                None => Value::Text(text),
            },
            (_, value) => value,
        }
    }

    /// The column's type where it holds nothing but NULL.
    fn empty(self) -> Type {
        match self {
            Self::Real => Type::Real,
            Self::Text => Type::Text,
            Self::Integer | Self::Numeric | Self::Blob => Type::Integer,
        }
    }

    /// The one type of all values of a column; nothing where they differ.
    pub(super) fn type_of<'v>(self, values: impl Iterator<Item = &'v Value>) -> Option<Type> {
        let mut found = None;
        for ty in values.filter_map(Value::ty) {
            if found.is_some_and(|known| known != ty) {
                return None;
            }
            found = Some(ty);
        }
        Some(found.unwrap_or(self.empty()))
    }
}

/// A REAL without a fraction is stored as the INTEGER that it is.
fn whole(real: f64) -> Value {
    let integer = convert::saturate(real);
    if real_of(integer) == Value::Real(real) && integer != i64::MAX {
        Value::Integer(integer)
    } else {
        Value::Real(real)
    }
}

#[expect(clippy::cast_precision_loss, reason = "as SQLite does it")]
fn real_of(integer: i64) -> Value {
    Value::Real(integer as f64)
}
