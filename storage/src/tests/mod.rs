//! Laws of the store as a whole; each codec's own are beside it.

mod absent;
mod check;
mod crash;
mod damage;
pub(crate) mod disk;
mod full;
mod gaps;
mod integrity;
mod model;
mod outbox;
mod retention;
mod samples;
mod scans;
mod sealing;
mod state;
mod status;
mod windows;

use arrow_array::RecordBatch;
use daemoneye_dsl::alert::{ALERT_SCHEMA, Alert, AlertStatus, Dedup, Handling, Level, RuleRef, SnapshotRef};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Process, Table, version_columns};
use daemoneye_dsl::types::{Timestamp, Value};
use std::sync::Arc;

use crate::{ProcessChange, Reader, Scan, Scanned};

/// A version of a process, as far as the tests tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version {
    pub(super) id: u64,
    pub(super) pid: i64,
    pub(super) command: String,
}

/// A version whose command names id and version.
pub(super) fn version(id: u64, version: u32) -> Version {
    let pid = i64::try_from(id % 8).expect("a small number");
    Version { id, pid, command: format!("{id} v{version}") }
}

pub(super) fn id_text(id: u64) -> String {
    format!("{id:016x}")
}

/// Rows in the layout of a version.
pub(super) fn rows(versions: &[Version]) -> RecordBatch {
    let process = |version: &Version| Process {
        proc_id: id_text(version.id),
        pid: version.pid,
        name: "x".to_owned(),
        command_line: Some(version.command.clone()),
        start_time: (!version.id.is_multiple_of(3)).then(|| Timestamp(i64::try_from(version.id).expect("small"))),
        accessible: true,
        ..Process::default()
    };
    let batch = Process::batch(&versions.iter().map(process).collect::<Vec<_>>());
    let columns: Vec<_> =
        version_columns().iter().map(|column| batch.schema().index_of(&column.name).unwrap()).collect();
    batch.project(&columns).unwrap()
}

/// The three batches of a change.
#[derive(Clone, Debug, Default)]
pub(super) struct Delta {
    pub(super) started: Vec<Version>,
    pub(super) changed: Vec<Version>,
    pub(super) exited: Vec<Version>,
}

impl Delta {
    /// Calls `with` on the change that this is at `time`, `previous` being the snapshot before.
    pub(super) fn at<T>(&self, time: i64, previous: Option<i64>, with: impl FnOnce(&ProcessChange<'_>) -> T) -> T {
        let [started, changed, exited] = [&self.started, &self.changed, &self.exited].map(|versions| rows(versions));
        with(&ProcessChange {
            time: Timestamp(time),
            previous_time: previous.map(Timestamp),
            baseline: previous.is_none(),
            started: &started,
            changed: &changed,
            exited: &exited,
        })
    }
}

pub(super) fn table(name: &str) -> Arc<Table> {
    Catalog::builtin().table(name).unwrap().clone()
}

pub(super) fn scan(reader: &impl Reader, name: &str, columns: &[&str]) -> Scanned {
    let table = table(name);
    let columns: Vec<_> = columns.iter().map(|column| table.column(column).unwrap().0).collect();
    reader.scan(&Scan::all(&table, &columns)).unwrap()
}

/// The rows of batches as text, sorted.
pub(super) fn texts<'a>(batches: impl IntoIterator<Item = &'a RecordBatch>) -> Vec<String> {
    let text = |batch: &RecordBatch, row: usize| {
        let cells = batch.columns().iter().map(|column| match Value::at(column.as_ref(), row) {
            Value::Text(text) => text,
            Value::Timestamp(time) => time.to_string(),
            other => other.to_json().to_string(),
        });
        cells.collect::<Vec<_>>().join("|")
    };
    let mut all: Vec<_> =
        batches.into_iter().flat_map(|batch| (0..batch.num_rows()).map(move |row| text(batch, row))).collect();
    all.sort();
    all
}

/// Everything that a reader sees, as text.
pub(super) fn everything(reader: &impl Reader) -> Vec<String> {
    let mut all = Vec::new();
    for name in ["process_starts", "process_exits", "processes_history", "process_samples", "alerts"] {
        let table = table(name);
        let columns: Vec<_> = table.columns.iter().map(|column| &*column.name).collect();
        let scanned = scan(reader, name, &columns);
        assert!(scanned.completeness.is_complete(), "{name}: {:?}", scanned.completeness);
        all.extend(texts(&scanned.batches).into_iter().map(|row| format!("{name}: {row}")));
    }
    all
}

/// An alert of that number.
pub(super) fn alert(id: u64, time: i64) -> Alert {
    Alert {
        schema: ALERT_SCHEMA,
        id,
        time: Timestamp(time),
        snapshot: SnapshotRef::default(),
        level: Level::High,
        title: format!("alert {id}"),
        rule: RuleRef { id: "r".to_owned(), name: "x".to_owned(), rev: "1".to_owned() },
        tags: vec![],
        status: AlertStatus::Open,
        handling: Handling::New,
        handled: vec![],
        silenced: None,
        initial: false,
        dedup: Dedup { key: serde_json::Map::new(), count: 1, first_seen: Timestamp(time), last_seen: Timestamp(time) },
        row: serde_json::Map::new(),
        process: None,
        ancestors: vec![],
        completeness: Completeness::default().into(),
        sources: vec![],
    }
}

/// How many rows the batches have.
pub(super) fn count(scanned: &Scanned) -> usize {
    scanned.batches.iter().map(RecordBatch::num_rows).sum()
}
