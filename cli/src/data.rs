//! `data`: the agent's event store itself: what is in it, whether it is whole, and how to take it elsewhere.

mod check;
mod compact;
mod export;
mod stats;

use crate::screen::Screen;
use crate::{Ending, Globals};

/// Look after the agent's event store.
#[derive(Debug, clap::Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Stats(stats::Stats),
    Check(check::Check),
    Compact(compact::Compact),
    Export(export::Export),
}

impl Data {
    /// Whether it writes CSV into a file.
    pub(crate) fn exports_csv(&self) -> bool {
        matches!(&self.command, Command::Export(export) if export.is_csv())
    }
}

pub(crate) fn run(data: &Data, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &data.command {
        Command::Stats(stats) => stats::run(stats, globals, screen),
        Command::Check(check) => check::run(check, globals, screen),
        Command::Compact(compact) => compact::run(compact, globals, screen),
        Command::Export(export) => export::run(export, globals, screen),
    }
}
