//! How names become keys.
//!
//! A `proc_id` is 16 lower-case hex digits and is kept as the `u64` they spell: ids order as their texts do, and one
//! process has one spelling. It arrives from a peer that may lie, so anything else is refused, not hashed or cut.

use std::fmt;

/// A `proc_id` as a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ProcKey(pub(crate) u64);

impl ProcKey {
    /// The key of that text, if it is a `proc_id`.
    pub(crate) fn parse(proc_id: &str) -> Option<Self> {
        let digits = proc_id.as_bytes();
        if digits.len() != 16 {
            return None;
        }
        digits.iter().try_fold(0, |key, digit| Some(key << 4 | u64::from(hex_digit(*digit)?))).map(Self)
    }
}

impl fmt::Display for ProcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn texts_and_keys_correspond_and_order_alike(a: u64, b: u64) {
            let (one, other) = (ProcKey(a).to_string(), ProcKey(b).to_string());
            prop_assert_eq!(ProcKey::parse(&one), Some(ProcKey(a)));
            prop_assert_eq!(one.cmp(&other), a.cmp(&b));
        }

        #[test]
        fn only_ids_are_keys(text in "[0-9a-fA-FxX+ é-]{0,18}") {
            if let Some(key) = ProcKey::parse(&text) {
                prop_assert_eq!(key.to_string(), text);
            }
        }
    }
}
