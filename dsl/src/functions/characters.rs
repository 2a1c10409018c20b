//! A set of characters that a text names, quick to ask however long the text is.

/// The characters of a text.
pub(super) struct Characters {
    /// A bit for each of ASCII's.
    ascii: u128,
    /// The others, sorted.
    others: Vec<char>,
}

impl Characters {
    pub(super) fn of(text: &str) -> Self {
        let bits = |set: u128, byte: u8| set | 1 << byte;
        let ascii = text.bytes().filter(u8::is_ascii).fold(0, bits);
        let mut others: Vec<char> = text.chars().filter(|c| !c.is_ascii()).collect();
        others.sort_unstable();
        others.dedup();
        Self { ascii, others }
    }

    pub(super) fn has(&self, c: char) -> bool {
        if c.is_ascii() { self.ascii >> u32::from(c) & 1 == 1 } else { self.others.binary_search(&c).is_ok() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Characters;

    proptest! {
        #[test]
        fn a_set_has_what_its_text_has(text in "[\\x00-\\x7fäöü日]{0,9}", c in prop_oneof![any::<char>(), "[a-fäö]".prop_map(|it| it.chars().next().unwrap())]) {
            prop_assert_eq!(Characters::of(&text).has(c), text.contains(c));
        }
    }
}
