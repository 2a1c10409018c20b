//! What operators want of the ledger: a checkpoint, another key, or that it keeps what witnesses signed. Who it was is on
//! record before anything is signed, and with what was new of cosignatures.

use anyhow::{Context, anyhow, ensure};
use daemoneye_broker::Delivery;
use daemoneye_broker::payload::{Cosign, Cosigned, LedgerDeed, LedgerOrder, Rotated, Signed};
use daemoneye_storage::Error;
use daemoneye_storage::ledger::{PublicKey, SIGNATURES_MAX, SignedCheckpoint};
use serde_json::{Value, json};

use super::super::book::WasCosigned;
use super::{Instant, Outgoing, Writer, audit, now};

impl Writer {
    /// Does it and answers, or says why nothing was done.
    pub(super) fn obey(&mut self, order: LedgerOrder, delivery: Delivery) {
        // What was asked long ago, of a ledger that could not be written, is no longer expected.
        if delivery.is_cancelled() {
            return;
        }
        let asked = of_order(&order);
        let done = match order.deed {
            Some(LedgerDeed::Rotate(_)) => self.rotate(&delivery).map(|rotated| rotated.to_payload()),
            Some(LedgerDeed::Cosign(cosign)) => self.cosign(&cosign, &delivery).map(|cosigned| cosigned.to_payload()),
            Some(LedgerDeed::Sign(_)) => self.sign(&delivery).map(|signed| signed.to_payload()),
            None => Err(anyhow!("this agent does not know what is to be done: it may be of another version")),
        };
        match done {
            Ok(reply) => delivery.reply(reply),
            Err(error) => {
                let why = reason(&error);
                tracing::warn!(why, "order to the ledger refused");
                let refused = self.repeats.take(audit::refused(now(), &delivery, &asked, &why), Instant::now());
                self.number_all(refused);
                delivery.refuse(&why);
            }
        }
    }

    /// Signs all that there is. Where that is signed already nothing changes: whoever asks again and again gets the same,
    /// and no entry either, which would have to be signed in turn.
    fn sign(&mut self, delivery: &Delivery) -> anyhow::Result<Signed> {
        self.append()?;
        if let Some(note) = self.book.whole()? {
            return Ok(Signed { note });
        }
        let at = now();
        self.number(audit::ledger_ordered(at, delivery, "checkpoint", &json!({})));
        self.append()?;
        let note = self.book.sign(at)?.context("what was just appended is signed already")?;
        self.publisher.publish(Outgoing::Checkpoint(note.clone()));
        Ok(Signed { note })
    }

    fn rotate(&mut self, delivery: &Delivery) -> anyhow::Result<Rotated> {
        let at = now();
        // What waits makes room first, so that who asked is not among what is shed.
        self.append()?;
        self.number(audit::ledger_ordered(at, delivery, "rotate", &json!({})));
        self.append()?;
        let unsure = |error| anyhow!("{error:#}; `daemoneye-cli audit show --action key_rotated` says whether it was");
        let (event, note) = self.book.rotate(at).map_err(unsure)?;
        let key = event.subject.clone();
        tracing::info!(key, "another key signs the ledger");
        self.publisher.publish(Outgoing::Event(event));
        self.publisher.publish(Outgoing::Checkpoint(note.clone()));
        Ok(Rotated { key, note })
    }

    fn cosign(&mut self, cosign: &Cosign, delivery: &Delivery) -> anyhow::Result<Cosigned> {
        let Cosign { note, witnesses } = cosign;
        ensure!(
            witnesses.len() <= SIGNATURES_MAX,
            "{} witnesses at once, at most {SIGNATURES_MAX} are possible",
            witnesses.len()
        );
        let unusable = |what: &str, why: String| anyhow!("the {what} cannot be read: {why}");
        let checkpoint = SignedCheckpoint::parse(note).map_err(|why| unusable("checkpoint", why))?;
        let known = witnesses.iter().map(|key| PublicKey::parse(key)).collect::<Result<Vec<_>, _>>();
        let known = known.map_err(|why| unusable("key of a witness", why))?;
        let WasCosigned { new, kept, newest } = self.book.cosign(&checkpoint, &known)?;
        if new > 0 {
            let payload = json!({"size": checkpoint.checkpoint().size, "witnesses": witnesses, "new": new});
            self.number(audit::ledger_ordered(now(), delivery, "cosign", &payload));
            self.publisher.publish(Outgoing::Checkpoint(kept.clone()));
            if let Some(newest) = newest {
                self.publisher.publish(Outgoing::Checkpoint(newest));
            }
        }
        Ok(Cosigned { new: new as u64, note: kept })
    }
}

/// Why nothing was done; that it was refused is said by what carries it.
fn reason(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(Error::Refused(why)) => why.clone(),
        _ => format!("{error:#}"),
    }
}

/// What an operator wanted done.
fn of_order(order: &LedgerOrder) -> Value {
    match &order.deed {
        Some(LedgerDeed::Rotate(_)) => json!({"ledger": "rotate"}),
        Some(LedgerDeed::Cosign(_)) => json!({"ledger": "cosign"}),
        Some(LedgerDeed::Sign(_)) => json!({"ledger": "checkpoint"}),
        None => Value::Null,
    }
}
