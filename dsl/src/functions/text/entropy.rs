//! `entropy`.

use std::collections::BTreeMap;

use crate::functions::{BLOB, Function, Gives, TEXT};
use crate::types::Type;

pub(super) static ENTROPY: Function = Function {
    name: "entropy",
    args: &[("text", TEXT)],
    returns: Gives::One(Type::Real),
    doc: "Shannon's entropy in bits per character: 0 for one character repeated, about 4 for English, close to 6 for \
          long base64; 0 for an empty text.",
    examples: &[("entropy('aaaa')", "0.0"), ("entropy('abab')", "1.0"), ("entropy('abcd')", "2.0")],
    eval: |call| call.real(|row| Some(entropy(row.text(0).chars()))),
    ..Function::BASE
};

pub(super) static ENTROPY_BLOB: Function = Function {
    name: "entropy",
    args: &[("bytes", BLOB)],
    returns: Gives::One(Type::Real),
    doc: "The same in bits per byte, at most 8.",
    examples: &[("entropy(x'00ff')", "1.0")],
    eval: |call| call.real(|row| Some(entropy(row.bytes(0).iter()))),
    ..Function::BASE
};

#[expect(clippy::cast_precision_loss, reason = "a text has fewer than 2^53 characters")]
fn entropy<T: Ord>(symbols: impl Iterator<Item = T>) -> f64 {
    // Ordered, so that the sum does not depend on a hasher's seed.
    let mut counts = BTreeMap::new();
    for symbol in symbols {
        *counts.entry(symbol).or_insert(0usize) += 1;
    }
    let total = counts.values().sum::<usize>() as f64;
    let bits = |count: &usize| {
        let share = *count as f64 / total;
        -share * share.log2()
    };
    // A sum of nothing is -0.0.
    counts.values().map(bits).sum::<f64>() + 0.0
}
