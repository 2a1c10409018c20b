//! `audit cosign`: has the running agent keep what witnesses signed.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use daemoneye_broker::payload::{Cosign as Wish, Cosigned, LedgerDeed};
use daemoneye_storage::ledger::SignedCheckpoint;
use serde_json::json;

use super::checkpoint::object;
use super::{DONE, checkpoint_in, public_key};
use crate::agent::{Door, ledger_order};
use crate::output::{Format, print};
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, store, with_exit_codes};

/// Keep the cosignatures of witnesses with a checkpoint.
///
/// A witness that is elsewhere has signed that it saw a checkpoint (C2SP tlog-cosignature): then not even whoever holds
/// the key of the ledger can show it another one. The running agent keeps the cosignatures that are one of these
/// witnesses'. `audit checkpoint --size` writes the checkpoint with them, `audit verify --witness` asks for them.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Cosign {
    /// A checkpoint of this ledger, with cosignatures below; of several in a file, the last
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The public key of a witness, as it is written or in a file; may be repeated
    #[arg(long, value_name = "PUBLIC", required = true)]
    witness: Vec<String>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli audit checkpoint --out monday        to be given to the witness
  sudo daemoneye-cli audit cosign monday.cosigned --witness witness.pub
  daemoneye-cli audit verify --checkpoint monday.cosigned --witness witness.pub";

pub(super) fn run(cosign: &Cosign, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let given = checkpoint_in(&cosign.file)?;
    let witnesses = cosign.witness.iter().map(|key| public_key(key)).collect::<anyhow::Result<Vec<_>>>()?;
    let door = Door::find(&globals.settings, &store::data_dir(cosign.data.as_ref(), &globals.settings));
    let wish = Wish { note: given.note().to_string(), witnesses: witnesses.iter().map(ToString::to_string).collect() };
    let cosigned = match ledger_order(&door, LedgerDeed::Cosign(wish)) {
        Ok(reply) => Cosigned::from_payload(reply).context("the agent does not say what it kept")?,
        Err(reached) => {
            return Ok(reached.end_order(&door, "nothing was kept", "audit show --action command_run", screen));
        }
    };
    let file = cosign.file.display();
    let missing: Vec<_> = witnesses.iter().filter(|witness| !given.note().is_signed_by(witness)).collect();
    if missing.len() == witnesses.len() {
        bail!("nothing was kept: no cosignature in {file} is of the keys that were given; check them");
    }
    for witness in missing {
        screen.say(Mark::Warning, &format!("no cosignature in {file} is of {witness}"));
    }
    let kept = SignedCheckpoint::parse(&cosigned.note);
    let kept = kept.map_err(|why| anyhow!("the checkpoint that the agent kept cannot be read: {why}"))?;
    if form.is_some() {
        print(screen, |out| writeln!(out, "{}", json!({ "new": cosigned.new, "checkpoint": object(&kept) })))?;
    }
    let new = count(usize::try_from(cosigned.new).unwrap_or(usize::MAX), "new cosignature", "new cosignatures");
    let size = kept.checkpoint().size;
    screen.say(
        Mark::Note,
        &format!("{new} on the checkpoint over {size} entries; `audit checkpoint --size {size}` has all"),
    );
    Ok(DONE)
}
