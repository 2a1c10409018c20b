//! The agent's event store, read beside the agent.

use std::path::PathBuf;

use daemoneye_settings::Settings;
use daemoneye_settings::paths::DataDir;
use daemoneye_storage::{Error, ReadStore, View};

/// One moment of the store.
pub(crate) struct Stored {
    /// The store's file.
    pub(crate) path: PathBuf,
    /// What it holds.
    pub(crate) view: View,
}

/// The data directory that is named, else where the settings say, else where an agent of this user keeps its own.
pub(crate) fn data_dir(named: Option<&PathBuf>, settings: &Settings) -> DataDir {
    named.map_or_else(|| settings.data_dir(), DataDir::new)
}

/// Opens the store in a data directory.
pub(crate) fn open(data: Option<&PathBuf>, settings: &Settings) -> Result<Stored, Error> {
    let data = data_dir(data, settings);
    let path = data.events();
    let view = ReadStore::open(&path)?.read()?.with_ledger(settings.ledger_in(&data));
    Ok(Stored { path, view })
}

/// Where the rows come from.
pub(crate) fn note(stored: &Stored) -> String {
    format!("store {}", stored.path.display())
}
