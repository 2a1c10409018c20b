//! Silences: alerts that are stored, and not delivered for a while.
//!
//! A silence is of one rule, and of one key of it or of all. An alert that is raised under one says so
//! ([`crate::alert::Alert::silenced`]) and does not reach the sinks; nothing else about it differs. Once the silence is
//! over, the next match of the key raises an alert anew, whatever the rule's window says.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::alert::Alert;
use crate::types::{Timestamp, Value};

/// A silence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Unique in the store, ascending, never reused.
    pub number: u64,
    /// The rule's name when it was made.
    pub rule: String,
    /// The rule's UUID.
    pub rule_id: String,
    /// The key's values, by column; every key where there is none.
    pub key: Option<Map<String, serde_json::Value>>,
    /// Snapshots from this moment on are not silenced.
    pub ends: Timestamp,
    /// When it was made.
    pub made: Timestamp,
    /// Whose doing: the user that the system names; none where it does not.
    pub uid: Option<u32>,
    /// What they had to say: untrusted text.
    pub note: Option<String>,
}

impl Silence {
    /// Whether it is over.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends
    }

    /// Whether it is about an alert of this rule and key.
    pub fn is_about(&self, alert: &Alert) -> bool {
        self.rule_id == alert.rule.id && self.key.as_ref().is_none_or(|key| *key == alert.dedup.key)
    }

    /// The row of the `silences` table, in its declared order.
    pub fn cells(&self) -> Vec<Value> {
        let text = |text: &String| Value::Text(text.clone());
        vec![
            Value::Integer(i64::try_from(self.number).unwrap_or(i64::MAX)),
            text(&self.rule),
            text(&self.rule_id),
            self.key.clone().map_or(Value::Null, |key| Value::Text(serde_json::Value::Object(key).to_string())),
            Value::Timestamp(self.ends.0),
            Value::Timestamp(self.made.0),
            self.uid.map_or(Value::Null, |uid| Value::Integer(uid.into())),
            self.note.as_ref().map_or(Value::Null, text),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Catalog;

    #[test]
    fn cells_are_the_table_s_columns_and_the_record_survives_json() {
        let mut silence = Silence {
            number: 1,
            rule: "x".to_owned(),
            rule_id: "6f0a".to_owned(),
            key: None,
            ends: Timestamp(2),
            made: Timestamp(1),
            uid: None,
            note: None,
        };
        assert!(!silence.is_over(Timestamp(1)) && silence.is_over(Timestamp(2)));
        let catalog = Catalog::builtin();
        let columns = &catalog.table("silences").unwrap().columns;
        for _ in 0..2 {
            let cells = silence.cells();
            assert_eq!(cells.len(), columns.len());
            for (cell, column) in cells.iter().zip(columns) {
                assert!(cell.ty().map_or(column.nullable, |ty| ty == column.ty), "{}", column.name);
            }
            let text = serde_json::to_string(&silence).unwrap();
            assert_eq!(serde_json::from_str::<Silence>(&text).unwrap(), silence);
            silence.key = Some(Map::from_iter([("pid".to_owned(), 7.into())]));
            silence.uid = Some(0);
            silence.note = Some("\u{1b}".to_owned());
        }
    }
}
