//! Events on their way to the ledger: written with what they are about, removed once the ledger has them.
//!
//! The ledger is another file, and two files cannot commit together. So an event is part of the transaction that makes
//! it true, under the next number of this store; whoever keeps the ledger reads on from the last number that it has, and
//! what is there comes out of here with a later transaction. Numbers have no gaps and are never used twice.
//!
//! Bounded: where the ledger does not follow, events are counted instead of written, and the count is the next event
//! that there is room for ([`Action::EntriesShed`]).

use daemoneye_dsl::audit::{Action, Actor, Event, EventId, Fact, PAYLOAD_MAX, SUBJECT_MAX};
use redb::{ReadableTable, WriteTransaction};
use serde_json::json;

use crate::Error;
use crate::block::{seal, unseal};
use crate::ledger::OUTBOX;
use crate::tables::{
    EVENTS, EVENTS_LEN_KEY, EVENTS_SHED_KEY, META, NEXT_EVENT_KEY, ORIGIN_KEY, ORIGIN_SINCE_KEY, Tables,
};

/// Events that wait at most.
pub(crate) const EVENTS_MAX: u64 = 200_000;
/// Bytes of all that wait.
const EVENTS_LEN_MAX: u64 = 64 << 20;
/// Events that are read at once.
pub const EVENTS_READ_MAX: usize = 4096;

/// What an outbox may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) events: u64,
    pub(crate) bytes: u64,
}

impl Bounds {
    pub(crate) const USUAL: Self = Self { events: EVENTS_MAX, bytes: EVENTS_LEN_MAX };
}

/// Makes an outbox with a name that no other store has.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(EVENTS)?;
    renew(txn)
}

/// Gives the events of this store another origin, those that wait too.
pub(crate) fn renew(txn: &WriteTransaction) -> Result<(), Error> {
    let name = getrandom::u64().map_err(|error| {
        let error = std::io::Error::other(format!("the system gives no random bytes: {error}"));
        Error::Storage(Box::new(redb::Error::Io(error)))
    })?;
    let first = txn.open_table(EVENTS)?.first()?.map(|(number, _)| number.value());
    let since = first.map_or_else(|| next(txn), Ok)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(ORIGIN_KEY, name)?;
    meta.insert(ORIGIN_SINCE_KEY, since)?;
    Ok(())
}

/// What the ledger knows a store's events by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Its name, which no other store has.
    pub name: String,
    /// The first number under that name.
    pub since: u64,
}

/// What the ledger knows this store's events by.
pub(crate) fn origin(txn: &impl Tables) -> Result<Origin, Error> {
    let (name, since) = (stored(txn, ORIGIN_KEY)?, stored(txn, ORIGIN_SINCE_KEY)?);
    let (Some(name), Some(since)) = (name, since) else {
        return Err(Error::Damaged("it does not say which store it is".to_owned()));
    };
    Ok(Origin { name: format!("{OUTBOX}{name:016x}"), since })
}

/// The number of the next event.
pub(crate) fn next(txn: &impl Tables) -> Result<u64, Error> {
    Ok(stored(txn, NEXT_EVENT_KEY)?.unwrap_or(1))
}

fn stored(txn: &impl Tables, key: &str) -> Result<Option<u64>, Error> {
    Ok(txn.table(META)?.get(key)?.map(|number| number.value()))
}

