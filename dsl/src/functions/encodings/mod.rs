//! Functions between bytes and the ways to write them.
//!
//! What is called `…_decode` gives TEXT, ready for LIKE; what is called `from_…` gives BLOB.

mod base64_decode;
mod base64_decode_utf16;
mod from_base64;
mod from_hex;
mod hex;
mod hex_decode;
mod to_base64;
mod to_hex;
mod unhex;
mod url_decode;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::Group;

pub(super) static ENCODINGS: Group = Group {
    title: "Encodings",
    doc: "`…_decode` gives TEXT, in which bytes that are not UTF-8 are written `\\xHH` as in the columns of processes; \
          `from_…` gives BLOB. What is not written in the encoding gives NULL.",
    functions: &[
        &base64_decode::BASE64_DECODE,
        &base64_decode_utf16::BASE64_DECODE_UTF16,
        &from_base64::FROM_BASE64,
        &from_hex::FROM_HEX,
        &hex::HEX,
        &hex::HEX_BLOB,
        &hex_decode::HEX_DECODE,
        &to_base64::TO_BASE64,
        &to_base64::TO_BASE64_BLOB,
        &to_hex::TO_HEX_INTEGER,
        &to_hex::TO_HEX,
        &to_hex::TO_HEX_BLOB,
        &unhex::UNHEX,
        &url_decode::URL_DECODE,
    ],
};

/// Padding may be missing, and the last digit may have bits to spare, as encoders of malware have it.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// The bytes of base64, of either alphabet, white space left out.
fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let standard = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        other => other,
    };
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(standard).collect();
    BASE64.decode(digits).ok()
}

/// The bytes of pairs of hexadecimal digits.
fn hex_bytes(text: &str) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16)?).ok()).collect::<Option<_>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Bytes as text: what is not UTF-8 becomes `\xHH`.
fn lossless(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a String takes every write");
        }
    }
    out
}
