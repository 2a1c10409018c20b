//! Values that are bound to the parameters of a statement: `:name`, `@name`, `$name`, `?2`, `?`.
//!
//! A value is bound with its type, as a literal would be; no text is ever put into the statement.

use crate::convert;
use crate::types::{Timestamp, Type, Value, parse_interval};

/// The values by the parameters' names, without the sign before them.
#[derive(Clone, Debug, Default)]
pub struct Parameters(Vec<(String, Value, Type)>);

/// Why a text binds nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadParameter {
    /// There is no `=`.
    #[error("`{0}` binds nothing: write name=value, such as since='2026-11-22' or pid=1")]
    NoValue(String),
    /// Two values for one name.
    #[error("the parameter `{0}` is bound twice")]
    Twice(String),
    /// A moment or duration that is none.
    #[error("`{0}` is not a {1}")]
    Literal(String, Type),
}

impl Parameters {
    /// Binds `name=value`. The value is written as in SQL: a number, `TRUE`, `FALSE`, `NULL`, `'text'`,
    /// `TIMESTAMP '…'`, `INTERVAL '…'`; anything else is text.
    pub fn bind(&mut self, text: &str) -> Result<(), BadParameter> {
        let Some((name, value)) = text.split_once('=') else { return Err(BadParameter::NoValue(text.to_owned())) };
        let name = name.trim_start_matches([':', '@', '$', '?']);
        if name.is_empty() {
            return Err(BadParameter::NoValue(text.to_owned()));
        }
        if self.get(name).is_some() {
            return Err(BadParameter::Twice(name.to_owned()));
        }
        let (value, ty) = read(value)?;
        self.0.push((name.to_owned(), value, ty));
        Ok(())
    }

    /// The value of that name.
    pub(crate) fn get(&self, name: &str) -> Option<(&Value, Type)> {
        self.0.iter().find(|(own, ..)| own == name).map(|(_, value, ty)| (value, *ty))
    }

    /// The names that are bound.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, ..)| name.as_str())
    }
}

fn read(text: &str) -> Result<(Value, Type), BadParameter> {
    let quoted = |text: &str| {
        let inner = text.trim().strip_prefix('\'')?.strip_suffix('\'')?;
        (!inner.replace("''", "").contains('\'')).then(|| inner.replace("''", "'"))
    };
    let prefixed = |word: &str| {
        let (first, rest) = text.trim().split_at_checked(word.len())?;
        first.eq_ignore_ascii_case(word).then(|| quoted(rest)).flatten()
    };
    if let Some(moment) = prefixed("timestamp") {
        let parsed = Timestamp::parse(&moment).ok_or(BadParameter::Literal(moment, Type::Timestamp))?;
        return Ok((Value::Timestamp(parsed.0), Type::Timestamp));
    }
    if let Some(duration) = prefixed("interval") {
        let parsed = parse_interval(&duration).ok_or(BadParameter::Literal(duration, Type::Interval))?;
        return Ok((Value::Interval(parsed), Type::Interval));
    }
    Ok(match text.to_ascii_uppercase().as_str() {
        "NULL" => (Value::Null, Type::Text),
        "TRUE" => (Value::Boolean(true), Type::Boolean),
        "FALSE" => (Value::Boolean(false), Type::Boolean),
        _ => match (quoted(text), convert::numeric(text).filter(|_| looks_like_number(text))) {
            (Some(text), _) => (Value::Text(text), Type::Text),
            (None, Some(number)) => {
                let ty = number.ty().unwrap_or(Type::Text);
                (number, ty)
            }
            (None, None) => (Value::Text(text.to_owned()), Type::Text),
        },
    })
}

/// Digits with a sign, a point, an exponent; a leading zero makes it a text, as in file tables.
fn looks_like_number(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    let padded = digits.len() > 1 && digits.starts_with('0') && !digits.starts_with("0.");
    !padded && digits.starts_with(|c: char| c.is_ascii_digit()) && !digits.contains(char::is_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_the_type_they_are_written_in() {
        for (text, value) in [
            ("42", Value::Integer(42)),
            ("-1.5", Value::Real(-1.5)),
            ("007", Value::Text("007".to_owned())),
            ("1 OR 1=1", Value::Text("1 OR 1=1".to_owned())),
            ("'42'", Value::Text("42".to_owned())),
            ("it's", Value::Text("it's".to_owned())),
            ("'it''s'", Value::Text("it's".to_owned())),
            ("true", Value::Boolean(true)),
            ("null", Value::Null),
            ("", Value::Text(String::new())),
            ("interval '5 minutes'", Value::Interval(300_000_000)),
            ("timestamp '1970-01-01 00:00:01'", Value::Timestamp(1_000_000)),
        ] {
            assert_eq!(read(text).unwrap().0, value, "{text}");
        }
        assert!(read("timestamp 'soon'").is_err());
    }

    #[test]
    fn a_name_is_bound_once() {
        let mut parameters = Parameters::default();
        parameters.bind(":pid=1").unwrap();
        assert_eq!(parameters.get("pid"), Some((&Value::Integer(1), Type::Integer)));
        assert_eq!(parameters.bind("pid=2"), Err(BadParameter::Twice("pid".to_owned())));
        assert!(parameters.bind("pid").is_err() && parameters.bind("=2").is_err());
    }
}
