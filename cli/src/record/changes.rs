//! From one snapshot to the next, in lines.

use std::collections::BTreeMap;

use arrow_array::RecordBatch;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::tables::{Column, Process};
use daemoneye_dsl::types::{Timestamp, Value};
use serde_json::{Map, json};

use super::Recorded;

/// How `process_starts` and `process_exits` say who saw it.
const OBSERVED_BY: &str = "snapshot";
const COLLECTION_TIME: &str = "collection_time";

/// A row as JSON has it, its columns in the order of the catalog.
type Row = Map<String, serde_json::Value>;

/// What the snapshots so far came to.
pub(super) struct Recording {
    samples: bool,
    columns: Vec<Column>,
    /// The processes of the last snapshot, by `proc_id`.
    known: BTreeMap<String, Known>,
    /// When that was.
    time: Option<Timestamp>,
}

/// A process as it was written last.
struct Known {
    /// Without `collection_time`: that a snapshot was taken is no change.
    row: Row,
    collected: Timestamp,
}

/// The lines of one snapshot.
struct Lines<'w> {
    at: String,
    wanted: &'w dyn Fn(Recorded) -> bool,
    text: String,
    number: u64,
}

impl Recording {
    pub(super) fn new(samples: bool) -> Self {
        Self { samples, columns: Process::columns(), known: BTreeMap::new(), time: None }
    }

    /// Whether no snapshot was taken yet.
    pub(super) fn is_new(&self) -> bool {
        self.time.is_none()
    }

    /// What the snapshot changes in the tables that are wanted, as lines, and how many they are.
    pub(super) fn take(&mut self, snapshot: &Snapshot, wanted: &dyn Fn(Recorded) -> bool) -> (String, u64) {
        let mut lines = Lines { at: snapshot.time.rfc3339(), wanted, text: String::new(), number: 0 };
        let mut before = std::mem::take(&mut self.known);
        let mut came: Vec<Row> = Vec::new();
        let mut changed: Vec<(Known, Row)> = Vec::new();
        for number in 0..snapshot.rows.num_rows() {
            let (id, mut row) = self.row(&snapshot.rows, number);
            match before.remove(&id) {
                None => came.push(row),
                Some(known) => {
                    // The parent at creation is the one that was seen first.
                    if let (Some(first), Some(parent)) = (known.row.get("parent_id"), row.get_mut("parent_id")) {
                        parent.clone_from(first);
                    }
                    if row == known.row {
                        self.known.insert(id, known);
                    } else {
                        changed.push((known, row));
                    }
                }
            }
        }
        let gone: Vec<_> = before.into_values().collect();
        let leaving = gone.iter().chain(changed.iter().map(|(known, _)| known));
        leaving.for_each(|known| lines.add(Recorded::Processes, "-", &known.written()));
        if let Some(time) = self.time {
            for row in &came {
                lines.add(Recorded::ProcessStarts, "+", &self.observed(row, &[("observed_at", snapshot.time)]));
            }
            let moments = [("last_seen_at", time), ("observed_at", snapshot.time)];
            for known in &gone {
                lines.add(Recorded::ProcessExits, "+", &self.observed(&known.row, &moments));
            }
        }
        for row in came.into_iter().chain(changed.into_iter().map(|(_, row)| row)) {
            let known = Known { row, collected: snapshot.time };
            lines.add(Recorded::Processes, "+", &known.written());
            let id = known.row.get("proc_id").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            self.known.insert(id, known);
        }
        self.time = Some(snapshot.time);
        (lines.text, lines.number)
    }

    /// A process's id and columns.
    fn row(&self, rows: &RecordBatch, number: usize) -> (String, Row) {
        let kept = |column: &Column| column.name != COLLECTION_TIME && (self.samples || !column.volatile);
        let columns = self.columns.iter().zip(rows.columns()).filter(|(column, _)| kept(column));
        let row: Row =
            columns.map(|(column, cells)| (column.name.to_string(), Value::at(cells, number).to_json())).collect();
        let id = row.get("proc_id").and_then(serde_json::Value::as_str).unwrap_or_default();
        (id.to_owned(), row)
    }

    /// A version as an event that was seen.
    fn observed(&self, row: &Row, moments: &[(&str, Timestamp)]) -> Row {
        let versions = self.columns.iter().filter(|column| !column.volatile);
        let mut event: Row =
            versions.filter_map(|column| Some((column.name.to_string(), row.get(&*column.name)?.clone()))).collect();
        event.extend(moments.iter().map(|(name, time)| ((*name).to_owned(), time.rfc3339().into())));
        event.insert("observed_by".to_owned(), OBSERVED_BY.into());
        event
    }
}

