//! `data compact`: gives the room that is free in the store's file back to the disk.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use daemoneye_storage::{ReadStore, Store};

use crate::progress::Progress;
use crate::render::bytes;
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, failed, path_remedy, store, with_exit_codes};

/// Give what is free in the store's file back to the disk.
///
/// What retention drops leaves room in the file, which is used again; where more than half of it is free, the agent gives
/// it back by itself between two snapshots. This does it at once. The agent has to be stopped, and nobody may read the store meanwhile. A store that is interrupted here is
/// whole.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Compact {
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo systemctl stop daemoneye-agent
  sudo daemoneye-cli data compact";

pub(super) fn run(compact: &Compact, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if globals.output.is_some() {
        bail!("this command has no answer to be written in a form; leave -o out");
    }
    let started = Instant::now();
    let path = store::data_dir(compact.data.as_ref(), &globals.settings).events();
    // Where there is no store, none is made.
    drop(ReadStore::open(&path).or_else(|error| match error {
        daemoneye_storage::Error::NeedsRepair(_) => Ok(ReadStore::open(Store::open(&path).map(|_| &path)?)?),
        other => Err(other),
    })?);
    let len = || std::fs::metadata(&path).map(|file| file.len());
    let unreadable = |error| failed(format!("cannot read {}", path.display()), &error, path_remedy(&error));
    let before = len().map_err(unreadable)?;
    let progress = Progress::begin(screen, "compacting the store");
    let opened = Store::open(&path)?;
    opened.compact()?;
    drop(opened);
    drop(progress);
    let after = len().map_err(unreadable)?;
    let elapsed_ms = started.elapsed().as_millis();
    let freed = bytes(before.saturating_sub(after));
    let place = path.display();
    screen.say(Mark::Note, &format!("{freed} freed, {} left · store {place} · {elapsed_ms} ms", bytes(after)));
    Ok(Ending::Done { found: false, degraded: false })
}
