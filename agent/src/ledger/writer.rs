//! What the ledger's thread does: it numbers, appends, signs, obeys, and says how that goes.

mod orders;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use daemoneye_dsl::audit::{Action, Actor, Event, EventId, Fact};
use daemoneye_dsl::status::LedgerHealth;
use daemoneye_storage::{Damage, EVENTS_READ_MAX, Origin, Store, take_damage};
use serde_json::json;
use tokio::sync::watch::Sender;

use super::book::Book;
use super::publish::{Outgoing, Publisher};
use super::repeats::Repeats;
use crate::audit::{self, NOTED_LEN, Noted, Shared};
use crate::serve::now;

/// Events that wait here while the ledger cannot be written.
const PENDING_MAX: usize = 4096;
/// Bytes of their payloads.
const PENDING_LEN_MAX: usize = 16 << 20;
/// How often it looks for what nobody woke it for, and whether a checkpoint is due.
const PERIOD: Duration = Duration::from_secs(5);
/// How long it leaves a ledger alone that could not be written.
const RETRY: Duration = Duration::from_secs(10);

/// The one who writes.
pub(super) struct Writer {
    store: Arc<Store>,
    shared: Arc<Shared>,
    book: Book,
    publisher: Publisher,
    health: Sender<LedgerHealth>,
    /// What this run's own numbers are of.
    run: String,
    /// The last of them.
    numbered: u64,
    /// Numbered, and not yet in the ledger.
    pending: Vec<Event>,
    pending_len: usize,
    /// Facts that there was no room for here.
    shed: u64,
    repeats: Repeats,
    /// The last number of the outbox that was published.
    published: Option<u64>,
    /// From which number on the outbox was found to lack events.
    missing: Option<u64>,
    /// When the ledger last could not be written, and what was said of it.
    failed: Option<(Instant, String)>,
    /// Whether checkpoints do not leave the host, and that is on record.
    is_stuck: bool,
}

impl Writer {
    pub(super) fn new(
        store: Arc<Store>,
        shared: Arc<Shared>,
        book: Book,
        publisher: Publisher,
        health: Sender<LedgerHealth>,
    ) -> Self {
        Self {
            store,
            shared,
            book,
            publisher,
            health,
            run: format!("run-{}-{}", now().0, std::process::id()),
            numbered: 0,
            pending: Vec::new(),
            pending_len: 0,
            shed: 0,
            repeats: Repeats::default(),
            published: None,
            missing: None,
            failed: None,
            is_stuck: false,
        }
    }

    /// Records until the end.
    pub(super) fn run(mut self, noted: &Receiver<Noted>) {
        // What is in the outbox at the start is older than anything that can be noted.
        self.record();
        while self.hear(noted) {
            for Damage { part, why } in take_damage() {
                self.number(audit::damage(now(), &part, &why));
            }
            let repeated = self.repeats.over(Instant::now());
            self.number_all(repeated);
            self.record();
        }
        let repeated = self.repeats.all();
        self.number_all(repeated);
        self.end();
    }

    /// Takes what was noted, once something was or it is time to look; false at the end.
    fn hear(&mut self, noted: &Receiver<Noted>) -> bool {
        let mut told = noted.recv_timeout(PERIOD);
        // Whoever notes more and more must not keep what was noted from being recorded.
        for _ in 0..NOTED_LEN {
            match told {
                Ok(Noted::Fact(fact)) => {
                    let facts = self.repeats.take(fact, Instant::now());
                    self.number_all(facts);
                }
                Ok(Noted::Wake) => {}
                Ok(Noted::Order(order, delivery)) => self.obey(order, delivery),
                Ok(Noted::End) | Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => return true,
            }
            told = noted.try_recv().map_err(|_| RecvTimeoutError::Timeout);
        }
        true
    }

    fn number_all(&mut self, facts: Vec<Fact>) {
        for fact in facts {
            self.number(fact);
        }
    }

    fn number(&mut self, fact: Fact) {
        let len = self.pending_len + fact.payload.len();
        if self.pending.len() >= PENDING_MAX || len > PENDING_LEN_MAX {
            self.shed += 1;
            return;
        }
        self.pending_len = len;
        self.numbered += 1;
        let event = fact.numbered(EventId { origin: self.run.clone(), number: self.numbered });
        self.publisher.publish(Outgoing::Event(event.clone()));
        self.pending.push(event);
    }

    /// Says when checkpoints cease to leave the host: whoever keeps them away can then change what is here.
    fn note_stuck(&mut self) {
        let stuck = self.book.stuck();
        let was_stuck = std::mem::replace(&mut self.is_stuck, stuck.is_some());
        if let Some(why) = stuck.filter(|_| !was_stuck) {
            self.number(audit::not_exported(now(), &why));
        }
    }

