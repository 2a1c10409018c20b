//! `audit verify`: whether the ledger, or a proof, is what was signed.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::ledger::{
    Against, LedgerView, Mismatch, PROOF_FILE_LEN_MAX, Proof, PublicKey, SignedCheckpoint, Verified, hex,
};
use serde_json::{Value as Json, json};

use super::checkpoint::over;
use super::{checkpoint_in, open, path, public_key, read};
use crate::output::{Format, print};
use crate::page::Page;
use crate::progress::{Progress, Unit};
use crate::render::local_second;
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, with_exit_codes};

/// Verify the ledger, or a proof, offline.
///
/// Every entry is hashed anew and held to its tree, every checkpoint to its entries and to the key that signs. The first
/// thing that is wrong is named, with what was expected and what was found, and the exit code is 1. With a checkpoint that
/// was kept elsewhere it shows what was changed or cut off since; without one it cannot show that the end was cut off,
/// nor that all was written anew by somebody who has the key. The ledger is only read, beside the agent if it runs.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Verify {
    /// Read only what follows this checkpoint: a file, or the entries that a checkpoint of the ledger is over
    #[arg(long, value_name = "FILE|SIZE", conflicts_with = "proof")]
    from_checkpoint: Option<String>,
    /// Hold the ledger to a checkpoint that was kept elsewhere; of several in a file, the last
    #[arg(long, value_name = "FILE", conflicts_with = "proof")]
    checkpoint: Option<PathBuf>,
    /// The public key that must have signed, as it is written or in a file
    #[arg(long, value_name = "PUBLIC")]
    key: Option<String>,
    /// The public key of a witness that must have cosigned the checkpoint that is given, or that of the proof; may be
    /// repeated
    #[arg(long, value_name = "PUBLIC")]
    witness: Vec<String>,
    /// Check this proof, and no ledger
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR", conflicts_with = "proof")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli audit verify
  daemoneye-cli audit verify --data copy/ --key host7.pub --checkpoint monday
  daemoneye-cli audit verify --proof 8841.proof --key host7.pub";

pub(super) fn run(verify: &Verify, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let form = Format::of_text(globals.output)?;
    let key = verify.key.as_deref().map(public_key).transpose()?;
    let witnesses = verify.witness.iter().map(|witness| public_key(witness)).collect::<anyhow::Result<Vec<_>>>()?;
    let started = Instant::now();
    let judged = match &verify.proof {
        Some(proof) => of_proof(proof, key.as_ref(), &witnesses)?,
        None => of_ledger(verify, key, &witnesses, globals, screen)?,
    };
    let elapsed_ms = started.elapsed().as_millis();
    if form.is_some() {
        print(screen, |out| writeln!(out, "{}", judged.json))?;
    }
    match &judged.mismatch {
        None if form.is_none() => {
            let mut page = Page::new(screen, globals.full);
            page.text(0, &judged.said);
            page.print()?;
        }
        None => {}
        Some(mismatch) => screen.say(Mark::Error, &told(mismatch, screen)),
    }
    for note in &judged.notes {
        screen.say(Mark::Note, note);
    }
    screen.say(Mark::Note, &format!("{} · {elapsed_ms} ms", judged.place));
    Ok(Ending::Done { found: judged.mismatch.is_some(), degraded: false })
}

/// What came out.
struct Judged {
    mismatch: Option<Mismatch>,
    /// In one line, where all is right.
    said: String,
    /// What else there is to know.
    notes: Vec<String>,
    json: Json,
    /// What was read.
    place: String,
}

fn of_proof(path: &Path, key: Option<&PublicKey>, witnesses: &[PublicKey]) -> anyhow::Result<Judged> {
    let proof = Proof::parse(&read(path, PROOF_FILE_LEN_MAX)?).with_context(|| path.display().to_string())?;
    let (entry, checkpoint) = (proof.entry(), proof.checkpoint().checkpoint());
    let mismatch = proof.check(key).err().or_else(|| unwitnessed(proof.checkpoint(), witnesses));
    let event = &entry.event;
    let what = format!("{} {}", event.action, event.subject);
    let root = hex(&checkpoint.root);
    let said = format!(
        "entry {} ({}) is one of the first {} of {}, root {root}, signed by {}",
        entry.sequence,
        what.trim_end(),
        checkpoint.size,
        checkpoint.origin,
        key.unwrap_or(proof.key()),
    );
    let json = json!({
        "ok": mismatch.is_none(),
        "mismatch": mismatch.as_ref().map(mismatch_json),
        "entry": { "seq": entry.sequence, "recorded_at": entry.recorded, "event": event },
        "size": checkpoint.size,
        "root": root,
        "origin": checkpoint.origin,
        "key": key.unwrap_or(proof.key()).to_string(),
        "key_given": key.is_some(),
    });
    Ok(Judged { mismatch, said, notes: own_key(key, "proof"), json, place: path.display().to_string() })
}