impl Known {
    fn written(&self) -> Row {
        let mut row = self.row.clone();
        row.insert(COLLECTION_TIME.to_owned(), self.collected.rfc3339().into());
        row
    }
}

impl Lines<'_> {
    fn add(&mut self, table: Recorded, op: &str, row: &Row) {
        if (self.wanted)(table) {
            let line = json!({"at": self.at, "table": table.name(), "op": op, "row": row});
            self.text.push_str(&line.to_string());
            self.text.push('\n');
            self.number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use daemoneye_dsl::completeness::Completeness;

    use super::*;

    fn process(id: u64, name: &str, parent: u64) -> Process {
        Process {
            proc_id: format!("{id:016x}"),
            parent_id: Some(format!("{parent:016x}")),
            name: name.to_owned(),
            ..Process::default()
        }
    }

    fn snapshot(second: i64, processes: &[Process]) -> Snapshot {
        let time = Timestamp(second * 1_000_000);
        let mut processes: Vec<_> = processes.to_vec();
        for process in &mut processes {
            process.collection_time = time;
            process.memory_usage = Some(second);
        }
        let rows = Process::batch(&processes);
        Snapshot { table: "processes", time, rows, completeness: Completeness::default(), unreadable: 0 }
    }

    fn taken(recording: &mut Recording, snapshot: &Snapshot) -> Vec<(String, String, Row)> {
        let (text, number) = recording.take(snapshot, &|_| true);
        assert_eq!(text.lines().count() as u64, number);
        let line = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["at"], snapshot.time.rfc3339());
            let row = line["row"].as_object().unwrap().clone();
            (
                format!("{}{}", line["op"].as_str().unwrap(), line["table"].as_str().unwrap()),
                row["name"].to_string(),
                row,
            )
        };
        text.lines().map(line).collect()
    }

    fn shown(lines: &[(String, String, Row)]) -> Vec<String> {
        lines.iter().map(|(what, name, _)| format!("{what} {}", name.trim_matches('"'))).collect()
    }

    #[test]
    fn what_comes_changes_and_goes_is_written_and_samples_are_no_change() {
        let mut recording = Recording::new(false);
        let first = taken(&mut recording, &snapshot(1, &[process(1, "init", 0), process(2, "sh", 1)]));
        assert_eq!(shown(&first), ["+processes init", "+processes sh"]);
        assert!(!first[0].2.contains_key("memory_usage"));
        // Adopted, which is no change either.
        let same = taken(&mut recording, &snapshot(2, &[process(1, "init", 0), process(2, "sh", 0)]));
        assert_eq!(same.len(), 0);
        let third = taken(&mut recording, &snapshot(3, &[process(2, "dash", 0), process(3, "ls", 2)]));
        let expected = [
            "-processes init",
            "-processes sh",
            "+process_starts ls",
            "+process_exits init",
            "+processes ls",
            "+processes dash",
        ];
        assert_eq!(shown(&third), expected);
        assert_eq!(third[0].2, first[0].2, "it goes as it came");
        let exit = &third[3].2;
        assert_eq!(
            (&exit["last_seen_at"], &exit["observed_at"]),
            (&"1970-01-01T00:00:02Z".into(), &"1970-01-01T00:00:03Z".into())
        );
        assert_eq!(third[5].2["parent_id"], format!("{:016x}", 1));
    }

    #[test]
    fn samples_are_written_where_they_are_wanted() {
        let mut recording = Recording::new(true);
        taken(&mut recording, &snapshot(1, &[process(1, "init", 0)]));
        let moved = taken(&mut recording, &snapshot(2, &[process(1, "init", 0)]));
        assert_eq!(shown(&moved), ["-processes init", "+processes init"]);
        assert_eq!((&moved[0].2["memory_usage"], &moved[1].2["memory_usage"]), (&1.into(), &2.into()));
    }

    #[test]
    fn events_have_the_columns_of_the_catalog() {
        let mut recording = Recording::new(true);
        taken(&mut recording, &snapshot(1, &[process(1, "init", 0)]));
        let lines = taken(&mut recording, &snapshot(2, &[process(2, "sh", 0)]));
        let catalog = daemoneye_dsl::tables::Catalog::builtin();
        for (what, _, row) in lines {
            let table = catalog.table(&what[1..]).unwrap();
            assert!(table.columns.iter().map(|column| &*column.name).eq(row.keys().map(String::as_str)), "{what}");
        }
    }
}
