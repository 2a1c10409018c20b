//! A seeded source of choices, and the count of what was chosen.

use std::collections::BTreeMap;

/// `SplitMix64`: a seed gives the same choices on every machine.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Less than `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("less than a usize")
    }

    /// True in so many of a hundred cases.
    pub(super) fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    pub(super) fn word(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
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
