//! Bytes of the system as text that can be turned back.
//!
//! Names, paths and arguments are bytes. What is UTF-8 stays as it is; each byte that is not becomes `\xHH`, and a
//! backslash that stands before an `x` becomes `\x5c`, so that every `\x` in the text is an escape and
//! [`bytes`] gives back exactly what [`text`] was given.

use std::borrow::Cow;
use std::fmt::Write;

/// The text for `bytes`, borrowed when nothing had to be escaped.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match str::from_utf8(bytes) {
        Ok(valid) if !valid.contains("\\x") => Cow::Borrowed(valid),
        _ => Cow::Owned(escaped(bytes)),
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        out.push_str(&chunk.valid().replace("\\x", "\\x5cx"));
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes every write");
        }
    }
    out
}

/// The bytes that [`text`] made this text from.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if let Some(byte) = escape_at(rest) {
            out.push(byte);
            rest = &rest[4..];
        } else {
            out.push(first);
            rest = tail;
        }
    }
    out
}

fn escape_at(text: &[u8]) -> Option<u8> {
    let digits = text.strip_prefix(b"\\x")?.get(..2)?;
    let digit = |at: usize| char::from(digits[at]).to_digit(16);
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_must_be_is_escaped() {
        assert_eq!(text("/usr/bin/größe\n\u{1b}[2J".as_bytes()), "/usr/bin/größe\n\u{1b}[2J");
        assert_eq!(text(b"C:\\temp\\n"), "C:\\temp\\n");
        assert_eq!(text(b"a\xff\xc3b"), "a\\xff\\xc3b");
        assert_eq!(text(b"\\xff"), "\\x5cxff");
        assert_eq!(text(b"\\\xff"), "\\\\xff");
    }

    fn tricky_bytes() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![Just(b'\\'), Just(b'x'), Just(b'5'), Just(b'c'), Just(0xc3), Just(0xa9), any::<u8>()];
        prop::collection::vec(piece, 0..24)
    }

    proptest! {
        #[test]
        fn every_byte_comes_back(original in tricky_bytes()) {
            prop_assert_eq!(bytes(&text(&original)), original);
        }

        #[test]
        fn any_text_can_be_turned_into_bytes(any in any::<String>()) {
            let _bytes = bytes(&any);
        }
    }
}
