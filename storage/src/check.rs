//! Reading everything that is stored, to name what is damaged.
//!
//! Every block and every piece of every segment proves its bytes; alerts, matches and status theirs. Then what lies in
//! one place is held to what another says of it: the living to the versions that have not ended, notes of endings to the
//! rows that they are about, turns to the alerts that took them.

use std::collections::HashMap;

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_schema::{DataType, Field};
use redb::ReadableTable;

use crate::damage::Damage;
use crate::guard::guarded;
use crate::history::{self, Extent, Part};
use crate::keys::ProcKey;
use crate::seal::Source;
use crate::segment::Fault;
use crate::tables::{
    ALERTS, DELIVERIES, ENDINGS, EVENTS, LIVE, MATCHES, MOMENT, Row, SAMPLES, SEEN_TO, SEGMENTS, STATUS, TURNS, Tables,
    segment_fields,
};
use crate::{Error, MatchState, absent, alerts, outbox, samples, status};

/// Damaged parts that are named; the others are counted.
const NAMED_MAX: usize = 1000;

/// What reading everything showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Blocks, segments and stretches of samples.
    pub parts: u64,
    /// Versions of processes.
    pub versions: u64,
    /// Samples of processes.
    pub samples: u64,
    /// Alerts.
    pub alerts: u64,
    /// Matches of rules.
    pub matches: u64,
    /// What is damaged, in the order in which it was found.
    pub damaged: Vec<Damage>,
    /// Damaged parts that are not named.
    pub unnamed: u64,
}

impl Checked {
    fn note(&mut self, part: impl Into<String>, why: impl Into<String>) {
        if self.damaged.len() < NAMED_MAX {
            self.damaged.push(Damage { part: part.into(), why: why.into() });
        } else {
            self.unnamed += 1;
        }
    }

    /// Whether all is whole.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty()
    }
}

/// [`crate::View::check`]. `advance` is told how many parts there are, then of each that was read.
pub(crate) fn check(txn: &impl Tables, advance: &mut dyn FnMut(u64)) -> Result<Checked, Error> {
    let mut checked = Checked::default();
    let parts = history::extents(txn)?;
    let stretches = samples::all(&txn.table(SAMPLES)?)?;
    advance(parts.len() as u64 + stretches.len() as u64);
    let mut living = living(txn)?;
    let (mut end, mut endings) = (0, 0);
    for Extent { part, .. } in &parts {
        let part = *part;
        match guarded(|| read(txn, part)) {
            Ok(Ok(found)) => {
                checked.parts += 1;
                checked.versions += found.rows;
                endings += found.endings;
                if part.first() < end {
                    checked.note(part.name(), "it begins before the one before it ends");
                }
                end = end.max(found.end);
                for (row, key) in found.alive {
                    if living.remove(&row) != key {
                        checked.note(
                            part.name(),
                            format!("row {row} has not ended, and the index of the living has not got it"),
                        );
                    }
                }
            }
            Ok(Err(why)) | Err(Error::Damaged(why)) => checked.note(part.name(), why),
            Err(error) => return Err(error),
        }
        advance(1);
    }
    for rows in absent::among(txn, &parts)? {
        checked.note(absent::name(&rows), absent::WHY);
    }
    let is_readable = checked.is_whole();
    if !is_readable && !living.is_empty() {
        let why = format!("{} processes are in rows that cannot be read or are not there", living.len());
        checked.note("the index of the living", why);
    }
    for (row, key) in living.into_iter().filter(|_| is_readable) {
        checked.note("the index of the living", format!("process {key} is in row {row}, which is not there"));
    }
    let noted = redb::ReadableTableMetadata::len(&txn.table(ENDINGS)?)?;
    if is_readable && noted != endings {
        checked.note("the notes of endings", format!("{} are about rows that are not there", noted - endings));
    }
    check_samples(txn, &stretches, &mut checked, advance)?;
    check_alerts(txn, &mut checked)?;
    check_state(txn, &mut checked)?;
    Ok(checked)
}

fn living(txn: &impl Tables) -> Result<HashMap<Row, ProcKey>, Error> {
    let live = txn.table(LIVE)?;
    let living = live.iter()?.map(|entry| {
        let (key, row) = entry?;
        Ok((row.value(), ProcKey(key.value())))
    });
    living.collect()
}

/// What a part holds.
struct Found {
    rows: u64,
    /// Behind its last row.
    end: Row,
    /// Notes about its rows.
    endings: u64,
    /// Rows that have not ended, and whose they are.
    alive: Vec<(Row, Option<ProcKey>)>,
}

