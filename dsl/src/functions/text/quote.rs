//! `quote`.

use crate::convert;
use crate::functions::{Function, Takes};
use crate::types::{self, Value};

pub(super) static QUOTE: Function = Function {
    name: "quote",
    args: &[("value", Takes::Any)],
    doc: "The value as a literal: text in quotes with quotes doubled, up to the first NUL; `NULL` for NULL.",
    examples: &[("quote('it''s')", "'''it''''s'''"), ("quote(x'00ff')", "'X''00FF'''"), ("quote(NULL)", "'NULL'")],
    eval: |call| call.with_nulls().text(|row| Some(quoted(&row.value(0)))),
    ..Function::BASE
};

fn quoted(value: &Value) -> String {
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Text(text) => {
            let text = text.split('\0').next().unwrap_or_default();
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::Blob(bytes) => format!("X'{}'", types::hex(bytes).to_uppercase()),
        Value::Real(number) if number.is_infinite() => format!("{}9.0e+999", if *number < 0.0 { "-" } else { "" }),
        Value::Timestamp(_) => format!("TIMESTAMP '{}'", convert::to_text(value)),
        Value::Interval(_) => format!("INTERVAL '{}'", convert::to_text(value)),
        number => convert::to_text(number),
    }
}
