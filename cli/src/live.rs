//! The present: a snapshot that this program takes by itself, with the rights of whoever runs it.

use anyhow::Context;
use daemoneye_collectors::{Collector, Snapshot, processes};
use daemoneye_dsl::completeness::Scope;
use daemoneye_dsl::types::Timestamp;
use daemoneye_settings::paths::is_root;

/// The present moment.
pub(crate) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_microsecond())
}

/// The processes of this system, as of `now`.
pub(crate) fn snapshot(now: Timestamp) -> anyhow::Result<Snapshot> {
    processes::here().and_then(|mut collector| collector.collect(now)).context("cannot list the processes")
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