fn of_ledger(
    verify: &Verify,
    key: Option<PublicKey>,
    witnesses: &[PublicKey],
    globals: &Globals,
    screen: &Screen,
) -> anyhow::Result<Judged> {
    let path = path(verify.data.as_ref(), globals);
    let view = open(&path)?;
    let checkpoint = verify.checkpoint.as_deref().map(checkpoint_in).transpose()?;
    if checkpoint.is_none() && !witnesses.is_empty() {
        bail!("--witness says who must have cosigned a checkpoint: give one with --checkpoint");
    }
    let from = verify.from_checkpoint.as_deref().map(|from| from_checkpoint(&view, from)).transpose()?;
    let against = Against { key, checkpoint, from };
    let progress = Progress::begin(screen, "reading the ledger");
    let size = view.size()?;
    let begin = against.from.as_ref().map_or(0, |from| from.checkpoint().size);
    progress.step("verifying entries", Unit::Things, Some(size.saturating_sub(begin)));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let verified = view.verify(&against, threads, &|entries| progress.advance(entries))?;
    drop(progress);
    let unwitnessed = against.checkpoint.as_ref().and_then(|given| unwitnessed(given, witnesses));
    let verified = verified.and_then(|verified| unwitnessed.map_or(Ok(verified), Err));
    let place = format!("ledger {}", path.display());
    Ok(match verified {
        Ok(verified) => Judged {
            mismatch: None,
            said: summary(&verified),
            notes: limits(&verified, &against),
            json: json!({
                "ok": true,
                "origin": verified.origin,
                "entries": verified.entries,
                "size": verified.entries.end,
                "checkpoints": verified.checkpoints,
                "root": hex(&verified.root),
                "keys": verified.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "key_given": against.key.is_some(),
                "last_checkpoint": verified.last_good.map(checkpoint_json),
            }),
            place,
        },
        Err(mismatch) => {
            let json = json!({ "ok": false, "size": size, "mismatch": mismatch_json(&mismatch) });
            Judged { mismatch: Some(mismatch), said: String::new(), notes: vec![], json, place }
        }
    })
}

/// A checkpoint in a file, or that of the ledger over so many entries.
fn from_checkpoint(view: &LedgerView, from: &str) -> anyhow::Result<SignedCheckpoint> {
    let Ok(size) = from.parse::<u64>() else { return checkpoint_in(Path::new(from)) };
    over(view, size)?
        .with_context(|| format!("the ledger has no checkpoint over {size} entries; give a file, or leave it out"))
}

/// What a checkpoint lacks.
fn unwitnessed(given: &SignedCheckpoint, witnesses: &[PublicKey]) -> Option<Mismatch> {
    let missing = witnesses.iter().find(|witness| !given.note().is_signed_by(witness))?;
    let what = format!("the checkpoint over {} entries is not cosigned by {missing}", given.checkpoint().size);
    Some(Mismatch { what, entry: None, differs: None, last_good: None })
}

fn summary(verified: &Verified) -> String {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let Verified { entries, checkpoints, root, keys, .. } = verified;
    let since = if entries.start > 0 { format!(" from entry {} on", entries.start) } else { String::new() };
    let signer = keys.last().map_or_else(|| "signed by nobody yet".to_owned(), |key| format!("signed by {key}"));
    format!(
        "{}{since}, {}, root {}, {signer}",
        count(number(entries.end - entries.start), "entry", "entries"),
        count(number(*checkpoints), "checkpoint", "checkpoints"),
        hex(root)
    )
}

/// What was not shown.
fn limits(verified: &Verified, against: &Against) -> Vec<String> {
    let mut notes = own_key(against.key.as_ref(), "ledger");
    let signed = verified.last_good.map_or(0, |(size, _)| size);
    if signed < verified.entries.end {
        let after = usize::try_from(verified.entries.end - signed).unwrap_or(usize::MAX);
        notes.push(format!("{} since the last checkpoint, not signed yet", count(after, "entry", "entries")));
    }
    if against.checkpoint.is_none() {
        let what = "without a checkpoint that was kept elsewhere (--checkpoint) this does not show that nothing was cut \
                    off the end";
        notes.push(what.to_owned());
    }
    notes
}

fn own_key(given: Option<&PublicKey>, what: &str) -> Vec<String> {
    let note = || {
        format!("the key is the one that the {what} names: compare it with one from elsewhere, or give that (--key)")
    };
    if given.is_none() { vec![note()] } else { vec![] }
}

/// `entry 4821 does not match its leaf hash: expected 51b0…, found 88ce…; the last good checkpoint is over 4800 entries`.
fn told(mismatch: &Mismatch, screen: &Screen) -> String {
    let differs = mismatch.differs.as_ref();
    let differs = differs.map(|(expected, found)| format!(": expected {expected}, found {found}")).unwrap_or_default();
    let good = match mismatch.last_good {
        None => "no checkpoint before it is known to be good".to_owned(),
        Some((size, time)) => {
            let time = time.map(|time| format!(" ({})", local_second(time, &screen.zone))).unwrap_or_default();
            format!("the last good checkpoint is over {size} entries{time}")
        }
    };
    format!("{}{differs}; {good}", mismatch.what)
}

fn mismatch_json(mismatch: &Mismatch) -> Json {
    let (expected, found) = mismatch.differs.clone().unzip();
    json!({
        "what": mismatch.what,
        "entry": mismatch.entry,
        "expected": expected,
        "found": found,
        "last_good": mismatch.last_good.map(checkpoint_json),
    })
}

fn checkpoint_json((size, time): (u64, Option<Timestamp>)) -> Json {
    json!({ "size": size, "time": time })
}
