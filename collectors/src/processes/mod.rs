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
use crate::redact::Redactor;

/// The table's name in the catalog.
pub const TABLE: &str = "processes";

/// The collector for this system. Secrets in arguments and environments are replaced.
pub fn here() -> Result<impl Collector + Send + use<>, CollectError> {
    here_redacting(Redactor::of_this_host())
}

/// The same with another redactor.
#[cfg(target_os = "linux")]
pub fn here_redacting(redactor: Redactor) -> Result<impl Collector + Send + use<>, CollectError> {
    linux::LinuxProcesses::new().map(|processes| processes.redacting(redactor))
}

/// The same with another redactor.
#[cfg(not(target_os = "linux"))]
pub fn here_redacting(redactor: Redactor) -> Result<impl Collector + Send + use<>, CollectError> {
    portable::PortableProcesses::new().map(|processes| processes.redacting(redactor))
}

fn snapshot(rows: Rows, time: Timestamp, completeness: Completeness) -> Snapshot {
    let unreadable = rows.unreadable;
    Snapshot { table: TABLE, time, rows: rows.finish(), completeness, unreadable }
}
