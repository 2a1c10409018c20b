//! `soundex`.

use crate::functions::{Function, TEXT};

pub(super) static SOUNDEX: Function = Function {
    name: "soundex",
    args: &[("text", TEXT)],
    doc: "The Soundex code of the first word in ASCII letters; `?000` where there is none, and for NULL.",
    examples: &[("soundex('Robert')", "'R163'"), ("soundex('Rupert')", "'R163'"), ("soundex('7')", "'?000'")],
    eval: |call| call.with_nulls().text(|row| Some(soundex(row.text_or_null(0).unwrap_or_default()))),
    ..Function::BASE
};

fn soundex(text: &str) -> String {
    let mut bytes = text.bytes().take_while(|byte| *byte != 0).skip_while(|byte| !byte.is_ascii_alphabetic());
    let Some(first) = bytes.next() else { return "?000".to_owned() };
    let mut out = String::from(char::from(first.to_ascii_uppercase()));
    let mut previous = code(first);
    for byte in bytes {
        let digit = code(byte);
        if digit != 0 && digit != previous && out.len() < 4 {
            out.push(char::from(b'0' + digit));
        }
        previous = digit;
    }
    format!("{out:0<4}")
}

/// The class of a letter; 0 for vowels and for everything else.
fn code(byte: u8) -> u8 {
    match byte.to_ascii_lowercase() {
        b'b' | b'f' | b'p' | b'v' => 1,
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => 2,
        b'd' | b't' => 3,
        b'l' => 4,
        b'm' | b'n' => 5,
        b'r' => 6,
        _ => 0,
    }
}
