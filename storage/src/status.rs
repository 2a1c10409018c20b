//! What the agent notes of itself and of what operators want: sealed JSON by kind and name, and the tables that are
//! made of it.

use std::ops::ControlFlow;

use arrow_array::{RecordBatch, RecordBatchOptions};
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::silence::Silence;
use daemoneye_dsl::status::{CollectorStatus, RuleStats, RuleStatus};
use daemoneye_dsl::types::Value;
use redb::{ReadableTable, WriteTransaction};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Error;
use crate::block::{seal, unseal};
use crate::matches::MatchState;
use crate::reader::Each;
use crate::reader::Scan;
use crate::scan::{layout, quarantine};
use crate::tables::{MATCHES, STATUS, Tables};

/// The agent's run, under an empty name.
pub(crate) const RUN: &str = "run";
/// Rule files, by path.
pub(crate) const RULE: &str = "rule";
/// What all rules cost and found, as one list under an empty name: written often, and always whole.
pub(crate) const STATS: &str = "stats";
/// Collectors, by instance.
pub(crate) const COLLECTOR: &str = "collector";

/// Silences, by number.
pub(crate) const SILENCE: &str = "silence";

/// Makes of a kind what is behind all its names.
const AFTER: &str = "\u{1}";

fn context(kind: &str, name: &str) -> Vec<u8> {
    let len = kind.len() as u64;
    [b"status".as_slice(), &len.to_be_bytes(), kind.as_bytes(), name.as_bytes()].concat()
}

fn decode<T: DeserializeOwned>(kind: &str, name: &str, sealed: &[u8]) -> Result<T, String> {
    let json = unseal(&context(kind, name), sealed)?;
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// What is wrong with a record.
pub(crate) fn check(kind: &str, name: &str, sealed: &[u8]) -> Result<(), String> {
    decode::<serde_json::Value>(kind, name, sealed).map(drop)
}

/// Writes a record.
pub(crate) fn put(txn: &WriteTransaction, kind: &str, name: &str, record: &impl Serialize) -> Result<(), Error> {
    let json = serde_json::to_vec(record).expect("a record is JSON");
    txn.open_table(STATUS)?.insert((kind, name), seal(&context(kind, name), &json).as_slice())?;
    Ok(())
}

/// Removes a record; false where it is not there.
pub(crate) fn remove(txn: &WriteTransaction, kind: &str, name: &str) -> Result<bool, Error> {
    Ok(txn.open_table(STATUS)?.remove((kind, name))?.is_some())
}

/// A name for what has a number, so that the names order as the numbers do.
pub(crate) fn numbered(number: u64) -> String {
    format!("{number:020}")
}

/// Removes every record of a kind.
pub(crate) fn clear(txn: &WriteTransaction, kind: &str) -> Result<(), Error> {
    let end = format!("{kind}{AFTER}");
    txn.open_table(STATUS)?.retain_in((kind, "")..(end.as_str(), ""), |_, _| false)?;
    Ok(())
}

/// One record.
pub(crate) fn get<T: DeserializeOwned>(txn: &impl Tables, kind: &str, name: &str) -> Result<Option<T>, Error> {
    let status = txn.table(STATUS)?;
    let Some(sealed) = status.get((kind, name))? else { return Ok(None) };
    let record = decode(kind, name, sealed.value());
    record.map(Some).map_err(|why| Error::Damaged(format!("the status of {kind} {name:?}: {why}")))
}

/// Every record of a kind, by name; damaged ones are set aside.
pub(crate) fn all<T: DeserializeOwned>(txn: &impl Tables, kind: &str) -> Result<(Vec<T>, Completeness), Error> {
    let status = txn.table(STATUS)?;
    let end = format!("{kind}{AFTER}");
    let (mut records, mut completeness) = (Vec::new(), Completeness::default());
    for entry in status.range((kind, "")..(end.as_str(), ""))? {
        let (key, sealed) = entry?;
        let (_, name) = key.value();
        match decode(kind, name, sealed.value()) {
            Ok(record) => records.push(record),
            Err(why) => {
                quarantine(&format!("the status of {kind} {name:?}"), &why);
                completeness.add(Reason::SegmentQuarantined);
            }
        }
    }
    Ok((records, completeness))
}

/// The rows of `silences`, `rules`, `rule_stats` or `collectors`.
pub(crate) fn visit(txn: &impl Tables, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
    let (rows, completeness) = match &*scan.table.name {
        "silences" => {
            let (silences, completeness) = all::<Silence>(txn, SILENCE)?;
            (silences.iter().map(Silence::cells).collect(), completeness)
        }
        "rules" => {
            let (rules, completeness) = all::<RuleStatus>(txn, RULE)?;
            let cells = rules.iter().map(|rule| {
                let matching = rule.id.as_deref().map_or(Ok(0), |id| matching(txn, id))?;
                Ok(rule.cells(matching))
            });
            (cells.collect::<Result<Vec<_>, Error>>()?, completeness)
        }
        "rule_stats" => {
            let (stats, completeness) = rule_stats(txn)?;
            (stats.iter().map(RuleStats::cells).collect(), completeness)
        }
        _ => {
            let (collectors, completeness) = all::<CollectorStatus>(txn, COLLECTOR)?;
            (collectors.iter().map(CollectorStatus::cells).collect(), completeness)
        }
    };
    if !rows.is_empty() {
        let _last: ControlFlow<()> = each(batch(scan, &rows)?);
    }
    Ok(completeness)
}

/// What every rule cost and found; none where that is damaged.
pub(crate) fn rule_stats(txn: &impl Tables) -> Result<(Vec<RuleStats>, Completeness), Error> {
    let (lists, completeness) = all::<Vec<RuleStats>>(txn, STATS)?;
    Ok((lists.into_iter().flatten().collect(), completeness))
}

/// Rows that match a rule now.
fn matching(txn: &impl Tables, rule_id: &str) -> Result<i64, Error> {
    let matches = txn.table(MATCHES)?;
    let mut rows = 0i64;
    for entry in matches.range((rule_id, [].as_slice())..)? {
        let (place, sealed) = entry?;
        let (rule, key) = place.value();
        if rule != rule_id {
            break;
        }
        rows = rows.saturating_add(MatchState::decode(rule_id, key, sealed.value())?.weight.max(0));
    }
    Ok(rows)
}

pub(crate) fn batch(scan: &Scan<'_>, rows: &[Vec<Value>]) -> Result<RecordBatch, Error> {
    let column = |at: &usize| scan.table.columns[*at].ty.array(rows.iter().map(|cells| cells[*at].clone()));
    let columns = scan.columns.iter().map(column).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    Ok(RecordBatch::try_new_with_options(layout(scan), columns, &options)?)
}
