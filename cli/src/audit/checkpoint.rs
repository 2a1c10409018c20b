//! `audit checkpoint`: what was signed last, to be kept elsewhere.

use std::path::PathBuf;

use anyhow::bail;
use daemoneye_storage::ledger::hex;
use serde_json::json;

use super::{DONE, open, path};
use crate::output::{Format, print};
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, replace, with_exit_codes};

/// Write the newest signed checkpoint.
///
/// A signed note: which ledger, how many entries, the root of their tree, and who signed that. Kept on another host it
/// shows with `audit verify --checkpoint` whether anything of these entries was changed or cut off since, even by root.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Newest {
    /// Write it into this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli audit checkpoint | ssh vault 'cat >> host7.checkpoints'
  daemoneye-cli audit checkpoint --out monday";

pub(super) fn run(newest: &Newest, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let path = path(newest.data.as_ref(), globals);
    let view = open(&path)?;
    let (size, Some(signed)) = (view.size()?, view.checkpoint()?) else {
        bail!("the ledger at {} has no checkpoint yet: the agent signs one before it stops", path.display());
    };
    let checkpoint = signed.checkpoint();
    let text = if form.is_some() {
        let object = json!({
            "origin": checkpoint.origin,
            "size": checkpoint.size,
            "root": hex(&checkpoint.root),
            "time": checkpoint.time(),
            "note": signed.note().to_string(),
        });
        format!("{object}\n")
    } else {
        signed.note().to_string()
    };
    match &newest.out {
        Some(file) => replace::create(file, text.as_bytes())?,
        None => drop(print(screen, |out| out.write_all(text.as_bytes()))?),
    }
    let after = size - checkpoint.size;
    screen.say(
        Mark::Note,
        &format!("over {} of {size} entries, {after} came since · {}", checkpoint.size, path.display()),
    );
    Ok(DONE)
}
