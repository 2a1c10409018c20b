//! What is known of one key under which a rule matches.
//!
//! ```text
//! [alert: u64 LE][weight: i64 LE][first raised: i64 LE], sealed with rule and key as the context
//! ```

use daemoneye_dsl::types::Timestamp;

use crate::Error;
use crate::block::{seal, unseal};

/// The state of one dedup key of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MatchState {
    /// The alert that this key raised.
    pub alert_id: u64,
    /// Rows that match now under this key; 0 once they have gone.
    pub weight: i64,
    /// When the alert was raised: the dedup window runs from here.
    pub first_raised: Timestamp,
}

impl MatchState {
    pub(crate) fn encode(self, rule_id: &str, key: &[u8]) -> Vec<u8> {
        let fields = [self.alert_id.to_le_bytes(), self.weight.to_le_bytes(), self.first_raised.0.to_le_bytes()];
        seal(&context(rule_id, key), &fields.concat())
    }

    pub(crate) fn decode(rule_id: &str, key: &[u8], sealed: &[u8]) -> Result<Self, Error> {
        let damaged = |why: &str| Error::Damaged(format!("a match of rule {rule_id}: {why}"));
        let payload = unseal(&context(rule_id, key), sealed).map_err(|why| damaged(&why))?;
        let ([alert_id, weight, first_raised], []) = payload.as_chunks::<8>() else {
            return Err(damaged("its length is wrong"));
        };
        Ok(Self {
            alert_id: u64::from_le_bytes(*alert_id),
            weight: i64::from_le_bytes(*weight),
            first_raised: Timestamp(i64::from_le_bytes(*first_raised)),
        })
    }
}

fn context(rule_id: &str, key: &[u8]) -> Vec<u8> {
    let len = rule_id.len() as u64;
    [&len.to_be_bytes(), rule_id.as_bytes(), key].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn states_come_back(alert_id: u64, weight: i64, first: i64, rule: String, key: Vec<u8>) {
            let state = MatchState { alert_id, weight, first_raised: Timestamp(first) };
            let bytes = state.encode(&rule, &key);
            prop_assert_eq!(MatchState::decode(&rule, &key, &bytes).unwrap(), state);
            prop_assert!(MatchState::decode("another rule", &key, &bytes).is_err());
        }

        #[test]
        fn no_bytes_panic(bytes: Vec<u8>) {
            let _either = MatchState::decode("r", b"k", &bytes);
            let _either = MatchState::decode("r", b"k", &seal(&context("r", b"k"), &bytes));
        }
    }
}
