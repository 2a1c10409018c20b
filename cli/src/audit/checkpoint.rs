//! `audit checkpoint`: what was signed, to be kept elsewhere.

use std::path::{Path, PathBuf};

use anyhow::bail;
use daemoneye_storage::Error;
use daemoneye_storage::ledger::{LedgerView, SignedCheckpoint, hex};
use serde_json::{Value as Json, json};

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
pub(super) struct Signed {
    /// The one over so many entries instead, such as one that was cosigned
    #[arg(long, value_name = "N")]
    size: Option<u64>,
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
  daemoneye-cli audit checkpoint --out monday
  daemoneye-cli audit checkpoint --size 4800";

pub(super) fn run(signed: &Signed, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let path = path(signed.data.as_ref(), globals);
    let view = open(&path)?;
    let found = match signed.size {
        Some(size) => over(&view, size)?,
        None => view.checkpoint()?,
    };
    let Some(found) = found else { bail!("{}", lacking(signed.size, &path)) };
    let text = if form.is_some() { format!("{}\n", object(&found)) } else { found.note().to_string() };
    match &signed.out {
        Some(file) => replace::create(file, text.as_bytes())?,
        None => drop(print(screen, |out| out.write_all(text.as_bytes()))?),
    }
    let (covered, size) = (found.checkpoint().size, view.size()?);
    let after = size - covered;
    screen.say(Mark::Note, &format!("over {covered} of {size} entries, {after} came since · {}", path.display()));
    Ok(DONE)
}

/// That of the ledger over exactly so many entries.
pub(super) fn over(view: &LedgerView, size: u64) -> Result<Option<SignedCheckpoint>, Error> {
    Ok(view.checkpoint_within(size)?.filter(|found| found.checkpoint().size == size))
}

fn lacking(size: Option<u64>, path: &Path) -> String {
    let path = path.display();
    match size {
        Some(size) => {
            format!("the ledger at {path} has no checkpoint over {size} entries; leave out --size for the newest")
        }
        None => format!("the ledger at {path} has no checkpoint yet: the agent signs one before it stops"),
    }
}

/// A checkpoint for programs.
pub(super) fn object(signed: &SignedCheckpoint) -> Json {
    let checkpoint = signed.checkpoint();
    json!({
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": hex(&checkpoint.root),
        "time": checkpoint.time(),
        "note": signed.note().to_string(),
    })
}
