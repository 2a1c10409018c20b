//! What became of the SELECTs of a file.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Counts of one file, or of several.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// As expected.
    pub passed: usize,
    /// Otherwise than expected.
    pub failed: Vec<Failure>,
    /// Not answered: how often, by reason.
    pub refused: BTreeMap<String, Cases>,
    /// Not asked: how often, by reason.
    pub not_applicable: BTreeMap<String, Cases>,
    /// The longest that one SELECT took, and where.
    pub slowest: Option<(Duration, String)>,
}

/// How often, and the first case.
#[derive(Clone, Debug, Default)]
pub struct Cases {
    /// How often.
    pub count: usize,
    /// Place and statement of the first.
    pub first: String,
}

/// A SELECT whose answer differs.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Line or name.
    pub place: String,
    /// The statement.
    pub sql: String,
    /// What differs.
    pub why: String,
}

/// What became of one SELECT.
pub(super) enum Verdict {
    Passed,
    Failed(String),
    Refused(String),
    NotApplicable(String),
}

impl Report {
    pub(super) fn add(&mut self, place: &str, sql: &str, verdict: Verdict) {
        let note = |cases: &mut BTreeMap<String, Cases>, reason: String| {
            let cases = cases.entry(reason).or_insert_with(|| Cases { count: 0, first: format!("{place}: {sql}") });
            cases.count += 1;
        };
        match verdict {
            Verdict::Passed => self.passed += 1,
            Verdict::Failed(why) => self.failed.push(Failure { place: place.to_owned(), sql: sql.to_owned(), why }),
            Verdict::Refused(reason) => note(&mut self.refused, reason),
            Verdict::NotApplicable(reason) => note(&mut self.not_applicable, reason),
        }
    }

    pub(super) fn took(&mut self, time: Duration, place: &str) {
        if self.slowest.as_ref().is_none_or(|(longest, _)| time > *longest) {
            self.slowest = Some((time, place.to_owned()));
        }
    }

    /// How many were refused.
    pub fn refused_count(&self) -> usize {
        self.refused.values().map(|cases| cases.count).sum()
    }

    /// How many were not asked.
    pub fn not_applicable_count(&self) -> usize {
        self.not_applicable.values().map(|cases| cases.count).sum()
    }

    /// Takes in the counts of another file.
    pub fn merge(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        for (mine, theirs) in [(&mut self.refused, other.refused), (&mut self.not_applicable, other.not_applicable)] {
            for (reason, cases) in theirs {
                let known = mine.entry(reason).or_insert_with(|| Cases { count: 0, first: cases.first });
                known.count += cases.count;
            }
        }
        if let Some((time, place)) = other.slowest {
            self.took(time, &place);
        }
    }
}

/// The counts on one line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, refused, other) = (self.failed.len(), self.refused_count(), self.not_applicable_count());
        write!(f, "{} passed, {failed} failed, {refused} refused, {other} not applicable", self.passed)
    }
}
