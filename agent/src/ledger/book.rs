//! The ledger's file, and the checkpoints over it: when they are due, and where else they go.
//!
//! A file that cannot be used is left as it is and tried again: it is evidence, and what is wrong with it may be mended.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use daemoneye_dsl::audit::Event;
use daemoneye_dsl::status::LedgerHealth;
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::Error;
use daemoneye_storage::ledger::{Ledger, PublicKey, SignedCheckpoint};

use super::export::{self, Exporter};

/// What the settings say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The file.
    pub(crate) path: PathBuf,
    /// Entries after which a checkpoint is made.
    pub(crate) every: u64,
    /// The longest that an entry goes without one.
    pub(crate) interval: Duration,
    /// The file that checkpoints are appended to, if any.
    pub(crate) export: Option<PathBuf>,
}

/// The ledger as its thread keeps it.
pub(crate) struct Book {
    policy: Policy,
    /// None while it cannot be used.
    ledger: Option<Ledger>,
    entries: u64,
    signed: u64,
    signed_at: Option<Timestamp>,
    /// When the first entry was appended that no checkpoint is over.
    unsigned_since: Option<Instant>,
    /// None where they are not exported.
    exporter: Option<Exporter>,
}

impl Book {
    pub(crate) fn new(policy: Policy) -> std::io::Result<Self> {
        let exporter = policy.export.clone().map(Exporter::start).transpose()?;
        Ok(Self { policy, exporter, ledger: None, entries: 0, signed: 0, signed_at: None, unsigned_since: None })
    }

    /// Where the ledger is.
    pub(crate) fn path(&self) -> &Path {
        &self.policy.path
    }

    /// The last number of an origin that it has; 0 where it has none.
    pub(super) fn highest(&mut self, origin: &str) -> anyhow::Result<u64> {
        Ok(self.with(|ledger| ledger.last_of(origin))?.unwrap_or(0))
    }

    /// How the ledger is not the one that a checkpoint was exported of before this run; said once.
    pub(super) fn contradiction(&mut self) -> anyhow::Result<Option<String>> {
        let Some(known) = self.exporter.as_ref().and_then(Exporter::known) else { return Ok(None) };
        let view = self.with(Ledger::read)?;
        Ok(export::contradiction(known, &view)?)
    }

    /// Appends events, which are on the disk when this returns.
    pub(super) fn append(&mut self, events: &[Event], now: Timestamp) -> anyhow::Result<()> {
        let appended = self.with(|ledger| ledger.append(events, now))?;
        self.entries = appended.entries.end;
        if self.entries > self.signed {
            self.unsigned_since.get_or_insert_with(Instant::now);
        }
        Ok(())
    }

    /// Signs if enough came together, or waited long enough.
    pub(super) fn sign_if_due(&mut self, now: Timestamp) -> anyhow::Result<Option<String>> {
        let Policy { every, interval, .. } = self.policy;
        let is_old = self.unsigned_since.is_some_and(|since| since.elapsed() >= interval);
        if is_old || self.entries.saturating_sub(self.signed) >= every { self.sign(now) } else { Ok(None) }
    }

    /// Signs what is not signed; gives the checkpoint, which is exported.
    pub(super) fn sign(&mut self, now: Timestamp) -> anyhow::Result<Option<String>> {
        let signed = self.with(|ledger| ledger.checkpoint(now))?;
        self.unsigned_since = None;
        let note = signed.map(|signed| self.keep(&signed));
        if let (Some(note), Some(exporter)) = (&note, &self.exporter) {
            exporter.export(note);
        }
        Ok(note)
    }

    /// The last checkpoint, if it is over all that there is.
    pub(super) fn whole(&mut self) -> anyhow::Result<Option<String>> {
        let last = self.with(|ledger| ledger.read()?.checkpoint())?;
        let whole = last.filter(|last| last.checkpoint().size == self.entries);
        Ok(whole.map(|whole| whole.note().to_string()))
    }

    /// Lets another key sign; gives the entry that names it and the checkpoint over it, which is exported.
    pub(super) fn rotate(&mut self, now: Timestamp) -> anyhow::Result<(Event, String)> {
        let (entry, signed) = self.with(|ledger| {
            let signed = ledger.rotate(now)?;
            let entry = ledger.read()?.entry(signed.checkpoint().size - 1)?;
            Ok((entry.expect("the checkpoint is over it"), signed))
        })?;
        self.entries = signed.checkpoint().size;
        self.unsigned_since = None;
        let note = self.keep(&signed);
        if let Some(exporter) = &self.exporter {
            exporter.export(&note);
        }
        Ok((entry.event, note))
    }

    /// Keeps what these witnesses signed of a checkpoint; gives how many cosignatures are new, and the checkpoint with
    /// all of them.
    pub(super) fn cosign(
        &mut self,
        checkpoint: &SignedCheckpoint,
        witnesses: &[PublicKey],
    ) -> anyhow::Result<(usize, String)> {
        let size = checkpoint.checkpoint().size;
        let (new, kept) = self.with(|ledger| {
            let new = ledger.cosign(checkpoint, witnesses)?;
            Ok((new, ledger.read()?.checkpoint_within(size)?))
        })?;
        Ok((new, kept.expect("it has cosignatures").note().to_string()))
    }

    fn keep(&mut self, signed: &SignedCheckpoint) -> String {
        self.signed = signed.checkpoint().size;
        self.signed_at = signed.checkpoint().time();
        signed.note().to_string()
    }

    /// How it is.
    pub(super) fn health(&self, waiting: u64, error: Option<String>) -> LedgerHealth {
        let path = &self.policy.path;
        LedgerHealth {
            path: path.display().to_string(),
            entries: self.entries,
            bytes: std::fs::metadata(path).map_or(0, |file| file.len()),
            waiting,
            signed: self.signed,
            signed_at: self.signed_at,
            error: error.or_else(|| self.exporter.as_ref()?.error()),
        }
    }

    /// Lets the last checkpoint leave.
    pub(super) fn finish(&mut self) {
        if let Some(exporter) = self.exporter.take() {
            exporter.finish();
        }
    }

    /// Asks the ledger, which is opened for that if need be. After a failure of the disk it has to be opened again.
    fn with<T>(&mut self, ask: impl Fn(&Ledger) -> Result<T, Error>) -> Result<T, Error> {
        if self.ledger.is_none() {
            let ledger = Ledger::open(&self.policy.path)?;
            let view = ledger.read()?;
            self.entries = view.size()?;
            let last = view.checkpoint()?;
            self.signed = 0;
            if let Some(last) = last {
                self.keep(&last);
            }
            self.unsigned_since = (self.entries > self.signed).then(Instant::now);
            self.ledger = Some(ledger);
        }
        let asked = ask(self.ledger.as_ref().expect("it was opened"));
        if asked.is_err() {
            self.ledger = None;
        }
        asked
    }
}
