//! What a rule raises: the record that is stored, printed and published.

use serde::{Deserialize, Serialize};
use serde_json::Map;

use crate::completeness::Completeness;
use crate::types::{Timestamp, Value};

/// The version of the JSON form of [`Alert`].
pub const ALERT_SCHEMA: u32 = 1;

/// How grave a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing, no action.
    Informational,
    /// Look when there is time.
    Low,
    /// Look today.
    Medium,
    /// Look now.
    High,
    /// Act now.
    Critical,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Self; 5] = [Self::Informational, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word in rule headers, JSON and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.name() == name)
    }
}

/// Whether what matched still does. Closing an alert is the operator's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertStatus {
    /// It matches, or it is an event, which has no end.
    Open,
    /// The match has gone.
    Resolved,
}

impl AlertStatus {
    /// The word in JSON and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Resolved => "resolved",
        }
    }

    /// That of this name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Open, Self::Resolved].into_iter().find(|it| it.name() == name)
    }
}

/// What operators have made of an alert. Whether it still matches is its [`AlertStatus`], which is nobody's to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Handling {
    /// Nobody has said anything about it, or it was opened again.
    New,
    /// Somebody looks into it.
    Acknowledged,
    /// It is done with: the same key raises a new one.
    Closed,
}

impl Handling {
    /// Every one, in the order in which they follow each other.
    pub const ALL: [Self; 3] = [Self::New, Self::Acknowledged, Self::Closed];

    /// The word in JSON and on screen.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Acknowledged => "acknowledged",
            Self::Closed => "closed",
        }
    }

    /// That of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }
}

/// Bytes of an operator's note.
pub const NOTE_LEN_MAX: usize = 1024;
/// Changes of its [`Handling`] that an alert remembers; with one more, the oldest is only in the agent's log.
pub const HANDLED_LEN_MAX: usize = 64;

/// One change of an alert's [`Handling`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handled {
    /// What it became.
    pub handling: Handling,
    /// When.
    pub at: Timestamp,
    /// Whose doing: the user that the system names; none where it does not.
    pub uid: Option<u32>,
    /// What they had to say: untrusted text.
    pub note: Option<String>,
}

/// Which rule raised an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleRef {
    /// The rule's UUID.
    pub id: String,
    /// The stem of the rule's file name.
    pub name: String,
    /// First 12 hex digits of BLAKE3 over canonical header and SQL.
    pub rev: String,
}

/// How often the same key matched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dedup {
    /// The key's values, by column.
    pub key: Map<String, serde_json::Value>,
    /// Matches counted into this alert, the first included.
    pub count: u64,
    /// The snapshot of the first.
    pub first_seen: Timestamp,
    /// The snapshot of the last.
    pub last_seen: Timestamp,
}

/// Where in the store a row of evidence is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRow {
    /// The table.
    pub table: String,
    /// The row's number in it: rows are numbered in the order in which they were recorded.
    pub row: u64,
}

/// Which snapshot raised an alert: the same two stand in the logs of the collector and of the agent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRef {
    /// The collector's run that made it.
    pub source: String,
    /// Its number in that run.
    pub sequence: u64,
}

/// A finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// [`ALERT_SCHEMA`].
    pub schema: u32,
    /// Unique in the store, ascending, never reused.
    pub id: u64,
    /// The snapshot that raised it.
    pub time: Timestamp,
    /// The same snapshot, as the logs name it.
    pub snapshot: SnapshotRef,
    /// How grave.
    pub level: Level,
    /// The rule's title with the row's values put in: untrusted text.
    pub title: String,
    /// Who raised it.
    pub rule: RuleRef,
    /// The rule's tags.
    pub tags: Vec<String>,
    /// Whether it still matches.
    pub status: AlertStatus,
    /// What operators have made of it.
    pub handling: Handling,
    /// How it came to that, oldest first, at most [`HANDLED_LEN_MAX`].
    pub handled: Vec<Handled>,
    /// The number of the silence that keeps it from being delivered, see [`crate::silence`].
    pub silenced: Option<u64>,
    /// Held already when the rule (or this revision of it) was first run.
    pub initial: bool,
    /// The key and its count.
    pub dedup: Dedup,
    /// The row that matched, by output column.
    pub row: Map<String, serde_json::Value>,
    /// The process that the row names, as far as known.
    pub process: Option<Map<String, serde_json::Value>>,
    /// Its known ancestors, parent first.
    pub ancestors: Vec<Map<String, serde_json::Value>>,
    /// How complete the rule's input was.
    pub completeness: AlertCompleteness,
    /// The stored rows of the process and its ancestors.
    pub sources: Vec<SourceRow>,
}

