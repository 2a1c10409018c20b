//! Every redb table, its key and what it holds. Numbers in keys order as numbers; pairs order by their first part.
//!
//! ```text
//! meta       name                     u64      "format", "layout", "next_alert", "next_row", "next_turn",
//!                                              "next_silence", "first_snapshot", "last_snapshot", "dropped_to",
//!                                              "next_round", "last_round", "samples_dropped_to",
//!                                              "believed", "doubted_for" (clock.rs), "origin", "origin_since",
//!                                              "next_event", "events_len", "events_shed" (outbox.rs)
//! offsets    collector instance       u64 u64  the last sequence whose batch was committed; when, as a turn
//! blocks     first row                block    versions that were just recorded, and their keys (block.rs)
//! segments   (first row, chunk)       chunk    versions that were sealed (segment/)
//! endings    row                      i64 i64? when a version in a block ended, or one in a segment after it was sealed:
//!                                              the snapshot that no longer had it and, of an exit, the one before
//! live       proc_id as u64           row      the current version of every process alive
//! samples    (first round, chunk)     chunk    what processes used (samples/)
//! alerts     id                       sealed   JSON
//! matches    (rule id, dedup key)     sealed   MatchState
//! rules      rule id                  text     the revision that ran last
//! deliveries alert id                 ()       not yet handed to every sink
//! turns      turn                     u64      the alert that was written then and not since; turns only grow
//! turn_of    alert id                 u64      its turn
//! status     (kind, name)             sealed   JSON: the agent's run, its rules, what these cost, its collectors;
//!                                              silences
//! gaps       (i64, i64)               ()       moments between which nobody looked (gaps.rs)
//! unreadable first row                i64      when it was met that this part cannot be read (unreadable.rs)
//! drops      number                   (…)      what retention took out (retention.rs)
//! events     number                   sealed   JSON: a fact that the ledger is to have (outbox.rs)
//! holes      row                      row      rows that it took out between two parts, up to before the second (absent.rs)
//! ```
//!
//! Versions of processes are numbered in the order in which they are recorded: that number is the row, wherever it lies.
//! Blocks and segments have consecutive rows, so the part with a row is the last that begins at it or before. History is
//! appended once; `process_starts` is the versions marked as starts, `process_exits` those whose ending was an exit.

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use daemoneye_dsl::tables::{Catalog, schema_of, version_columns};
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};
use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use crate::samples::Number;
use crate::{Error, outbox};

/// The version of everything in this file; a store with another one is not opened.
pub(crate) const FORMAT: u64 = 8;

pub(crate) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(crate) const OFFSETS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("offsets");
pub(crate) const BLOCKS: TableDefinition<Row, &[u8]> = TableDefinition::new("blocks");
pub(crate) const SEGMENTS: TableDefinition<(Row, u32), &[u8]> = TableDefinition::new("segments");
pub(crate) const ENDINGS: TableDefinition<Row, (i64, Option<i64>)> = TableDefinition::new("endings");
pub(crate) const LIVE: TableDefinition<u64, Row> = TableDefinition::new("live");
pub(crate) const SAMPLES: TableDefinition<(Number, u32), &[u8]> = TableDefinition::new("samples");
pub(crate) const ALERTS: TableDefinition<u64, &[u8]> = TableDefinition::new("alerts");
pub(crate) const MATCHES: TableDefinition<(&str, &[u8]), &[u8]> = TableDefinition::new("matches");
pub(crate) const RULES: TableDefinition<&str, &str> = TableDefinition::new("rules");
pub(crate) const DELIVERIES: TableDefinition<u64, ()> = TableDefinition::new("deliveries");

pub(crate) const TURNS: TableDefinition<u64, u64> = TableDefinition::new("turns");
pub(crate) const TURN_OF: TableDefinition<u64, u64> = TableDefinition::new("turn_of");
pub(crate) const STATUS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("status");
/// When, rows, bytes, first and last moment, why, of what.
pub(crate) type DropNote = (i64, u64, u64, i64, i64, u8, u8);
pub(crate) const DROPS: TableDefinition<u64, DropNote> = TableDefinition::new("drops");

/// Two of them never touch.
pub(crate) const HOLES: TableDefinition<Row, Row> = TableDefinition::new("holes");

/// When a part that cannot be read was met first.
pub(crate) const UNREADABLE: TableDefinition<Row, i64> = TableDefinition::new("unreadable");

pub(crate) const EVENTS: TableDefinition<u64, &[u8]> = TableDefinition::new("events");

pub(crate) const GAPS: TableDefinition<(i64, i64), ()> = TableDefinition::new("gaps");

