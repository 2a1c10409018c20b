//! Which pages of texts have which four letters in a row.
//!
//! A text that contains a literal contains all of its grams, so only pages that have all of them can hold it. Letters
//! are folded as LIKE folds them, so that one index serves LIKE, GLOB and REGEXP. Grams that many pages have say little
//! and are not kept.

/// Letters of a gram.
pub(super) const GRAM_LEN: usize = 4;
/// A gram that more than one page in so many has is not worth its bytes.
const RARITY: usize = 16;
/// Bits of a gram's key.
const KEY_BITS: u32 = 22;

/// The pages of so many that may have a gram which is kept; one more than that is a byte still.
pub(super) fn most(pages: usize) -> u8 {
    u8::try_from((pages / RARITY).clamp(1, 254)).expect("clamped")
}

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
    /// How many pages have a key, up to one more than `most`.
    pages: Vec<u8>,
    most: u8,
}

impl Seen {
    /// Of about so many pages.
    pub(super) fn of(pages: usize) -> Self {
        let (bits, counts) = (vec![0; 1 << (KEY_BITS - 6)], vec![0; 1 << KEY_BITS]);
        Self { bits, keys: vec![], folded: vec![], pages: counts, most: most(pages) }
    }

    /// Of a key that no more pages have, all pages were given.
    pub(super) fn most(&self) -> u8 {
        self.most
    }

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

    /// The keys of the page that ends here. Of one that more pages have than are kept, one more than that: most keys are
    /// such, and all of their pages would take a hundred megabytes.
    pub(super) fn take(&mut self) -> impl Iterator<Item = u32> + '_ {
        let Self { bits, keys, pages, most, .. } = self;
        keys.drain(..).filter(|key| {
            bits[(key >> 6) as usize] = 0;
            let pages = &mut pages[*key as usize];
            let is_kept = *pages <= *most;
            *pages += u8::from(is_kept);
            is_kept
        })
    }
}
