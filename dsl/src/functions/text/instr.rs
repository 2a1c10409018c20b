//! `instr`.

use crate::functions::{BLOB, Function, Gives, TEXT};
use crate::types::Type;

pub(super) static INSTR: Function = Function {
    name: "instr",
    args: &[("text", TEXT), ("part", TEXT)],
    returns: Gives::One(Type::Integer),
    doc: "The place, from 1, of the first occurrence of the second text in the first; 0 if there is none.",
    examples: &[("instr('abcabc', 'ca')", "3"), ("instr('abc', 'x')", "0"), ("instr('äb', 'b')", "2")],
    eval: |call| {
        call.count(|row| {
            let text = row.text(0);
            text.find(row.text(1)).map_or(0, |at| text[..at].chars().count() + 1)
        })
    },
    ..Function::BASE
};

pub(super) static INSTR_BLOB: Function = Function {
    name: "instr",
    args: &[("bytes", BLOB), ("part", BLOB)],
    returns: Gives::One(Type::Integer),
    doc: "The place, from 1, of the first occurrence of the second bytes in the first; 0 if there is none.",
    examples: &[("instr(x'00ff10', x'ff')", "2")],
    eval: |call| {
        call.count(|row| {
            let (bytes, part) = (row.bytes(0), row.bytes(1));
            memchr::memmem::find(bytes, part).map_or(0, |at| at + 1)
        })
    },
    ..Function::BASE
};
