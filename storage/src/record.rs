//! How one snapshot's changes to `processes` become history.
//!
//! A start or a change appends a version; a change or an exit closes the version before it. Everything is checked
//! against what is stored before the first write, so that a refusal leaves the transaction as it was.

use std::collections::HashSet;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch, TimestampMicrosecondArray};
use arrow_schema::SchemaRef;
use arrow_select::concat::concat_batches;
use daemoneye_dsl::tables::{schema_of, version_columns};
use daemoneye_dsl::types::Timestamp;
use daemoneye_dsl::untrusted::Untrusted;
use redb::{ReadableTable, WriteTransaction};

use crate::Error;
use crate::keys::ProcKey;
use crate::scan::{by_snapshot, filtered};
use crate::tables::{ENDINGS, FIRST_ROW, LIVE, META, NEXT_ROW_KEY, Row, block_schema, builtin};
use crate::{block, gaps, history};

/// What one snapshot changed. The three batches have the layout of `dsl::tables::version_columns()`, and a process is
/// in one of them at most, once.
#[derive(Clone, Copy, Debug)]
pub struct ProcessChange<'a> {
    /// When the snapshot was taken.
    pub time: Timestamp,
    /// The snapshot before it; exits were last seen there.
    pub previous_time: Option<Timestamp>,
    /// The first snapshot ever: its processes are versions but not starts.
    pub baseline: bool,
    /// Processes that were not alive before.
    pub started: &'a RecordBatch,
    /// New versions of processes that were.
    pub changed: &'a RecordBatch,
    /// Last versions of those that have gone.
    pub exited: &'a RecordBatch,
}

/// What became of a [`ProcessChange`].
#[derive(Clone, Debug)]
pub struct Recorded {
    /// New rows of `process_starts`.
    pub starts: RecordBatch,
    /// New rows of `process_exits`.
    pub exits: RecordBatch,
    /// New rows of `processes_history`, all open. The versions that this snapshot closed are not repeated here.
    pub versions: RecordBatch,
}

/// A process in one of the batches.
struct Known {
    key: ProcKey,
    /// Its version so far, if the store has it alive.
    before: Option<Row>,
}

/// [`crate::Transaction::record_processes`].
pub(crate) fn record(txn: &WriteTransaction, change: &ProcessChange<'_>) -> Result<Recorded, Error> {
    let versions = schema_of(&version_columns());
    let started = known(txn, &versions, change.started)?;
    let changed = known(txn, &versions, change.changed)?;
    let exited = known(txn, &versions, change.exited)?;
    check_once([&started, &changed, &exited])?;
    check_alive(&changed, "changed")?;
    check_alive(&exited, "exited")?;
    let is_start = starts(txn, change.baseline, &started)?;
    // A first snapshot is not copied.
    let current = if change.changed.num_rows() == 0 {
        change.started.clone()
    } else {
        concat_batches(&versions, [change.started, change.changed])?
    };
    let blocks = block::encode(&versions_to_store(&current, change.time, &is_start)?)?;
    let exits = exits(change)?;

    let first = block::append(txn, &blocks)?;
    let exit = change.previous_time.unwrap_or_default().0;
    let replaced = started.iter().chain(&changed).map(|process| (process, None));
    end(txn, change.time, replaced.chain(exited.iter().map(|process| (process, Some(exit)))))?;
    forget(txn, &exited)?;
    know(txn, started.iter().chain(&changed).zip(first..))?;
    gaps::looked(txn, change.time)?;

    Ok(Recorded { starts: start_rows(change, &is_start)?, exits, versions: open_versions(&current, change.time)? })
}

/// The keys of a batch, and what the store has alive under them.
fn known(txn: &WriteTransaction, layout: &SchemaRef, batch: &RecordBatch) -> Result<Vec<Known>, Error> {
    let fields = |schema: &SchemaRef| -> Vec<_> {
        schema.fields().iter().map(|field| (field.name().clone(), field.data_type().clone())).collect()
    };
    if fields(&batch.schema()) != fields(layout) {
        return Err(Error::Refused("rows that are not versions of processes".to_owned()));
    }
    let live = txn.open_table(LIVE)?;
    let ids = batch.column_by_name("proc_id").expect("a version has an id").as_string::<i32>();
    let known = ids.iter().map(|id| {
        let id = id.unwrap_or_default();
        let key = ProcKey::parse(id).ok_or_else(|| {
            let shown: String = id.chars().take(40).collect();
            Error::Refused(format!("proc_id `{}` is not 16 lower-case hex digits", Untrusted(&shown).terminal()))
        })?;
        Ok(Known { key, before: live.get(key.0)?.map(|row| row.value()) })
    });
    known.collect()
}

fn check_once(batches: [&[Known]; 3]) -> Result<(), Error> {
    let mut keys: Vec<_> = batches.into_iter().flatten().map(|process| process.key).collect();
    keys.sort_unstable();
    match keys.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(Error::Refused(format!("process {} appears twice in one snapshot's changes", pair[0]))),
        None => Ok(()),
    }
}

fn check_alive(processes: &[Known], what: &str) -> Result<(), Error> {
    match processes.iter().find(|process| process.before.is_none()) {
        Some(Known { key, .. }) => Err(Error::Refused(format!("process {key} {what}, but is not known to be alive"))),
        None => Ok(()),
    }
}

