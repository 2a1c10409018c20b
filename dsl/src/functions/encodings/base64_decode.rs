//! `base64_decode`.

use super::{base64_bytes, lossless};
use crate::functions::{Function, TEXT};

pub(super) static BASE64_DECODE: Function = Function {
    name: "base64_decode",
    args: &[("text", TEXT)],
    doc: "The text that base64 holds. Both alphabets (`+/` and `-_`) are read; padding may be missing and white space \
          between. For PowerShell's `-EncodedCommand` see `base64_decode_utf16`.",
    examples: &[
        ("base64_decode('Y3VybCBldmls')", "'curl evil'"),
        ("base64_decode('aGk')", "'hi'"),
        ("base64_decode('/w==')", "'\\xff'"),
        ("base64_decode('!')", "NULL"),
    ],
    eval: |call| call.text(|row| base64_bytes(row.text(0)).map(|bytes| lossless(&bytes))),
    ..Function::BASE
};
