//! `processes` and the tables of its history.

use super::{Access, Column, Kind, Table, process_samples, row, version_columns};
use crate::types::{Timestamp, Type};

row! {
    /// One process at the moment of a snapshot.
    ///
    /// Text that was not UTF-8 holds `\xHH` for each such byte (and `\x5c` for a backslash that precedes an `x`), so
    /// that it can be turned back.
    pub struct Process {
        proc_id: String = "The process for its whole life: 16 hex digits of BLAKE3 over boot id, pid and start ticks."
            .identity().indexed();
        parent_id: Option<String> = "The `proc_id` of the parent at creation; NULL where it was gone when first seen."
            .identity().indexed();
        pid: i64 = "The process id, reused by the system.".indexed();
        ppid: Option<i64> = "The pid of the present parent.";
        name: String = "The short name that the process or the kernel gave it.".indexed();
        executable_path: Option<String> = "The path of the running program, without ` (deleted)`."
            .indexed().access(Access::Owner);
        command_line: Option<String> = "The arguments joined by one space; NULL for kernel threads.";
        argv: Option<String> = "The arguments as a JSON array.";
        cwd: Option<String> = "The working directory.".access(Access::Owner);
        user_id: Option<i64> = "The real user id.";
        user_name: Option<String> = "The name of the real user.".indexed();
        group_id: Option<i64> = "The real group id.";
        session_id: Option<i64> = "The pid of the session's leader.";
        terminal: Option<String> = "The controlling terminal, such as `pts/3`.";
        start_time: Option<Timestamp> = "When it started, to the system's tick (10 ms on Linux).";
        kernel_thread: bool = "Whether it is a thread of the kernel, which has no program and no arguments.";
        status: Option<String> = "running, sleeping, disk-sleep, stopped, tracing, zombie, dead, idle.".volatile();
        cpu_usage: Option<f64> = "Processor time since the last snapshot; NULL in the first that has the process."
            .volatile().unit("percent of one core");
        memory_usage: Option<i64> = "Resident memory.".volatile().unit("bytes");
        threads: Option<i64> = "The number of threads.".volatile();
        executable_hash: Option<String> = "The hash of the program's file.".indexed().access(Access::Uncollected);
        hash_algorithm: Option<String> = "The algorithm of `executable_hash`.".access(Access::Uncollected);
        file_exists: Option<bool> = "Whether a file is still at `executable_path`.".access(Access::Owner);
        on_disk_mismatch: Option<bool> = "Whether the file at `executable_path` is no longer the one that runs."
            .access(Access::Owner);
        accessible: bool = "Whether everything could be read; if not, columns that need its owner are NULL.";
        container_id: Option<String> = "The id of the container that its control group names.";
        environment_vars: Option<String> = "The environment at its start as a JSON object.".access(Access::Owner);
        collection_time: Timestamp = "When the snapshot was taken.".volatile();
    }
}

/// What `status` may say.
pub const STATUSES: [&str; 8] = ["running", "sleeping", "disk-sleep", "stopped", "tracing", "zombie", "dead", "idle"];

/// The processes alive in the latest snapshot.
pub(super) fn processes() -> Table {
    Table {
        name: "processes".into(),
        doc: "The processes alive in the latest snapshot, one row each; threads are not rows.".into(),
        kind: Kind::State,
        columns: Process::columns(),
    }
}

/// The starts seen between snapshots.
pub(super) fn process_starts() -> Table {
    Table {
        name: "process_starts".into(),
        doc: "One row per process seen to have started; those alive at the very first snapshot are not starts.".into(),
        kind: Kind::Events,
        columns: with_observation(&[]),
    }
}

/// The exits seen between snapshots.
pub(super) fn process_exits() -> Table {
    let last_seen_at = Column::new("last_seen_at", Type::Timestamp, false, "The last snapshot that had the process.");
    let mut columns = with_observation(&[last_seen_at]);
    // A process may have run for long before it exits.
    columns.iter_mut().filter(|column| column.name == "start_time").for_each(|column| column.earlier = true);
    Table {
        name: "process_exits".into(),
        doc: "One row per process seen to have gone, with its last version.".into(),
        kind: Kind::Events,
        columns,
    }
}

/// Every version of every process.
pub(super) fn processes_history() -> Table {
    let mut columns = version_columns();
    columns.push(Column::new("seen_from", Type::Timestamp, false, "The first snapshot that had this version."));
    columns.push(Column::new(
        "seen_to",
        Type::Timestamp,
        true,
        "The first snapshot that no longer had it; NULL while it lives.",
    ));
    Table {
        name: "processes_history".into(),
        doc: "One row per version of a process: unchanged for a week is one row.".into(),
        kind: Kind::State,
        columns,
    }
}

/// `processes_history` with, of every process, the last sample at or before a moment: what `processes FOR SYSTEM_TIME AS
/// OF` is read from. No statement names it.
pub fn processes_at() -> Table {
    let mut table = processes_history();
    let known: Vec<_> = table.columns.iter().map(|column| column.name.clone()).collect();
    let samples = process_samples::columns().into_iter().filter(|column| !known.contains(&column.name));
    table.columns.extend(samples.map(|column| Column { nullable: true, indexed: false, ..column }));
    table
}

fn with_observation(extra: &[Column]) -> Vec<Column> {
    let mut columns = version_columns();
    columns.extend_from_slice(extra);
    columns.push(Column::new("observed_at", Type::Timestamp, false, "The snapshot that showed it."));
    columns.push(Column::new("observed_by", Type::Text, false, "`snapshot`, or the source of real-time events."));
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_is_documented() {
        let columns = Process::columns();
        let status = columns.iter().find(|column| column.name == "status").unwrap();
        assert_eq!(status.doc, format!("{}.", STATUSES.join(", ")));
    }
}
