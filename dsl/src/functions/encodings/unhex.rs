//! `unhex`.

use crate::functions::characters::Characters;
use crate::functions::{Function, Gives, TEXT};
use crate::types::Type;

pub(super) static UNHEX: Function = Function {
    name: "unhex",
    args: &[("digits", TEXT), ("ignored", TEXT)],
    optional: 1,
    returns: Gives::One(Type::Blob),
    doc: "The bytes that pairs of hexadecimal digits stand for; between pairs the characters of the second argument \
          are skipped. NULL if anything else stands there.",
    examples: &[("unhex('417e')", "x'417e'"), ("unhex('41-7E', '-')", "x'417e'"), ("unhex('4')", "NULL")],
    eval: |call| call.blob(|row| unhex(row.text(0), row.given_text(1).unwrap_or_default())),
    ..Function::BASE
};

fn unhex(text: &str, ignored: &str) -> Option<Vec<u8>> {
    let ignored = Characters::of(ignored);
    let mut out = Vec::with_capacity(text.len() / 2);
    // A NUL ends the text for SQLite.
    let mut chars = text.chars().take_while(|c| *c != '\0');
    while let Some(c) = chars.next() {
        match c.to_digit(16) {
            Some(high) => out.push(u8::try_from(high << 4 | chars.next()?.to_digit(16)?).ok()?),
            None if ignored.has(c) => {}
            None => return None,
        }
    }
    Some(out)
}