    /// Appends all that there is, and signs it if that is due. After a failure it rests.
    fn record(&mut self) {
        self.note_stuck();
        if self.failed.as_ref().is_none_or(|(at, _)| at.elapsed() >= RETRY) {
            let written = self.append().and_then(|()| self.book.sign_if_due(now()));
            self.signed(written);
        }
        self.tell();
    }

    /// What became of writing and signing.
    fn signed(&mut self, written: anyhow::Result<Option<String>>) {
        match (written, self.failed.take()) {
            (Ok(signed), before) => {
                if let Some(note) = signed {
                    self.publisher.publish(Outgoing::Checkpoint(note));
                }
                if before.is_some() {
                    tracing::info!("the ledger can be written again: what waited is in it");
                }
            }
            (Err(error), before) => {
                let why = format!("{error:#}");
                if before.is_none_or(|(_, said)| said != why) {
                    tracing::error!(why, "nothing is recorded in the ledger: events wait, detection goes on");
                }
                self.failed = Some((Instant::now(), why));
            }
        }
    }

    /// What this run noted, then what the outbox has, until there is nothing left.
    fn append(&mut self) -> anyhow::Result<()> {
        let (origin, mut last) = self.place()?;
        loop {
            let waiting = self.store.read()?.events(last)?;
            let is_all = waiting.len() < EVENTS_READ_MAX;
            self.publish_waiting(&waiting);
            if let Some(first) = waiting.first().filter(|first| first.id.number > last + 1) {
                self.note_missing(&origin, last + 1, first.id.number);
            }
            last = waiting.last().map_or(last, |event| event.id.number);
            let batch: Vec<_> = self.pending.iter().cloned().chain(waiting).collect();
            if !batch.is_empty() {
                self.book.append(&batch, now())?;
            }
            self.pending.clear();
            self.pending_len = 0;
            self.shared.recorded.store(last, Ordering::Release);
            self.tell_shed();
            if is_all && self.pending.is_empty() {
                return Ok(());
            }
        }
    }

    /// Makes an entry of what there was no room for, now that there is some.
    fn tell_shed(&mut self) {
        let events = std::mem::take(&mut self.shed) + self.shared.shed.swap(0, Ordering::Relaxed);
        if events > 0 {
            let payload = json!({"events": events, "where": "agent"});
            self.number(Fact::new(now(), Actor::component("agent"), Action::EntriesShed, "", &payload));
        }
    }

    /// Says, once, that the outbox begins behind what this ledger has: another one has what was in between.
    fn note_missing(&mut self, origin: &str, from: u64, to: u64) {
        if self.missing.replace(from) == Some(from) {
            return;
        }
        let why = format!(
            "events {from} to {} of {origin} are in another ledger, or were taken out of the event store",
            to - 1
        );
        tracing::error!(why, "the ledger lacks entries");
        self.number(audit::damage(now(), "ledger", &why));
    }

    /// Where the outbox has to be read on: its origin, and the last of its numbers that the ledger has.
    fn place(&mut self) -> anyhow::Result<(String, u64)> {
        let view = self.store.read()?;
        let (Origin { name: origin, since }, next) = (view.origin()?, view.next_event()?);
        let last = self.book.highest(&origin)?;
        if let Some(why) = self.book.contradiction()? {
            tracing::error!(
                why,
                "the ledger is not the one that was signed: verify it with `daemoneye-cli audit verify`"
            );
            self.number(audit::damage(now(), "ledger", &why));
        }
        if last < next {
            return Ok((origin, last.max(since - 1)));
        }
        // The numbers of an older copy of the store would be taken for those that the ledger has.
        self.store.renew_origin()?;
        self.published = None;
        let why = format!(
            "the ledger has event {last} of {origin}, which has given {} so far: it is an older copy",
            next - 1
        );
        tracing::error!(why, "the event store was replaced; its events go on under another origin");
        self.number(audit::damage(now(), "event store", &why));
        let Origin { name, since } = self.store.read()?.origin()?;
        Ok((name, since - 1))
    }

    fn publish_waiting(&mut self, waiting: &[Event]) {
        let published = self.published.get_or_insert(0);
        for event in waiting.iter().filter(|event| event.id.number > *published) {
            self.publisher.publish(Outgoing::Event(event.clone()));
        }
        *published = waiting.last().map_or(*published, |event| event.id.number.max(*published));
    }

