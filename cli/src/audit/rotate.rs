//! `audit rotate`: tells the running agent to sign with a new key.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use daemoneye_broker::payload::{LedgerDeed, Rotate as Wish, Rotated};
use daemoneye_storage::ledger::{PublicKey, SignedCheckpoint};
use serde_json::json;

use super::checkpoint::object;
use super::{DONE, path};
use crate::agent::{Door, ledger_order};
use crate::output::{Format, print};
use crate::screen::{Mark, Screen};
use crate::{Ending, Globals, store, with_exit_codes};

/// Bytes of an answer to a question.
const ANSWER_LEN_MAX: u64 = 64;

/// Let a new key sign the ledger.
///
/// The running agent makes the key, puts on record that it follows the one before, and signs that with both. Printed are
/// the new public key and the checkpoint with both signatures, to be kept elsewhere. Whoever has only an old public key
/// still verifies everything: `audit verify --key` follows from key to key. The secret key of before is not kept.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Rotate {
    /// Do not ask before
    #[arg(short, long)]
    yes: bool,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli audit rotate
  sudo daemoneye-cli audit rotate --yes -o json | ssh vault 'cat >> host7.keys'
  daemoneye-cli audit show --action key_rotated";

pub(super) fn run(rotate: &Rotate, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let door = Door::find(&globals.settings, &store::data_dir(rotate.data.as_ref(), &globals.settings));
    if !rotate.yes && !is_agreed(screen)? {
        bail!("the key was not rotated: the answer was not yes");
    }
    let rotated = match ledger_order(&door, LedgerDeed::Rotate(Wish {})) {
        Ok(reply) => Rotated::from_payload(reply).context("the agent does not say which key signs")?,
        Err(reached) => {
            let look = "audit show --action key_rotated";
            return Ok(reached.end_order(&door, "the key was not rotated", look, screen));
        }
    };
    let unreadable = |why| anyhow!("what the agent says of the new key cannot be read: {why}");
    let key = PublicKey::parse(&rotated.key).map_err(unreadable)?;
    let signed = SignedCheckpoint::parse(&rotated.note).map_err(unreadable)?;
    let text = if form.is_some() {
        format!("{}\n", json!({ "key": key.to_string(), "checkpoint": object(&signed) }))
    } else {
        format!("{key}\n\n{}", signed.note())
    };
    print(screen, |out| out.write_all(text.as_bytes()))?;
    let size = signed.checkpoint().size;
    let ledger = path(rotate.data.as_ref(), globals);
    screen.say(
        Mark::Note,
        &format!(
            "this key signs from entry {} on, keep it and the checkpoint elsewhere · {}",
            size - 1,
            ledger.display()
        ),
    );
    Ok(DONE)
}

fn is_agreed(screen: &Screen) -> anyhow::Result<bool> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        bail!("the key was not rotated: nobody can be asked here; add --yes");
    }
    screen.say(
        Mark::Warning,
        "a new key is going to sign the ledger, and the secret one of before is not kept; go on? [y/N]",
    );
    let mut answer = String::new();
    io::stdin().lock().take(ANSWER_LEN_MAX).read_line(&mut answer).context("cannot read the answer")?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