/// Writes an event, after the count of those that there was no room for; counts it where there is none.
pub(crate) fn put(txn: &WriteTransaction, fact: &Fact, bounds: Bounds) -> Result<(), Error> {
    let shed = stored(txn, EVENTS_SHED_KEY)?.unwrap_or(0);
    let mut facts = Vec::new();
    if shed > 0 {
        let payload = json!({"events": shed, "where": "event store"});
        facts.push(Fact::new(fact.at, Actor::component("agent"), Action::EntriesShed, "", &payload));
    }
    facts.push(fact.clone());
    let records: Vec<_> = facts.iter().map(|fact| serde_json::to_vec(fact).expect("a fact is JSON")).collect();
    let mut events = txn.open_table(EVENTS)?;
    let mut meta = txn.open_table(META)?;
    let next = meta.get(NEXT_EVENT_KEY)?.map_or(1, |number| number.value());
    let first = events.first()?.map_or(next, |(number, _)| number.value());
    let bytes = meta.get(EVENTS_LEN_KEY)?.map_or(0, |bytes| bytes.value());
    let sealed: Vec<_> = (next..).zip(&records).map(|(number, record)| seal(&context(number), record)).collect();
    let more: u64 = sealed.iter().map(|sealed| sealed.len() as u64).sum();
    let last = next + sealed.len() as u64;
    if last - first > bounds.events || bytes + more > bounds.bytes {
        meta.insert(EVENTS_SHED_KEY, shed + 1)?;
        return Ok(());
    }
    for (number, sealed) in (next..).zip(sealed) {
        events.insert(number, sealed.as_slice())?;
    }
    meta.insert(NEXT_EVENT_KEY, last)?;
    meta.insert(EVENTS_LEN_KEY, bytes + more)?;
    if shed > 0 {
        meta.remove(EVENTS_SHED_KEY)?;
    }
    Ok(())
}

/// Removes the events up to this one: the ledger has them.
pub(crate) fn forget(txn: &WriteTransaction, last: u64) -> Result<(), Error> {
    let mut events = txn.open_table(EVENTS)?;
    let mut freed = 0;
    events.retain_in(..=last, |_, sealed| {
        freed += sealed.len() as u64;
        false
    })?;
    if freed > 0 {
        let mut meta = txn.open_table(META)?;
        let bytes = meta.get(EVENTS_LEN_KEY)?.map_or(0, |bytes| bytes.value());
        meta.insert(EVENTS_LEN_KEY, bytes.saturating_sub(freed))?;
    }
    Ok(())
}

/// The events after that number, oldest first. In the place of one that is damaged stands that it is.
pub(crate) fn after(txn: &impl Tables, last: u64) -> Result<Vec<Event>, Error> {
    let origin = origin(txn)?.name;
    let mut events = Vec::new();
    for entry in txn.table(EVENTS)?.range(last.saturating_add(1)..)?.take(EVENTS_READ_MAX) {
        let (number, sealed) = entry?;
        let number = number.value();
        let fact = decode(number, sealed.value()).unwrap_or_else(|why| {
            let what = name(number);
            tracing::warn!(what, why, "a damaged event was set aside");
            let at = events.last().map_or_else(Default::default, |event: &Event| event.at);
            Fact::new(at, Actor::component("agent"), Action::DamageFound, &what, &json!({"why": why}))
        });
        events.push(fact.numbered(EventId { origin: origin.clone(), number }));
    }
    Ok(events)
}

/// What is wrong with an event.
pub(crate) fn check(number: u64, sealed: &[u8]) -> Result<(), String> {
    decode(number, sealed).map(drop)
}

/// What the log and errors call an event.
pub(crate) fn name(number: u64) -> String {
    format!("event {number} for the ledger")
}

/// One that the ledger would not take must not keep it from those behind it.
fn decode(number: u64, sealed: &[u8]) -> Result<Fact, String> {
    let fact: Fact = serde_json::from_slice(unseal(&context(number), sealed)?).map_err(|error| error.to_string())?;
    if fact.payload.len() > PAYLOAD_MAX || fact.subject.len() > SUBJECT_MAX || fact.actor.name.len() > SUBJECT_MAX {
        return Err("it is longer than an event may be".to_owned());
    }
    if fact.action == Action::KeyRotated {
        return Err("it says what only the ledger says".to_owned());
    }
    Ok(fact)
}

fn context(number: u64) -> Vec<u8> {
    [b"event".as_slice(), &number.to_be_bytes()].concat()
}
