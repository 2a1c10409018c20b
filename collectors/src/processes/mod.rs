//! The table `processes`.
//!
//! On Linux our own reader of `/proc` ([`linux`]); elsewhere, and everywhere as the cross-check, [`portable`] on the
//! `sysinfo` crate. [`here`] is the one for this system.

pub mod arguments;
mod budget;
pub mod environment;
pub mod identity;
mod json;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod portable;

use std::collections::HashMap;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::Process;
use daemoneye_dsl::types::Timestamp;

use crate::collector::{CollectError, Collector, Snapshot};

/// The table's name in the catalog.
pub const TABLE: &str = "processes";

/// The collector for this system.
#[cfg(target_os = "linux")]
pub fn here() -> Result<impl Collector + Send + use<>, CollectError> {
    linux::LinuxProcesses::new()
}

/// The collector for this system.
#[cfg(not(target_os = "linux"))]
pub fn here() -> Result<impl Collector + Send + use<>, CollectError> {
    portable::PortableProcesses::new()
}

/// Names each process's parent: the process that has its `ppid` in the same snapshot, unless it started later, which
/// shows that the pid is another's by now. `starts` has the start of each row, in any unit.
fn set_parents(rows: &mut [Process], starts: &[u64]) {
    let by_pid: HashMap<i64, usize> = rows.iter().enumerate().map(|(at, row)| (row.pid, at)).collect();
    for child in 0..rows.len() {
        let parent = rows[child].ppid.and_then(|ppid| by_pid.get(&ppid).copied());
        let parent = parent.filter(|parent| *parent != child && starts[*parent] <= starts[child]);
        rows[child].parent_id = parent.map(|parent| rows[parent].proc_id.clone());
    }
}

fn snapshot(rows: &[Process], time: Timestamp, completeness: Completeness) -> Snapshot {
    let unreadable = rows.iter().filter(|row| !row.accessible).count() as u64;
    Snapshot { table: TABLE, time, rows: Process::batch(rows), completeness, unreadable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_that_started_later_is_none() {
        let row = |pid, ppid| Process { proc_id: format!("id{pid}"), pid, ppid: Some(ppid), ..Process::default() };
        let mut rows = [row(1, 0), row(2, 1), row(3, 9), row(9, 1), row(5, 5), row(6, 7)];
        set_parents(&mut rows, &[0, 0, 50, 60, 1, 1]);
        let parents: Vec<_> = rows.iter().map(|row| row.parent_id.as_deref()).collect();
        assert_eq!(parents, [None, Some("id1"), None, Some("id1"), None, None]);
    }
}