/// Reads a part whole; or says what is wrong with it.
fn read(txn: &impl Tables, part: Part) -> Result<Result<Found, String>, Error> {
    let read = || {
        if let Part::Segment(first) = part {
            let fields = segment_fields();
            history::open(&txn.table(SEGMENTS)?, first)?.check(fields.iter().map(|(field, _)| field))?;
        }
        let source = Source::open(txn, part)?;
        let ids = source.column(&Field::new("proc_id", DataType::Utf8, false), &source.kept)?;
        let ends = source.column(&Field::new(SEEN_TO, MOMENT, true), &source.kept)?;
        let alive = (0..ends.len()).filter(|at| ends.is_null(*at)).map(|at| {
            let place = u32::try_from(at).expect("a part's rows are bounded");
            (source.numbering.row(place), ProcKey::parse(ids.as_string::<i32>().value(at)))
        });
        let alive = alive.collect();
        let (range, endings) = (source.numbering.range(), source.late_endings() as u64);
        Ok(Found { rows: ids.len() as u64, end: range.end, endings, alive })
    };
    match read() {
        Ok(found) => Ok(Ok(found)),
        Err(Fault::Damaged(why)) => Ok(Err(why)),
        Err(Fault::Storage(error)) => Err(error),
    }
}

fn check_samples(
    txn: &impl Tables,
    stretches: &[u64],
    checked: &mut Checked,
    advance: &mut dyn FnMut(u64),
) -> Result<(), Error> {
    let table = txn.table(SAMPLES)?;
    let mut end = 0;
    for first in stretches {
        let read = guarded(|| match samples::check(&table, *first) {
            Ok(found) => Ok(Ok(found)),
            Err(Fault::Damaged(why)) => Ok(Err(why)),
            Err(Fault::Storage(error)) => Err(error),
        });
        match read {
            Ok(Ok((samples, own_end))) => {
                checked.parts += 1;
                checked.samples += samples;
                if *first < end {
                    checked.note(samples::name(*first), "it begins before the one before it ends");
                }
                end = end.max(own_end);
            }
            Ok(Err(why)) | Err(Error::Damaged(why)) => checked.note(samples::name(*first), why),
            Err(error) => return Err(error),
        }
        advance(1);
    }
    Ok(())
}

fn check_alerts(txn: &impl Tables, checked: &mut Checked) -> Result<(), Error> {
    for entry in txn.table(ALERTS)?.iter()? {
        let id = entry?.0.value();
        checked.alerts += 1;
        if let Err(error) = alerts::get(txn, id) {
            checked.of(error, &format!("alert {id}"))?;
        }
    }
    let alerts = txn.table(ALERTS)?;
    for entry in txn.table(TURNS)?.iter()? {
        let (turn, id) = entry?;
        if alerts.get(id.value())?.is_none() {
            checked.note(
                "the order of alerts",
                format!("turn {} is that of alert {}, which is not there", turn.value(), id.value()),
            );
        }
    }
    for entry in txn.table(DELIVERIES)?.iter()? {
        let id = entry?.0.value();
        if alerts.get(id)?.is_none() {
            checked.note("the alerts to deliver", format!("alert {id} is not there"));
        }
    }
    Ok(())
}

fn check_state(txn: &impl Tables, checked: &mut Checked) -> Result<(), Error> {
    for entry in txn.table(MATCHES)?.iter()? {
        let (place, sealed) = entry?;
        let (rule, key) = place.value();
        checked.matches += 1;
        if let Err(error) = MatchState::decode(rule, key, sealed.value()) {
            checked.of(error, &format!("a match of rule {rule}"))?;
        }
    }
    for entry in txn.table(EVENTS)?.iter()? {
        let (number, sealed) = entry?;
        if let Err(why) = outbox::check(number.value(), sealed.value()) {
            checked.note(outbox::name(number.value()), why);
        }
    }
    for entry in txn.table(STATUS)?.iter()? {
        let (place, sealed) = entry?;
        let (kind, name) = place.value();
        if let Err(why) = status::check(kind, name, sealed.value()) {
            checked.note(format!("the status of {kind} {name:?}"), why);
        }
    }
    Ok(())
}

impl Checked {
    /// Notes an error that is damage; another ends the check.
    fn of(&mut self, error: Error, part: &str) -> Result<(), Error> {
        let Error::Damaged(why) = error else { return Err(error) };
        let why = why.strip_prefix(part).and_then(|why| why.strip_prefix(": ")).unwrap_or(&why);
        self.note(part, why);
        Ok(())
    }
}
