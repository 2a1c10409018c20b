//! `split`.

use crate::functions::characters::Characters;
use crate::functions::{Function, INTEGER, TEXT};

pub(super) static SPLIT: Function = Function {
    name: "split",
    args: &[("text", TEXT), ("delimiters", TEXT), ("index", INTEGER)],
    doc: "As in osquery: the text cut at every one of the characters, empty pieces left out, and of these the one at \
          the index, from 0; NULL where there is none. See `split_part` for a separator of several characters.",
    examples: &[
        ("split('a,b;c', ',;', 1)", "'b'"),
        ("split('//usr/bin', '/', 0)", "'usr'"),
        ("split('a', ',', 1)", "NULL"),
        ("split('abc', '', 0)", "'abc'"),
    ],
    eval: |call| {
        call.text(|row| {
            let (text, delimiters) = (row.text(0), Characters::of(row.text(1)));
            let index = usize::try_from(row.integer(2)).ok()?;
            text.split(|c| delimiters.has(c)).filter(|piece| !piece.is_empty()).nth(index)
        })
    },
    ..Function::BASE
};