/// Alerts that were written after some turn, as programs tell each other.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlertChanges {
    /// The last turn that there is.
    pub turn: u64,
    /// Each with the turn of its last write, ascending, as it is now or with what is wrong with it. While the last of
    /// them has a lower turn than the last that there is, there are more.
    pub changed: Vec<(u64, Result<Alert, String>)>,
}

/// [`Completeness`] in its JSON form, `complete` spelled out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertCompleteness {
    /// Nothing was missing.
    pub complete: bool,
    /// Scope and reasons.
    #[serde(flatten)]
    pub detail: Completeness,
}

impl From<Completeness> for AlertCompleteness {
    fn from(detail: Completeness) -> Self {
        Self { complete: detail.is_complete(), detail }
    }
}

impl Alert {
    /// The record: the very bytes that are stored, and that [`Alert::hash`] is about.
    pub fn record(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an alert is JSON")
    }

    /// BLAKE3 over its record, in hex: what the ledger holds of it.
    pub fn hash(&self) -> String {
        blake3::hash(&self.record()).to_hex().to_string()
    }

    /// It becomes what an operator wants.
    pub fn handle(&mut self, handled: Handled) {
        self.handling = handled.handling;
        if self.handled.len() >= HANDLED_LEN_MAX {
            self.handled.remove(0);
        }
        self.handled.push(handled);
    }

    /// The row of the `alerts` table, in its declared order: all that there is to know, see [`Alert::from_cells`].
    pub fn cells(&self) -> Vec<Value> {
        let text = |text: &str| Value::Text(text.to_owned());
        let json = |value: serde_json::Value| Value::Text(value.to_string());
        let number = |number: u64| Value::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let process_text = |key: &str| self.process.as_ref()?.get(key)?.as_str().map(|id| Value::Text(id.to_owned()));
        let last = self.handled.last();
        let note = last.and_then(|last| last.note.as_deref());
        vec![
            number(self.id),
            Value::Timestamp(self.time.0),
            Value::Timestamp(self.dedup.first_seen.0),
            Value::Timestamp(self.dedup.last_seen.0),
            text(self.status.name()),
            text(self.handling.name()),
            last.map_or(Value::Null, |last| Value::Timestamp(last.at.0)),
            last.and_then(|last| last.uid).map_or(Value::Null, |uid| Value::Integer(uid.into())),
            note.map_or(Value::Null, text),
            self.silenced.map_or(Value::Null, number),
            text(self.level.name()),
            text(&self.rule.name),
            text(&self.rule.id),
            text(&self.rule.rev),
            text(&self.title),
            json(self.tags.as_slice().into()),
            number(self.dedup.count),
            Value::Boolean(self.initial),
            process_text("proc_id").unwrap_or_default(),
            json(self.dedup.key.clone().into()),
            json(self.row.clone().into()),
            self.process.clone().map_or(Value::Null, |process| json(process.into())),
            json(self.ancestors.iter().cloned().map(serde_json::Value::Object).collect()),
            Value::Boolean(self.completeness.complete),
            json(self.completeness.detail.to_json()),
            json(serde_json::json!(self.handled)),
            json(serde_json::json!(self.snapshot)),
            json(serde_json::json!(self.sources)),
        ]
    }

