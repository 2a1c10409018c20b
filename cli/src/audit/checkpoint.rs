//! `audit checkpoint`: what is signed, to be kept elsewhere.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use daemoneye_broker::payload::{self, LedgerDeed, Sign};
use daemoneye_storage::Error;
use daemoneye_storage::ledger::{LedgerView, SignedCheckpoint, hex};
use serde_json::{Value as Json, json};

use super::{DONE, open, path};
use crate::agent::{Door, Reached, ledger_order};
use crate::output::{Format, print};
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, replace, store, with_exit_codes};

/// Write a signed checkpoint over all that is on record now.
///
/// A signed note: which ledger, how many entries, the root of their tree, and who signed that. Kept on another host it
/// shows with `audit verify --checkpoint` whether anything of these entries was changed or cut off since, even by root.
/// The running agent signs one if anything came since the last. Where none runs it is the last, and that is said.
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

/// A checkpoint, and what to say of it.
struct Found {
    signed: SignedCheckpoint,
    mark: Mark,
    said: String,
}

pub(super) fn run(signed: &Signed, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let path = path(signed.data.as_ref(), globals);
    let found = match signed.size {
        Some(size) => of_size(size, &path)?,
        None => {
            newest(&Door::find(&globals.settings, &store::data_dir(signed.data.as_ref(), &globals.settings)), &path)?
        }
    };
    let text = if form.is_some() { format!("{}\n", object(&found.signed)) } else { found.signed.note().to_string() };
    match &signed.out {
        Some(file) => replace::create(file, text.as_bytes())?,
        None => drop(print(screen, |out| out.write_all(text.as_bytes()))?),
    }
    screen.say(found.mark, &format!("{} · {}", found.said, path.display()));
    Ok(match found.mark {
        Mark::Note => DONE,
        Mark::Warning | Mark::Error => Ending::Done { found: false, degraded: true },
    })
}

/// The one over exactly so many entries.
fn of_size(size: u64, path: &Path) -> anyhow::Result<Found> {
    let view = open(path)?;
    let Some(signed) = over(&view, size)? else {
        let path = path.display();
        bail!("the ledger at {path} has no checkpoint over {size} entries; leave out --size for the newest")
    };
    let said = coverage(&signed, &view)?;
    Ok(Found { signed, mark: Mark::Note, said })
}

/// One over all that there is, of the running agent; else the last that the file has.
fn newest(door: &Door, path: &Path) -> anyhow::Result<Found> {
    let (mark, why) = match ledger_order(door, LedgerDeed::Sign(Sign {})) {
        Ok(reply) => {
            let signed = payload::Signed::from_payload(reply)?;
            let signed = SignedCheckpoint::parse(&signed.note)
                .map_err(|why| anyhow!("the checkpoint that the agent signed cannot be read: {why}"))?;
            let size = signed.checkpoint().size;
            // Whoever may ask the agent need not be able to read the file.
            match open(path).and_then(|view| over(&view, size)) {
                Ok(Some(own)) if own.checkpoint() == signed.checkpoint() => (),
                Ok(_) => return last(path, Mark::Warning, "the agent that runs writes another ledger"),
                Err(_) => (),
            }
            return Ok(Found { signed, mark: Mark::Note, said: format!("over all {size} entries") });
        }
        Err(Reached::Declined(why)) => (Mark::Warning, format!("the agent could not sign: {why}")),
        Err(Reached::NoSocket | Reached::Deserted) => (Mark::Note, "no agent runs".to_owned()),
        Err(reached) => (Mark::Warning, reached.why(door)),
    };
    last(path, mark, &why)
}

fn last(path: &Path, mark: Mark, why: &str) -> anyhow::Result<Found> {
    let view = open(path).map_err(|error| anyhow::Error::new(error).context(why.to_owned()))?;
    let Some(signed) = view.checkpoint()? else {
        bail!("the ledger at {} has no checkpoint yet, and none can be signed: {why}", path.display())
    };
    let said = format!("{why}: the last checkpoint, {}", coverage(&signed, &view)?);
    Ok(Found { signed, mark, said })
}

fn coverage(signed: &SignedCheckpoint, view: &LedgerView) -> Result<String, Error> {
    let (covered, size) = (signed.checkpoint().size, view.size()?);
    Ok(format!("over {covered} of {size} entries, {} came since", size.saturating_sub(covered)))
}

/// That of the ledger over exactly so many entries.
pub(super) fn over(view: &LedgerView, size: u64) -> Result<Option<SignedCheckpoint>, Error> {
    Ok(view.checkpoint_within(size)?.filter(|found| found.checkpoint().size == size))
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
