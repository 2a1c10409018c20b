//! A seeded source of choices, the count of what was chosen, and the search for a simpler choice.
//!
//! Every choice is written on a tape. A tape played again gives the same choices, a cut tape simpler ones: where it has
//! ended, every choice is the first, and whoever draws puts the simplest first. So a failure shrinks without anything
//! that is generated having to know how.

use std::collections::BTreeMap;

/// `SplitMix64`: a seed gives the same choices on every machine.
pub(super) struct Random {
    source: Source,
    tape: Vec<usize>,
}

enum Source {
    Seed(u64),
    Tape(Vec<usize>),
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self { source: Source::Seed(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03), tape: vec![] }
    }

    pub(super) fn replay(tape: &[usize]) -> Self {
        Self { source: Source::Tape(tape.to_vec()), tape: vec![] }
    }

    /// The choices so far.
    pub(super) fn into_tape(self) -> Vec<usize> {
        self.tape
    }

    /// Less than `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        let chosen = match &mut self.source {
            Source::Seed(state) => usize::try_from(next(state) % bound as u64).expect("less than a usize"),
            Source::Tape(tape) => tape.get(self.tape.len()).copied().unwrap_or(0) % bound,
        };
        self.tape.push(chosen);
        chosen
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) >= 100 - percent
    }

    pub(super) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub(super) fn word(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }
}

fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Tries of one search for a simpler tape.
const TRIES: usize = 4_000;

/// A shorter tape, of smaller choices, that still fails.
pub(super) fn shrunk(mut tape: Vec<usize>, fails: &mut dyn FnMut(&[usize]) -> bool) -> Vec<usize> {
    let mut tries = 0;
    let mut try_one = |tape: &mut Vec<usize>, simpler: Vec<usize>| {
        tries += 1;
        let taken = tries < TRIES && fails(&simpler);
        if taken {
            *tape = simpler;
        }
        taken
    };
    loop {
        let before = tape.clone();
        for len in [64, 32, 16, 8, 4, 3, 2, 1] {
            let mut at = tape.len();
            while at > 0 {
                at = at.saturating_sub(len).min(tape.len());
                let end = (at + len).min(tape.len());
                let mut cut = tape.clone();
                cut.drain(at..end);
                if try_one(&mut tape, cut) || tape[at..end].iter().all(|choice| *choice == 0) {
                    continue;
                }
                let mut flat = tape.clone();
                flat[at..end].fill(0);
                try_one(&mut tape, flat);
            }
        }
        for at in 0..tape.len() {
            let mut less = tape[at];
            while less > 0 {
                let mut simpler = tape.clone();
                simpler[at] -= less;
                if !try_one(&mut tape, simpler) {
                    less /= 2;
                }
                less = less.min(tape[at]);
            }
        }
        if tape == before {
            return tape;
        }
    }
}

/// How often each form of the grammar came up in a statement that compiled.
#[derive(Default)]
pub(super) struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    pub(super) fn add(&mut self, forms: &[&'static str]) {
        for form in forms {
            *self.0.entry(form).or_default() += 1;
        }
    }

    /// Fails for a form that no statement had.
    pub(super) fn assert_all(&self, forms: &[&'static str]) {
        let missing: Vec<_> = forms.iter().filter(|form| !self.0.contains_key(*form)).collect();
        assert!(missing.is_empty(), "never generated: {missing:?}");
        let unknown: Vec<_> = self.0.keys().filter(|form| !forms.contains(form)).collect();
        assert!(unknown.is_empty(), "generated and not listed: {unknown:?}");
    }
}

impl std::fmt::Display for Coverage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(form, count)| write!(f, "{form} {count}, "))
    }
}

#[test]
fn tapes_play_again_and_shrink() {
    let mut random = Random::new(7);
    let drawn: Vec<_> = (0..20).map(|_| random.below(1_000)).collect();
    let mut again = Random::replay(&random.into_tape());
    assert_eq!(drawn, (0..20).map(|_| again.below(1_000)).collect::<Vec<_>>());
    let has_large = |tape: &[usize]| tape.iter().any(|choice| *choice >= 500);
    assert_eq!(shrunk(drawn, &mut |tape| has_large(tape)), [500]);
}
