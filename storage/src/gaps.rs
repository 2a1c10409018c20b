//! When nobody looked: the gaps between snapshots that do not follow each other.
//!
//! The store knows what snapshots showed. Who was alive between two that follow each other is known, but for those who
//! lived shorter than that; where snapshots are missing in between, or the clock went back, it is not. A gap is noted
//! with the snapshot that ends it. It has neither of the moments at its ends: these were seen.
//!
//! A question that names moments of observation (`FOR SYSTEM_TIME`, conditions on `seen_from`, `seen_to`, `observed_at`,
//! `last_seen_at`, `collection_time`) is answered incompletely where they reach into a gap, where all of them lie before the first
//! snapshot, or where they reach beyond the time in which the one after the last was due ([`Reason::SamplingGap`]). A
//! question that names none asks for what was recorded, and its answer is complete: otherwise every restart of the agent
//! would make every question about the whole record incomplete for good.

use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::status::{CollectorStatus, patience};
use daemoneye_dsl::types::{Timestamp, Value};
use redb::{ReadableTable, ReadableTableMetadata, WriteTransaction};
use serde::{Deserialize, Serialize};

use crate::reader::{Probe, Question, Scan};
use crate::tables::{FIRST_SNAPSHOT_KEY, GAPS, LAST_SEEN_AT, LAST_SNAPSHOT_KEY, META, SEEN_FROM, SEEN_TO, Tables};
use crate::{Error, clock, status};

/// Gaps that are told from each other; when there are more, the two oldest become one.
pub(crate) const GAPS_MAX: u64 = 1024;

/// Moments of which nothing is known, without those at its ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last snapshot before.
    pub from: Timestamp,
    /// The first after.
    pub to: Timestamp,
}

/// Notes that snapshots are missing between these two, of which `next` was taken later.
pub(crate) fn note(txn: &WriteTransaction, last: Timestamp, next: Timestamp) -> Result<(), Error> {
    let gap = if next > last {
        (last.0, next.0)
    } else {
        // These moments were there twice, and who was alive in them is in no order.
        (next.0.saturating_sub(1), last.0.saturating_add(1))
    };
    let mut gaps = txn.open_table(GAPS)?;
    gaps.insert(gap, ())?;
    while gaps.len()? > GAPS_MAX {
        let first = gaps.pop_first()?.map(|(gap, _)| gap.value());
        let second = gaps.pop_first()?.map(|(gap, _)| gap.value());
        if let (Some(first), Some(second)) = (first, second) {
            gaps.insert((first.0, first.1.max(second.1)), ())?;
        }
    }
    Ok(())
}

/// Every gap, by its beginning.
pub(crate) fn all(txn: &impl Tables) -> Result<Vec<Gap>, Error> {
    let gaps = txn.table(GAPS)?;
    let gaps = gaps.iter()?.map(|entry| {
        let (from, to) = entry?.0.value();
        Ok(Gap { from: Timestamp(from), to: Timestamp(to) })
    });
    gaps.collect()
}

/// Notes when a snapshot was taken.
pub(crate) fn looked(txn: &WriteTransaction, time: Timestamp) -> Result<(), Error> {
    clock::ticked(txn, time.0)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(LAST_SNAPSHOT_KEY, time.0.cast_unsigned())?;
    let first = meta.get(FIRST_SNAPSHOT_KEY)?.map(|first| first.value().cast_signed());
    if first.is_none_or(|first| time.0 < first) {
        meta.insert(FIRST_SNAPSHOT_KEY, time.0.cast_unsigned())?;
    }
    Ok(())
}

/// How complete the answer to a scan of history is, given what its parts said.
pub(crate) fn judged(txn: &impl Tables, scan: &Scan<'_>, mut answer: Completeness) -> Result<Completeness, Error> {
    if let Some(named) = named(scan)
        && reaches_into_a_gap(txn, named)?
    {
        answer.add(Reason::SamplingGap);
    }
    Ok(answer)
}

fn reaches_into_a_gap(txn: &impl Tables, (from, to): Moments) -> Result<bool, Error> {
    let meta = txn.table(META)?;
    let moment = |key: &str| Ok::<_, Error>(meta.get(key)?.map(|moment| rounded(moment.value().cast_signed())));
    let (Some(first), Some(last)) = (moment(FIRST_SNAPSHOT_KEY)?, moment(LAST_SNAPSHOT_KEY)?) else { return Ok(true) };
    let beyond = if to.is_finite() { to } else { from };
    let touches = |gap: &Gap| rounded(gap.from.0) < to && from < rounded(gap.to.0);
    Ok(to < first || beyond > last && beyond > last + awaited(txn)? || all(txn)?.iter().any(touches))
}

/// How long after the last snapshot the next is not yet missing.
fn awaited(txn: &impl Tables) -> Result<f64, Error> {
    let (collectors, _) = status::all::<CollectorStatus>(txn, status::COLLECTOR)?;
    let last = collectors.into_iter().max_by_key(|collector| collector.last_snapshot.0);
    Ok(rounded(patience(last.and_then(|collector| collector.interval_micros))))
}

/// The first and the last moment that something is about; infinite where it has none.
type Moments = (f64, f64);

/// The moments of observation that a scan names, if it names any.
fn named(scan: &Scan<'_>) -> Option<Moments> {
    let of_observation = |probe: &Probe| {
        let name = &*scan.table.columns[probe.column].name;
        matches!(name, SEEN_FROM | SEEN_TO | LAST_SEEN_AT | "observed_at" | "collection_time")
    };
    let groups = scan.required.iter().filter(|group| group.iter().all(of_observation));
    let bounds = groups.filter_map(|group| {
        let each: Vec<Moments> = group.iter().map(|probe| bounds(&probe.question)).collect::<Option<_>>()?;
        let all = each.into_iter().reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        // That something has not ended names no moment.
        all.filter(|(from, _)| *from < f64::INFINITY)
    });
    let within = |one: Moments, other: Moments| (one.0.max(other.0), one.1.min(other.1));
    let (from, to) = bounds.fold((f64::NEG_INFINITY, f64::INFINITY), within);
    // Who was alive all the time from one moment to another began before the first and ended after the last.
    (from.is_finite() || to.is_finite()).then_some((from.min(to), from.max(to)))
}

/// The moments that an answer to this has. What has not ended ends later than anything.
fn bounds(question: &Question) -> Option<Moments> {
    match question {
        Question::AtLeast(bound) => Some((*bound, f64::INFINITY)),
        Question::AtMost(bound) => Some((f64::NEG_INFINITY, *bound)),
        Question::Equal(Value::Timestamp(moment)) => Some((rounded(*moment), rounded(*moment))),
        Question::Null => Some((f64::INFINITY, f64::INFINITY)),
        _ => None,
    }
}

/// Microseconds are exact in a double for centuries.
#[expect(clippy::cast_precision_loss, reason = "see above")]
fn rounded(moment: i64) -> f64 {
    moment as f64
}
