//! Which pages of texts have which four letters in a row.
//!
//! A text that contains a literal contains all of its grams, so only pages that have all of them can hold it. Letters
//! are folded as LIKE folds them, so that one index serves LIKE, GLOB and REGEXP. Grams that many pages have say little
//! and are not kept.

/// Letters of a gram.
pub(super) const GRAM_LEN: usize = 4;
/// A gram that more than one page in so many has is not worth its bytes.
pub(super) const RARITY: u32 = 16;
/// Bits of a gram's key.
const KEY_BITS: u32 = 22;

/// The keys of all grams of a text whose ASCII letters are folded.
pub(super) fn keys(folded: &[u8]) -> impl Iterator<Item = u32> + '_ {
    folded.windows(GRAM_LEN).map(|gram| key(*gram.first_chunk().expect("that many")))
}

/// A key spreads grams over its bits: two grams with one key cost time, not answers.
fn key(gram: [u8; GRAM_LEN]) -> u32 {
    // Fibonacci hashing.
    u32::from_le_bytes(gram).wrapping_mul(0x9e37_79b1) >> (32 - KEY_BITS)
}

/// The different keys of texts, one page after the other.
pub(super) struct Seen {
    bits: Vec<u64>,
    keys: Vec<u32>,
    folded: Vec<u8>,
}

impl Default for Seen {
    fn default() -> Self {
        Self { bits: vec![0; 1 << (KEY_BITS - 6)], keys: vec![], folded: vec![] }
    }
}

impl Seen {
    pub(super) fn add(&mut self, text: &[u8]) {
        self.folded.clear();
        self.folded.extend(text.iter().map(u8::to_ascii_lowercase));
        for key in keys(&self.folded) {
            let word = &mut self.bits[(key >> 6) as usize];
            if *word & (1 << (key & 63)) == 0 {
                *word |= 1 << (key & 63);
                self.keys.push(key);
            }
        }
    }

    /// The keys since the last time.
    pub(super) fn take(&mut self) -> Vec<u32> {
        let keys = std::mem::take(&mut self.keys);
        for key in &keys {
            self.bits[(key >> 6) as usize] = 0;
        }
        keys
    }
}
