//! The present: a snapshot that this program takes by itself, with the rights of whoever runs it.

use daemoneye_collectors::{Collector, Snapshot, processes};
use daemoneye_dsl::completeness::Scope;
use daemoneye_dsl::types::Timestamp;
use daemoneye_settings::paths::is_root;

use crate::failed;

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The processes of this system, as of `now`.
pub(crate) fn snapshot(now: Timestamp) -> anyhow::Result<Snapshot> {
    snapshots()?(now)
}

/// Takes one snapshot after the other; from the second on, what is measured between two is known.
pub(crate) fn snapshots() -> anyhow::Result<impl FnMut(Timestamp) -> anyhow::Result<Snapshot>> {
    let unable = |error| failed("cannot list the processes", error, "check that /proc is mounted and readable");
    let mut collector = processes::here().map_err(unable)?;
    Ok(move |now| collector.collect(now).map_err(unable))
}

/// Where the rows come from and what permissions hide of them.
pub(crate) fn note(snapshot: &Snapshot) -> String {
    let hidden = match (snapshot.completeness.scope, snapshot.unreadable) {
        (Scope::All, _) => return "live snapshot".to_owned(),
        (Scope::Visible, 0) => "others may be hidden by permissions".to_owned(),
        (Scope::Visible, partly) => format!("{partly} partly hidden by permissions"),
    };
    format!("live snapshot, {hidden}{}", remedy())
}

/// What shows more, unless whoever asks is root already, from whom a sandbox may hide things all the same.
pub(crate) fn remedy() -> &'static str {
    if is_root() { "" } else { " (sudo shows them)" }
}