pub(crate) const FORMAT_KEY: &str = "format";
pub(crate) const LAYOUT_KEY: &str = "layout";
pub(crate) const NEXT_ALERT_KEY: &str = "next_alert";
pub(crate) const NEXT_ROW_KEY: &str = "next_row";
pub(crate) const NEXT_TURN_KEY: &str = "next_turn";
pub(crate) const NEXT_SILENCE_KEY: &str = "next_silence";
pub(crate) const FIRST_SNAPSHOT_KEY: &str = "first_snapshot";
pub(crate) const LAST_SNAPSHOT_KEY: &str = "last_snapshot";
pub(crate) const BELIEVED_KEY: &str = "believed";
pub(crate) const DOUBTED_FOR_KEY: &str = "doubted_for";
pub(crate) const DROPPED_TO_KEY: &str = "dropped_to";
pub(crate) const ORIGIN_KEY: &str = "origin";
pub(crate) const ORIGIN_SINCE_KEY: &str = "origin_since";
pub(crate) const NEXT_EVENT_KEY: &str = "next_event";
pub(crate) const EVENTS_LEN_KEY: &str = "events_len";
pub(crate) const EVENTS_SHED_KEY: &str = "events_shed";
pub(crate) const NEXT_ROUND_KEY: &str = "next_round";
pub(crate) const LAST_ROUND_KEY: &str = "last_round";
pub(crate) const SAMPLES_DROPPED_TO_KEY: &str = "samples_dropped_to";

/// The number of a version.
pub(crate) type Row = u64;
/// The number of the first.
pub(crate) const FIRST_ROW: Row = 1;

/// What the log and alerts call the rows.
pub(crate) const HISTORY: &str = "processes_history";
/// A version's columns that are not the process's: when it was seen first, and whether that was a start.
pub(crate) const SEEN_FROM: &str = "seen_from";
pub(crate) const STARTED: &str = "started";
/// What a segment has besides: the snapshot that no longer had the version and, of an exit, the one before.
pub(crate) const SEEN_TO: &str = "seen_to";
pub(crate) const LAST_SEEN_AT: &str = "last_seen_at";
/// Its rows' numbers, where they are not consecutive.
pub(crate) const ROW: &str = "row";

/// The layout of the rows of a block.
pub(crate) fn block_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let mut fields = schema_of(&version_columns()).fields().to_vec();
        fields.push(Arc::new(Field::new(SEEN_FROM, MOMENT, false)));
        fields.push(Arc::new(Field::new(STARTED, DataType::Boolean, false)));
        Arc::new(Schema::new(fields))
    });
    SCHEMA.clone()
}

pub(crate) const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The columns of a segment, and whether each is indexed.
pub(crate) fn segment_fields() -> Vec<(Field, bool)> {
    let indexed = |name: &str| version_columns().iter().any(|column| column.name == name && column.indexed);
    let block = block_schema();
    let fields = block.fields().iter().map(|field| (field.as_ref().clone(), indexed(field.name())));
    let endings = [SEEN_TO, LAST_SEEN_AT].map(|name| (Field::new(name, MOMENT, true), false));
    fields.chain(endings).chain([(Field::new(ROW, DataType::Int64, true), false)]).collect()
}

/// The layout of a table of the catalog.
pub(crate) fn builtin(table: &str) -> SchemaRef {
    Catalog::builtin().table(table).expect("a table of the catalog").schema()
}

/// A fingerprint of the stored layouts, so that a store of another catalog is told from a damaged one.
pub(crate) fn layout() -> u64 {
    let mut layout = String::new();
    for field in block_schema().fields() {
        let _infallible = write!(layout, "{} {} {};", field.name(), field.data_type(), field.is_nullable());
    }
    u64::from(crc32c::crc32c(layout.as_bytes()))
}

/// A transaction to read through: redb has one type for reading and one for writing.
pub(crate) trait Tables {
    /// An open table.
    type Table<'a, K: Key + 'static, V: Value + 'static>: ReadableTable<K, V>
    where
        Self: 'a;

    /// Opens a table, which [`create`] made.
    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Self::Table<'_, K, V>, Error>;
}

impl Tables for ReadTransaction {
    type Table<'a, K: Key + 'static, V: Value + 'static> = redb::ReadOnlyTable<K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Self::Table<'_, K, V>, Error> {
        Ok(self.open_table(table)?)
    }
}

impl Tables for WriteTransaction {
    type Table<'a, K: Key + 'static, V: Value + 'static> = redb::Table<'a, K, V>;

    fn table<K: Key + 'static, V: Value + 'static>(
        &self,
        table: TableDefinition<'_, K, V>,
    ) -> Result<Self::Table<'_, K, V>, Error> {
        Ok(self.open_table(table)?)
    }
}

/// Creates every table and says what they are.
pub(crate) fn create(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(OFFSETS)?;
    txn.open_table(BLOCKS)?;
    txn.open_table(SEGMENTS)?;
    txn.open_table(ENDINGS)?;
    txn.open_table(SAMPLES)?;
    txn.open_table(LIVE)?;
    txn.open_table(ALERTS)?;
    txn.open_table(MATCHES)?;
    txn.open_table(RULES)?;
    txn.open_table(DELIVERIES)?;
    txn.open_table(TURNS)?;
    txn.open_table(TURN_OF)?;
    txn.open_table(STATUS)?;
    txn.open_table(GAPS)?;
    txn.open_table(DROPS)?;
    txn.open_table(HOLES)?;
    txn.open_table(UNREADABLE)?;
    outbox::create(txn)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(FORMAT_KEY, FORMAT)?;
    meta.insert(LAYOUT_KEY, layout())?;
    Ok(())
}
