//! `audit prove`: a file that shows elsewhere that an entry is on record.

use std::ops::ControlFlow;
use std::path::PathBuf;

use anyhow::bail;
use daemoneye_dsl::audit::Action;
use daemoneye_storage::ledger::{LedgerView, Order};

use super::{DONE, open, path};
use crate::output::{Format, print};
use crate::progress::Progress;
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, replace, with_exit_codes};

/// Prove that an entry, or an alert, is on record.
///
/// The proof is a JSON file with the entry, its way to the root of the tree, and the signed checkpoint. Whoever has it and
/// the public key checks it with `audit verify --proof`, without the ledger and without the agent.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
#[command(group = clap::ArgGroup::new("what").required(true))]
pub(super) struct Prove {
    /// The entry with this number
    #[arg(long, value_name = "N", group = "what")]
    seq: Option<u64>,
    /// The entry that says that this alert was raised
    #[arg(long, value_name = "ID", group = "what")]
    alert: Option<u64>,
    /// Write it into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli audit prove --alert 8841 --out 8841.proof
  daemoneye-cli audit verify --proof 8841.proof --key host7.pub";

pub(super) fn run(prove: &Prove, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    // A proof is JSON, whatever is asked for.
    let _form = Format::of_text(globals.output)?;
    let progress = Progress::begin(screen, "looking for the entry");
    let view = open(&path(prove.data.as_ref(), globals))?;
    let (sequence, what) = match (prove.seq, prove.alert) {
        (Some(sequence), _) => (sequence, format!("entry {sequence}")),
        (None, alert) => {
            let alert = alert.unwrap_or_default();
            let Some(sequence) = raised(&view, alert)? else {
                bail!("no entry says that alert {alert} was raised; `daemoneye-cli alerts list` names alerts");
            };
            (sequence, format!("alert {alert}, which is entry {sequence},"))
        }
    };
    let proof = view.prove(sequence)?;
    drop(progress);
    let json = proof.to_json();
    match &prove.out {
        Some(file) => replace::create(file, json.as_bytes())?,
        None => drop(print(screen, |out| out.write_all(json.as_bytes()))?),
    }
    let size = proof.checkpoint().checkpoint().size;
    screen.say(Mark::Note, &format!("{what} is proven to be one of the first {size}, signed by {}", proof.key()));
    Ok(DONE)
}

/// The newest entry that says that an alert was raised.
fn raised(view: &LedgerView, alert: u64) -> anyhow::Result<Option<u64>> {
    let (subject, mut found) = (alert.to_string(), None);
    view.entries(u64::MAX, Order::Backwards, &mut |entry, _| {
        if entry.event.action == Action::AlertRaised && entry.event.subject == subject {
            found = Some(entry.sequence);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
