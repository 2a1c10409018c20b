//! What a text is made of, in a few bits: tells of most patterns at once that the text does not match.
//!
//! A bit stands for all runs of four folded bytes with one hash. A text that lacks a run of what a pattern requires does
//! not match it; so the pattern, which lies somewhere else in memory and has to search, need not be asked.

use daemoneye_dsl::pattern::{Literal, Required};

use super::estimate;

const BITS_LOG: u32 = 11;
const WORDS: usize = (1 << BITS_LOG) / 64;
/// Of longer texts nearly every bit would be set.
const TEXT_LEN_MAX: usize = 2_048;
/// Questions about a text before it is worth a sketch.
const ASKED_MIN: u8 = 2;

/// Runs that a pattern requires: two, or two others, and so on.
#[derive(Clone, Debug)]
pub(super) struct Runs {
    first: [u16; 2],
    others: Box<[[u16; 2]]>,
}

/// Pairs of runs of one pattern.
const PAIRS_MAX: usize = 16;

impl Runs {
    /// The rarest two, if the pattern requires a literal that is long enough; else those of each of its alternatives, if
    /// they do.
    pub(super) fn of(required: &Required) -> Option<Self> {
        let mut pairs = pair(required).map_or_else(|| alternatives(required), |pair| Some(vec![pair]))?;
        let first = pairs.pop()?;
        (pairs.len() < PAIRS_MAX).then(|| Self { first, others: pairs.into() })
    }
}

/// The rarest two runs of what is required anyhow.
fn pair(required: &Required) -> Option<[u16; 2]> {
    let mut runs: Vec<&[u8]> = literals(required).flat_map(|literal| literal.bytes.windows(4)).collect();
    runs.sort_by_cached_key(|run| std::cmp::Reverse(estimate::bits_of_run(run)));
    let first = runs.first()?;
    let second = runs.get(1).unwrap_or(first);
    Some([first, second].map(|run| place(run.iter().fold(0, |rolling, byte| followed_by(rolling, *byte)))))
}

/// Those of each alternative, where there are some and each has them.
fn alternatives(required: &Required) -> Option<Vec<[u16; 2]>> {
    match required {
        Required::Any(parts) => parts.iter().map(pair).collect(),
        Required::All(parts) => parts.iter().find_map(alternatives),
        Required::Literal(_) | Required::Anything => None,
    }
}

/// The literals that are all required.
fn literals(required: &Required) -> Box<dyn Iterator<Item = &Literal> + '_> {
    match required {
        Required::Literal(literal) => Box::new(std::iter::once(literal)),
        Required::All(parts) => Box::new(parts.iter().flat_map(literals)),
        Required::Any(_) | Required::Anything => Box::new(std::iter::empty()),
    }
}

/// The runs of one text, once they are asked for often enough.
pub(super) struct Sketch {
    bits: [u64; WORDS],
    /// For which row.
    turn: u64,
    asked: u8,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { bits: [0; WORDS], turn: 0, asked: 0 }
    }
}

impl Sketch {
    /// Whether the text of this turn may have the runs.
    pub(super) fn may_have(&mut self, runs: &Runs, text: &str, turn: u64) -> bool {
        if self.turn != turn {
            (self.turn, self.asked) = (turn, 0);
        }
        if self.asked < ASKED_MIN {
            self.asked += 1;
            return true;
        }
        if self.asked == ASKED_MIN {
            self.asked += 1;
            self.draw(text.as_bytes());
        }
        self.has(runs.first) || runs.others.iter().any(|pair| self.has(*pair))
    }

    fn has(&self, pair: [u16; 2]) -> bool {
        pair.iter().all(|bit| self.bits[usize::from(bit / 64)] >> (bit % 64) & 1 == 1)
    }

    fn draw(&mut self, text: &[u8]) {
        if text.len() > TEXT_LEN_MAX {
            self.bits = [u64::MAX; WORDS];
            return;
        }
        self.bits = [0; WORDS];
        let mut rolling = 0;
        for byte in text {
            rolling = followed_by(rolling, byte.to_ascii_lowercase());
            let bit = place(rolling);
            self.bits[usize::from(bit / 64)] |= 1 << (bit % 64);
        }
    }
}

/// The last four bytes.
fn followed_by(rolling: u32, byte: u8) -> u32 {
    rolling << 8 | u32::from(byte)
}

fn place(run: u32) -> u16 {
    (run.wrapping_mul(0x9E37_79B1) >> (32 - BITS_LOG)) as u16
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::pattern::Pattern;

    use super::*;

    #[test]
    fn a_text_that_lacks_a_run_is_told_apart() {
        let runs = Runs::of(&Pattern::like("%Mimikatz%x%", None).required()).unwrap();
        let mut sketch = Sketch::default();
        let long = format!("{}MIMIKATZ", "a".repeat(5_000));
        for (turn, (text, expected)) in
            [("c:\\MimiKatz.exe x", true), ("ls -la /tmp", false), ("mimik", false), ("", false), (&long, true)]
                .into_iter()
                .enumerate()
        {
            let answers = [(); 4].map(|()| sketch.may_have(&runs, text, turn as u64 + 1));
            assert_eq!(answers, [true, true, expected, expected], "{text}");
        }
        let runs = Runs::of(&Pattern::regexp("(curl|wget).*x", 1 << 20).unwrap().required()).unwrap();
        for (turn, (text, expected)) in [("a CURL", true), ("wget", true), ("x", false)].into_iter().enumerate() {
            assert_eq!([(); 3].map(|()| sketch.may_have(&runs, text, turn as u64 + 9))[2], expected, "{text}");
        }
        assert!(Runs::of(&Pattern::like("%abc%", None).required()).is_none());
    }
}