    /// Reads [`Alert::cells`] back; nothing where they are no alert's.
    pub fn from_cells(cells: &[Value]) -> Option<Self> {
        let [
            id,
            time,
            first_seen,
            last_seen,
            status,
            handling,
            _handled_at,
            _handled_by,
            _note,
            silenced,
            level,
            rule,
            rule_id,
            revision,
            title,
            tags,
            count,
            initial,
            _proc_id,
            key,
            row,
            process,
            ancestors,
            complete,
            completeness,
            handled,
            snapshot,
            sources,
        ] = cells
        else {
            return None;
        };
        let number = |value: &Value| u64::try_from(value.as_integer()?).ok();
        let time_of = |value: &Value| value.as_timestamp().map(Timestamp);
        let text = |value: &Value| value.as_text().map(str::to_owned);
        Some(Self {
            schema: ALERT_SCHEMA,
            id: number(id)?,
            time: time_of(time)?,
            snapshot: parsed(snapshot)?,
            level: Level::parse(level.as_text()?)?,
            title: text(title)?,
            rule: RuleRef { id: text(rule_id)?, name: text(rule)?, rev: text(revision)? },
            tags: parsed(tags)?,
            status: AlertStatus::parse(status.as_text()?)?,
            handling: Handling::parse(handling.as_text()?)?,
            handled: parsed(handled)?,
            silenced: number(silenced),
            initial: initial.as_boolean()?,
            dedup: Dedup {
                key: parsed(key)?,
                count: number(count)?,
                first_seen: time_of(first_seen)?,
                last_seen: time_of(last_seen)?,
            },
            row: parsed(row)?,
            process: process.as_text().map_or(Some(None), |_| parsed(process).map(Some))?,
            ancestors: parsed(ancestors)?,
            completeness: AlertCompleteness { complete: complete.as_boolean()?, detail: parsed(completeness)? },
            sources: parsed(sources)?,
        })
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: &Value) -> Option<T> {
    serde_json::from_str(value.as_text()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Catalog;

    pub(crate) fn sample() -> Alert {
        let row = serde_json::json!({"pid": 7, "name": "x\u{1b}"});
        let row = row.as_object().expect("an object").clone();
        Alert {
            schema: ALERT_SCHEMA,
            id: 3,
            time: Timestamp(1_000_001),
            snapshot: SnapshotRef { source: "5f2c".to_owned(), sequence: 7 },
            level: Level::High,
            title: "x runs".to_owned(),
            rule: RuleRef { id: "6f0a".to_owned(), name: "x".to_owned(), rev: "0123456789ab".to_owned() },
            tags: vec!["attack.t1059".to_owned()],
            status: AlertStatus::Open,
            handling: Handling::New,
            handled: vec![],
            silenced: None,
            initial: false,
            dedup: Dedup { key: row.clone(), count: 1, first_seen: Timestamp(1), last_seen: Timestamp(2) },
            row,
            process: None,
            ancestors: vec![],
            completeness: Completeness::default().into(),
            sources: vec![SourceRow { table: "processes_history".to_owned(), row: 1 }],
        }
    }

    #[test]
    fn the_record_survives_json() {
        let alert = sample();
        let text = serde_json::to_string(&alert).unwrap();
        assert_eq!(serde_json::from_str::<Alert>(&text).unwrap(), alert);
        assert!(text.contains(r#""time":"1970-01-01T00:00:01.000001Z""#), "{text}");
    }

    #[test]
    fn cells_are_the_table_s_columns() {
        let catalog = Catalog::builtin();
        let columns = &catalog.table("alerts").unwrap().columns;
        let mut handled = sample();
        for (at, note) in [None, Some("\u{1b}[2J".to_owned())].into_iter().cycle().take(HANDLED_LEN_MAX + 1).enumerate()
        {
            let at = Timestamp(i64::try_from(at).unwrap());
            handled.handle(Handled { handling: Handling::ALL[1], at, uid: Some(1000), note });
        }
        handled.silenced = Some(7);
        handled.process = Some(handled.row.clone());
        handled.ancestors = vec![handled.row.clone()];
        assert_eq!((handled.handled.len(), handled.handled[0].at), (HANDLED_LEN_MAX, Timestamp(1)), "the oldest went");
        for alert in [sample(), handled] {
            let cells = alert.cells();
            assert_eq!(cells.len(), columns.len());
            for (cell, column) in cells.iter().zip(columns) {
                assert!(cell.ty().map_or(column.nullable, |ty| ty == column.ty), "{}", column.name);
            }
            assert_eq!(Alert::from_cells(&cells), Some(alert));
        }
        assert_eq!(Alert::from_cells(&[]), None);
    }
}