    /// Records the last that there is, and signs all of it.
    fn end(mut self) {
        let written = self.append().and_then(|()| self.book.sign(now()));
        self.signed(written);
        self.tell();
        self.book.finish();
        if !self.pending.is_empty() {
            tracing::error!(
                events = self.pending.len(),
                "events are lost: the ledger could not be written until the end"
            );
        }
    }

    fn tell(&self) {
        let waiting = self.waiting().unwrap_or(0);
        let error = self.failed.as_ref().map(|(_, why)| why.clone());
        let health = self.book.health(waiting, error);
        self.health.send_if_modified(|before| {
            let differs = *before != health;
            *before = health;
            differs
        });
    }

    /// Events that the ledger does not have yet.
    fn waiting(&self) -> Result<u64, daemoneye_storage::Error> {
        let next = self.store.read()?.next_event()?;
        let recorded = self.shared.recorded.load(Ordering::Acquire);
        Ok(next.saturating_sub(recorded + 1) + self.pending.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::ops::ControlFlow;
    use std::path::Path;

    use daemoneye_dsl::types::Timestamp;
    use daemoneye_storage::ledger::{Order, ReadLedger};
    use serde_json::Value;
    use tokio::sync::{mpsc, watch};

    use super::super::Policy;
    use super::*;

    fn fact(action: Action, subject: &str) -> Fact {
        Fact::new(Timestamp(7), Actor::component("test"), action, subject, &json!({}))
    }

    /// A writer to the ledger at `path`, on a store of its own, and what it publishes.
    fn writer(path: &Path) -> (Writer, mpsc::Receiver<Outgoing>) {
        let policy = Policy {
            path: path.to_owned(),
            every: 1000,
            interval: Duration::from_hours(1),
            export: None,
            webhook: None,
        };
        let (outgoing, published) = mpsc::channel(10 * PENDING_MAX);
        let (health, _nobody_asks) = watch::channel(LedgerHealth::default());
        let store = Arc::new(Store::in_memory().unwrap());
        let book = Book::new(policy).unwrap();
        (Writer::new(store, Arc::default(), book, Publisher::to(outgoing), health), published)
    }

    fn wait(writer: &Writer, subject: &str) {
        let mut transaction = writer.store.begin().unwrap();
        transaction.put_event(&fact(Action::AlertRaised, subject)).unwrap();
        transaction.commit().unwrap();
    }

    fn entries(path: &Path) -> Vec<Event> {
        let view = ReadLedger::open(path).unwrap().read().unwrap();
        let mut events = Vec::new();
        view.entries(0, Order::Forwards, &mut |entry, _| {
            events.push(entry.event);
            ControlFlow::Continue(())
        })
        .unwrap();
        events
    }

    #[test]
    fn what_waits_while_the_ledger_cannot_be_written_is_in_it_once_and_the_rest_is_counted() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.redb");
        fs::create_dir(&path).unwrap();
        let (mut writer, mut published) = writer(&path);
        wait(&writer, "1");
        writer.record();
        assert!(writer.failed.is_some() && writer.shared.recorded.load(Ordering::Relaxed) == 0);
        writer.number_all((0..PENDING_MAX + 3).map(|_| fact(Action::RuleLoaded, "x")).collect());
        writer.shared.shed.fetch_add(4, Ordering::Relaxed);
        wait(&writer, "2");
        writer.record();
        assert_eq!((writer.pending.len(), writer.shed), (PENDING_MAX, 3), "it rests after a failure");
        assert_eq!(writer.waiting().unwrap(), 2 + PENDING_MAX as u64);

        fs::remove_dir(&path).unwrap();
        writer.failed = None;
        writer.record();
        assert!(writer.failed.is_none() && writer.pending.is_empty());
        assert_eq!((writer.shared.recorded.load(Ordering::Relaxed), writer.waiting().unwrap()), (2, 0));
        writer.record();
        let health = writer.health.borrow().clone();
        writer.end();
        let all = entries(&path);
        assert_eq!((health.entries, health.error), (all.len() as u64, None));
        let of = |action| all.iter().filter(move |event| event.action == action);
        assert_eq!(of(Action::RuleLoaded).count(), PENDING_MAX);
        assert_eq!(of(Action::AlertRaised).map(|event| event.subject.as_str()).collect::<Vec<_>>(), ["1", "2"]);
        let shed: Vec<Value> =
            of(Action::EntriesShed).map(|event| serde_json::from_str(&event.payload).unwrap()).collect();
        assert_eq!(shed.iter().map(|payload| &payload["events"]).collect::<Vec<_>>(), [7]);
        let mut told = 0;
        while let Ok(outgoing) = published.try_recv() {
            told += usize::from(matches!(outgoing, Outgoing::Event(_)));
        }
        assert_eq!(told, all.len(), "each is published once");
    }
}
