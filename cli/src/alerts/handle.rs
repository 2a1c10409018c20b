//! `alerts ack`, `close` and `reopen`: tells the agent what becomes of alerts.

use std::path::PathBuf;

use daemoneye_broker::payload::{Deed, Handle as Wish};
use daemoneye_dsl::alert::Handling;

use crate::agent::{Door, order};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, store, with_exit_codes};

/// Alerts, and why.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Handle {
    /// The numbers that `alerts list` gives
    #[arg(value_name = "ID", required = true)]
    ids: Vec<u64>,
    /// What is to be remembered about it
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli alerts ack 8841 --note 'asked the web team'
  sudo daemoneye-cli alerts close 8841 8842 --note 'a planned test'
  daemoneye-cli alerts list --status open --handling new";

pub(super) fn run(handle: &Handle, to: Handling, globals: &Globals, screen: &Screen) -> Ending {
    let door = Door::find(&globals.settings, &store::data_dir(handle.data.as_ref(), &globals.settings));
    let Handle { ids, note, .. } = handle;
    let wish = Wish { alerts: ids.clone(), handling: to.name().to_owned(), note: note.clone() };
    match order(&door, Deed::Handle(wish)) {
        Ok(_) => {
            let done = match to {
                Handling::New => "open again",
                Handling::Acknowledged => "acknowledged",
                Handling::Closed => "closed",
            };
            let numbers: Vec<_> = ids.iter().map(u64::to_string).collect();
            screen.say(Mark::Note, &format!("{} {done}: {}", count(ids.len(), "alert", "alerts"), numbers.join(", ")));
            Ending::Done { found: false, degraded: false }
        }
        Err(reached) => reached.end_order(&door, "nothing was changed", "alerts list", screen),
    }
}
