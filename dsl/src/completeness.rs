//! How complete an answer is: part of every result and a column of every alert.

use serde::{Deserialize, Serialize};

/// Whether an answer holds everything it should.
///
/// What permissions hide narrows the `scope` and is not a failure; anything lost, shed, truncated or refused is a
/// [`Reason`] and makes the answer incomplete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completeness {
    /// What the asker was allowed to see.
    pub scope: Scope,
    /// Why something is missing; empty when nothing is. Sorted, without repeats.
    pub reasons: Vec<Reason>,
}

/// What part of the world an answer is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Everything there was.
    #[default]
    All,
    /// What this user may read.
    Visible,
}

/// Why an answer lacks something. The list is closed: a new reason is a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Snapshots are missing between two that were seen.
    SamplingGap,
    /// A full queue dropped events.
    EventsShed,
    /// Rows came too late to be used.
    LateRowsDiscarded,
    /// No collector reports at the moment.
    CollectorGone,
    /// A damaged part of the store was set aside.
    SegmentQuarantined,
    /// A rule was stopped because it exceeded a bound.
    RuleQuarantined,
    /// A rule did not compile.
    RuleRefused,
    /// A bound cut the rows or a value of the result.
    ResultTruncated,
    /// The statement ran out of time.
    StatementTimedOut,
    /// A column that was asked for is in none of the records.
    ColumnAbsentInData,
    /// The statement names a moment from which retention has dropped what happened.
    HistoryDropped,
}

impl Reason {
    /// What happened, in words.
    pub fn text(self) -> &'static str {
        match self {
            Self::SamplingGap => "snapshots are missing",
            Self::EventsShed => "events were shed",
            Self::LateRowsDiscarded => "late rows were discarded",
            Self::CollectorGone => "the collector is gone",
            Self::SegmentQuarantined => "a damaged part of the store was set aside",
            Self::RuleQuarantined => "a rule was quarantined",
            Self::RuleRefused => "a rule was refused",
            Self::ResultTruncated => "values or rows were cut at a bound",
            Self::StatementTimedOut => "the statement timed out",
            Self::ColumnAbsentInData => "a column is absent in the data",
            Self::HistoryDropped => {
                "what is asked about reaches back to history that was dropped (`retention.days`, `retention.bytes`)"
            }
        }
    }
}

impl Completeness {
    /// Whether nothing is missing from what the asker may see.
    pub fn is_complete(&self) -> bool {
        self.reasons.is_empty()
    }

    /// Notes that something is missing.
    pub fn add(&mut self, reason: Reason) {
        if let Err(at) = self.reasons.binary_search(&reason) {
            self.reasons.insert(at, reason);
        }
    }

    /// The completeness of an answer made from both parts.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        if other.scope == Scope::Visible {
            self.scope = Scope::Visible;
        }
        other.reasons.iter().for_each(|reason| self.add(*reason));
        self
    }

    /// The form that every result and alert carries: `{"complete": …, "scope": …, "reasons": […]}`.
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::json!({"complete": self.is_complete(), "scope": self.scope, "reasons": self.reasons})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_a_set_and_scopes_narrow() {
        let mut one = Completeness::default();
        one.add(Reason::ResultTruncated);
        one.add(Reason::SamplingGap);
        one.add(Reason::ResultTruncated);
        let both = one.and(&Completeness { scope: Scope::Visible, reasons: vec![] });
        assert_eq!(
            both.to_json().to_string(),
            r#"{"complete":false,"scope":"visible","reasons":["sampling_gap","result_truncated"]}"#
        );
        assert_eq!(
            serde_json::from_value::<Completeness>(both.to_json()).unwrap(),
            both,
            "`complete` follows from the rest"
        );
    }
}
