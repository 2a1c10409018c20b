//! `audit`: the ledger, read from its file: what is on record, whether it is what was signed, and what proves that
//! elsewhere. Only what writes it needs the agent: `rotate`, `cosign`, and `checkpoint` for what nobody signed yet.

mod checkpoint;
mod cosign;
mod prove;
mod rotate;
mod show;
mod verify;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use daemoneye_storage::ledger::{LedgerView, NOTE_LEN_MAX, PublicKey, ReadLedger, SignedCheckpoint};
use daemoneye_storage::{Error, ledger};

use crate::screen::Screen;
use crate::{Ending, Globals, failed, path_remedy, store};

/// Show and verify what is on record.
#[derive(Debug, clap::Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Show(show::Show),
    Verify(verify::Verify),
    Prove(prove::Prove),
    Checkpoint(checkpoint::Signed),
    Cosign(cosign::Cosign),
    Rotate(rotate::Rotate),
}

pub(crate) fn run(audit: &Audit, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &audit.command {
        Command::Show(show) => show::run(show, globals, screen),
        Command::Verify(verify) => verify::run(verify, globals, screen),
        Command::Prove(prove) => prove::run(prove, globals, screen),
        Command::Checkpoint(signed) => checkpoint::run(signed, globals, screen),
        Command::Cosign(cosign) => cosign::run(cosign, globals, screen),
        Command::Rotate(rotate) => rotate::run(rotate, globals, screen),
    }
}

/// Nothing is wrong, nothing is missing.
const DONE: Ending = Ending::Done { found: false, degraded: false };

/// Where the ledger is.
fn path(data: Option<&PathBuf>, globals: &Globals) -> PathBuf {
    globals.settings.ledger_in(&store::data_dir(data, &globals.settings))
}

/// The ledger as it is now.
fn open(path: &Path) -> Result<LedgerView, Error> {
    ReadLedger::open(path)?.read()
}

/// A file that is no longer than it may be.
fn read(path: &Path, len_max: usize) -> anyhow::Result<String> {
    let shown = path.display();
    let unable = |error: io::Error| failed(format!("cannot read {shown}"), &error, path_remedy(&error));
    let mut text = String::new();
    let limit = u64::try_from(len_max).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path).and_then(|file| file.take(limit).read_to_string(&mut text)).map_err(unable)?;
    if text.len() > len_max {
        return Err(failed(
            format!("cannot read {shown}"),
            format!("it has more than {len_max} bytes"),
            "check the path",
        ));
    }
    Ok(text)
}

/// The newest of the signed checkpoints in a file, which the agent may have appended to one another.
fn checkpoint_in(path: &Path) -> anyhow::Result<SignedCheckpoint> {
    let text = read(path, 64 * NOTE_LEN_MAX)?;
    let note = ledger::last_note(&text);
    let parsed = SignedCheckpoint::parse(note).map_err(|why| Error::Malformed { what: "checkpoint", why });
    parsed.map_err(|error| anyhow::Error::new(error).context(path.display().to_string()))
}

/// A public key as it is written, or in a file.
fn public_key(said: &str) -> anyhow::Result<PublicKey> {
    let text = match PublicKey::parse(said) {
        Ok(key) => return Ok(key),
        Err(why) if said.contains('+') && !Path::new(said).exists() => {
            return Err(Error::Malformed { what: "public key", why }.into());
        }
        Err(_) => read(Path::new(said), NOTE_LEN_MAX)?,
    };
    let parsed = PublicKey::parse(&text).map_err(|why| Error::Malformed { what: "public key", why });
    parsed.map_err(|error| anyhow::Error::new(error).context(said.to_owned()))
}
