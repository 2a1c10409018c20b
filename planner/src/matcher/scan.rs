//! The scan for literals by itself, for whoever measures it beside another.

use arrow_array::StringArray;
use daemoneye_dsl::pattern::Literal;

use super::literals::{Edge, Folded, Literals};

/// What the matcher looks for in a column, and nothing else of it.
pub struct LiteralScan {
    literals: Literals<4>,
    texts: Folded,
}

impl LiteralScan {
    /// Looks for these literals, without regard to the case of ASCII letters. None if one is shorter than four bytes.
    pub fn of<'a>(literals: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut all = Literals::new(Edge::None);
        for (literal, number) in literals.into_iter().zip(0u32..) {
            let bytes = literal.to_ascii_lowercase().into_bytes();
            if bytes.len() < 4 {
                return None;
            }
            all.add(&Literal { bytes, at_start: false, at_end: false }, number);
        }
        Some(Self { literals: all, texts: Folded::default() })
    }

    /// Tells for each text, by its number, the numbers of the literals in it, each once.
    pub fn find(&mut self, texts: &StringArray, found: impl FnMut(u32, u32)) {
        self.texts.fill(texts.value_data(), texts.value_offsets());
        self.literals.find(&self.texts, found);
    }
}
