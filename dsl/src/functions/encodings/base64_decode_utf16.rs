//! `base64_decode_utf16`.

use super::base64_bytes;
use crate::functions::{Function, TEXT};

pub(super) static BASE64_DECODE_UTF16: Function = Function {
    name: "base64_decode_utf16",
    args: &[("text", TEXT)],
    doc: "The text that base64 holds in UTF-16LE, as PowerShell's `-EncodedCommand` takes it. A lone surrogate becomes \
          U+FFFD; an odd number of bytes gives NULL.",
    examples: &[("base64_decode_utf16('aQBkAA==')", "'id'"), ("base64_decode_utf16('aWQx')", "NULL")],
    eval: |call| {
        call.text(|row| {
            let bytes = base64_bytes(row.text(0))?;
            let (units, []) = bytes.as_chunks::<2>() else { return None };
            let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
            Some(char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>())
        })
    },
    ..Function::BASE
};
