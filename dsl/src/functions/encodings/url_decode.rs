//! `url_decode`.

use percent_encoding::percent_decode_str;

use super::lossless;
use crate::functions::{Function, TEXT};

pub(super) static URL_DECODE: Function = Function {
    name: "url_decode",
    args: &[("text", TEXT)],
    doc: "The text with every `%HH` replaced by its byte. `+` stays, and so does a `%` that begins no pair of digits.",
    examples: &[
        ("url_decode('%2Fetc%2fpasswd')", "'/etc/passwd'"),
        ("url_decode('100%')", "'100%'"),
        ("url_decode('a+b%20c')", "'a+b c'"),
        ("url_decode('%ff')", "'\\xff'"),
    ],
    eval: |call| call.text(|row| Some(lossless(&percent_decode_str(row.text(0)).collect::<Vec<_>>()))),
    ..Function::BASE
};