/// Which of the started processes are starts.
///
/// One that is already alive contradicts the store, unless its version cannot be read: then whoever compared snapshots
/// did not know of it, and it is taken up again as a version.
fn starts(txn: &WriteTransaction, baseline: bool, started: &[Known]) -> Result<BooleanArray, Error> {
    let is_start = started.iter().map(|process| {
        let Some(row) = process.before else { return Ok(Some(!baseline)) };
        match history::version(txn, process.key, row)? {
            Ok(_) => Err(Error::Refused(format!("process {} started, but is alive already", process.key))),
            Err(_) => Ok(Some(false)),
        }
    });
    is_start.collect()
}

/// The stored rows of new versions: the started ones first, as `is_start` has them, then the changed.
fn versions_to_store(current: &RecordBatch, time: Timestamp, is_start: &BooleanArray) -> Result<RecordBatch, Error> {
    let rows = current.num_rows();
    let changed = std::iter::repeat_n(Some(false), rows - is_start.len());
    let started: BooleanArray = is_start.iter().chain(changed).collect();
    with(current, &block_schema(), [moments(time, rows), Arc::new(started)])
}

fn exits(change: &ProcessChange<'_>) -> Result<RecordBatch, Error> {
    let rows = change.exited.num_rows();
    if rows > 0 && change.previous_time.is_none() {
        return Err(Error::Refused("processes exited, but no snapshot before had them".to_owned()));
    }
    let last_seen = change.previous_time.unwrap_or_default();
    let observation = [moments(last_seen, rows), moments(change.time, rows), by_snapshot(rows)];
    with(change.exited, &builtin("process_exits"), observation)
}

fn start_rows(change: &ProcessChange<'_>, is_start: &BooleanArray) -> Result<RecordBatch, Error> {
    let rows = change.started.num_rows();
    let schema = builtin("process_starts");
    let all = with(change.started, &schema, [moments(change.time, rows), by_snapshot(rows)])?;
    filtered(&schema, all.columns(), is_start)
}

fn open_versions(current: &RecordBatch, time: Timestamp) -> Result<RecordBatch, Error> {
    let rows = current.num_rows();
    let open: ArrayRef = Arc::new(TimestampMicrosecondArray::new_null(rows));
    with(current, &builtin("processes_history"), [moments(time, rows), open])
}

fn moments(time: Timestamp, rows: usize) -> ArrayRef {
    Arc::new(TimestampMicrosecondArray::from_value(time.0, rows))
}

fn with<const N: usize>(rows: &RecordBatch, schema: &SchemaRef, more: [ArrayRef; N]) -> Result<RecordBatch, Error> {
    let columns = rows.columns().iter().cloned().chain(more).collect();
    RecordBatch::try_new(schema.clone(), columns).map_err(|error| Error::Refused(error.to_string()))
}

/// Ends the versions that the store had alive; of an exit, with the snapshot that had it last.
fn end<'a>(
    txn: &WriteTransaction,
    time: Timestamp,
    processes: impl Iterator<Item = (&'a Known, Option<i64>)>,
) -> Result<(), Error> {
    let mut endings = txn.open_table(ENDINGS)?;
    let mut rows: Vec<_> = processes.filter_map(|(process, exit)| Some((process.before?, exit))).collect();
    // In key order an insert finds its page in the cache; so below.
    rows.sort_unstable();
    for (row, exit) in rows {
        endings.insert(row, (time.0, exit))?;
    }
    Ok(())
}

/// Takes the exited from the living.
fn forget(txn: &WriteTransaction, exited: &[Known]) -> Result<(), Error> {
    let mut keys: Vec<_> = exited.iter().map(|process| process.key.0).collect();
    keys.sort_unstable();
    let mut live = txn.open_table(LIVE)?;
    for key in keys {
        live.remove(key)?;
    }
    Ok(())
}

/// [`crate::Transaction::end_others`].
pub(crate) fn end_others(
    txn: &WriteTransaction,
    alive: &RecordBatch,
    time: Timestamp,
    last: Timestamp,
) -> Result<usize, Error> {
    let ids = alive.column_by_name("proc_id").expect("a process has an id").as_string::<i32>();
    let alive: HashSet<u64> = ids.iter().flatten().filter_map(ProcKey::parse).map(|key| key.0).collect();
    let next = txn.open_table(META)?.get(NEXT_ROW_KEY)?.map_or(FIRST_ROW, |row| row.value());
    let mut live = txn.open_table(LIVE)?;
    let mut endings = txn.open_table(ENDINGS)?;
    let mut ended = 0;
    for entry in live.extract_if(|key, _| !alive.contains(&key))? {
        let row = entry?.1.value();
        // A place that is damaged itself may name a row that is yet to come.
        if row < next {
            endings.insert(row, (time.0, Some(last.0)))?;
        }
        ended += 1;
    }
    Ok(ended)
}

/// Notes which are the current versions of the living.
fn know<'a>(txn: &WriteTransaction, versions: impl Iterator<Item = (&'a Known, Row)>) -> Result<(), Error> {
    let mut entries: Vec<_> = versions.map(|(process, row)| (process.key.0, row)).collect();
    entries.sort_unstable();
    let mut live = txn.open_table(LIVE)?;
    for (key, row) in entries {
        live.insert(key, row)?;
    }
    Ok(())
}
