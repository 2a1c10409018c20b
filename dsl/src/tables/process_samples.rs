//! `process_samples`: what processes used, now and then.

use super::{Column, Kind, Table};
use crate::types::Type;

/// The samples of processes.
pub(super) fn process_samples() -> Table {
    Table {
        name: "process_samples".into(),
        doc: "What processes used, looked at once in `samples.interval`: a row where something differs from the \
              process's last row, which therefore holds until the next one, or until the process ends. Once a day, and \
              when the agent starts, every process has a row. Names and command lines are in `processes_history`, \
              under the same `proc_id`."
            .into(),
        kind: Kind::Events,
        columns: columns(),
    }
}

/// The columns of a sample.
pub(super) fn columns() -> Vec<Column> {
    vec![
        Column::new("proc_id", Type::Text, false, "The process.").identity().indexed(),
        Column::new("pid", Type::Integer, false, "Its process id."),
        Column::new("collection_time", Type::Timestamp, false, "The snapshot that it was taken from.").indexed(),
        Column::new("cpu_usage", Type::Real, true, "Processor time since the snapshot before, to 0.1.")
            .unit("percent of one core"),
        Column::new("memory_usage", Type::Integer, true, "Resident memory, to 0.4 % of it.").unit("bytes"),
        Column::new("threads", Type::Integer, true, "The number of threads."),
        Column::new("status", Type::Text, true, "As in `processes`."),
    ]
}
