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

use super::export::{self, Exporter, Place, Webhook};

/// What the settings say of it.
#[derive(Debug)]
pub(crate) struct Policy {
    /// The file.
    pub(crate) path: PathBuf,
    /// Entries after which a checkpoint is made.
    pub(crate) every: u64,
    /// The longest that an entry goes without one.
    pub(crate) interval: Duration,
    /// The file that checkpoints are appended to, if any.
    pub(crate) export: Option<PathBuf>,
    /// The server that they are sent to, if any.
    pub(crate) webhook: Option<Webhook>,
}

/// The ledger as its thread keeps it.
pub(crate) struct Book {
    path: PathBuf,
    every: u64,
    interval: Duration,
    /// None while it cannot be used.
    ledger: Option<Ledger>,
    entries: u64,
    signed: u64,
    signed_at: Option<Timestamp>,
    /// When the first entry was appended that no checkpoint is over.
    unsigned_since: Option<Instant>,
    /// Where else checkpoints go.
    exporters: Vec<Exporter>,
}

/// What became of cosignatures.
pub(super) struct WasCosigned {
    /// How many the ledger did not have before.
    pub(super) new: usize,
    /// The checkpoint with all that it has.
    pub(super) kept: String,
    /// The newest checkpoint, where that is another: it goes after the cosigned one, for what came last is taken for the
    /// newest.
    pub(super) newest: Option<String>,
}

impl Book {
    pub(crate) fn new(policy: Policy) -> std::io::Result<Self> {
        let Policy { path, every, interval, export, webhook } = policy;
        let places = export.map(Place::File).into_iter().chain(webhook.map(Place::Webhook));
        let exporters = places.map(Exporter::start).collect::<std::io::Result<_>>()?;
        let (ledger, entries, signed, signed_at, unsigned_since) = (None, 0, 0, None, None);
        Ok(Self { path, every, interval, ledger, entries, signed, signed_at, unsigned_since, exporters })
    }

    /// Where the ledger is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last number of an origin that it has; 0 where it has none.
    pub(super) fn highest(&mut self, origin: &str) -> anyhow::Result<u64> {
        Ok(self.with(|ledger| ledger.last_of(origin))?.unwrap_or(0))
    }

    /// How the ledger is not the one that a checkpoint was exported of before this run; said once.
    pub(super) fn contradiction(&mut self) -> anyhow::Result<Option<String>> {
        let Some(known) = self.exporters.iter().find_map(Exporter::known) else { return Ok(None) };
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
        let is_old = self.unsigned_since.is_some_and(|since| since.elapsed() >= self.interval);
        if is_old || self.entries.saturating_sub(self.signed) >= self.every { self.sign(now) } else { Ok(None) }
    }

    /// Signs what is not signed; gives the checkpoint, which is exported.
    pub(super) fn sign(&mut self, now: Timestamp) -> anyhow::Result<Option<String>> {
        let signed = self.with(|ledger| ledger.checkpoint(now))?;
        self.unsigned_since = None;
        let note = signed.map(|signed| self.keep(&signed));
        if let Some(note) = &note {
            self.exporters.iter().for_each(|exporter| exporter.export(note));
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
        self.exporters.iter().for_each(|exporter| exporter.export(&note));
        Ok((entry.event, note))
    }

    /// Keeps what these witnesses signed of a checkpoint, and exports it with all its cosignatures where some are new.
    pub(super) fn cosign(
        &mut self,
        checkpoint: &SignedCheckpoint,
        witnesses: &[PublicKey],
    ) -> anyhow::Result<WasCosigned> {
        let size = checkpoint.checkpoint().size;
        let (new, kept, newest) = self.with(|ledger| {
            let new = ledger.cosign(checkpoint, witnesses)?;
            let view = ledger.read()?;
            Ok((new, view.checkpoint_within(size)?, view.checkpoint()?))
        })?;
        let kept = kept.expect("it has cosignatures").note().to_string();
        let newest = newest.map(|newest| newest.note().to_string()).filter(|newest| *newest != kept);
        if new > 0 {
            for exporter in &self.exporters {
                exporter.export_cosigned(&kept);
                if let Some(newest) = &newest {
                    exporter.export(newest);
                }
            }
        }
        Ok(WasCosigned { new, kept, newest })
    }

    fn keep(&mut self, signed: &SignedCheckpoint) -> String {
        self.signed = signed.checkpoint().size;
        self.signed_at = signed.checkpoint().time();
        signed.note().to_string()
    }

    /// Why checkpoints do not leave the host, where they do not.
    pub(super) fn stuck(&self) -> Option<String> {
        let errors: Vec<_> = self.exporters.iter().filter_map(Exporter::error).collect();
        (!errors.is_empty()).then(|| errors.join("; "))
    }

    /// How it is.
    pub(super) fn health(&self, waiting: u64, error: Option<String>) -> LedgerHealth {
        let path = &self.path;
        LedgerHealth {
            path: path.display().to_string(),
            entries: self.entries,
            bytes: std::fs::metadata(path).map_or(0, |file| file.len()),
            waiting,
            signed: self.signed,
            signed_at: self.signed_at,
            error: error.or_else(|| self.stuck()),
        }
    }

    /// Lets the last checkpoint leave.
    pub(super) fn finish(&mut self) {
        self.exporters.drain(..).for_each(Exporter::finish);
    }

    /// Asks the ledger, which is opened for that if need be. After a failure of the disk it has to be opened again.
    fn with<T>(&mut self, ask: impl Fn(&Ledger) -> Result<T, Error>) -> Result<T, Error> {
        if self.ledger.is_none() {
            let ledger = Ledger::open(&self.path)?;
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
