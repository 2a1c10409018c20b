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
mod rows;

use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::types::Timestamp;

use self::rows::Rows;
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

fn snapshot(rows: Rows, time: Timestamp, completeness: Completeness) -> Snapshot {
    let unreadable = rows.unreadable;
    Snapshot { table: TABLE, time, rows: rows.finish(), completeness, unreadable }
}
