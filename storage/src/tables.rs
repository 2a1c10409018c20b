//! Every redb table, its key and what it holds. Numbers in keys order as numbers; pairs order by their first part.
//!
//! ```text
//! meta       name                     u64      "format", "layout", "next_alert", "next_block", "next_turn",
//!                                              "last_snapshot"
//! offsets    collector instance       u64 u64  the last sequence whose batch was committed; when, as a turn
//! blocks     (kind, number)           sealed   rows (block.rs); written once, number ascending
//! summaries  (kind, number)           sealed   row count and the range of each time column, to skip blocks unread
//! closings   (version block, row)     i64      the snapshot that no longer had this version: its `seen_to`
//! live       proc_id as u64           place    the current version of every process alive
//! gone       proc_id as u64           place    the last version of a process that left; `live` wins if it came back
//! alerts     id                       sealed   JSON
//! matches    (rule id, dedup key)     sealed   MatchState
//! rules      rule id                  text     the revision that ran last
//! deliveries alert id                 ()       not yet handed to every sink
//! turns      turn                     u64      the alert that was written then and not since; turns only grow
//! turn_of    alert id                 u64      its turn
//! status     (kind, name)             sealed   JSON: the agent's run, its rules, what these cost, its collectors
//! ```
//!
//! A place is (block, row). The rows of history are appended once and never touched again: an end is an entry in
//! `closings`, near the others of its time because most processes are short. `process_starts` is the versions marked as
//! starts; only exits are stored a second time, so that a window over them reads what happened in it and no more.

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use daemoneye_dsl::tables::{Catalog, schema_of, version_columns};
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};
use std::fmt::Write;
use std::sync::Arc;

use crate::Error;

/// The version of everything in this file; a store with another one is not opened.
pub(crate) const FORMAT: u64 = 2;

pub(crate) const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
pub(crate) const OFFSETS: TableDefinition<&str, (u64, u64)> = TableDefinition::new("offsets");
pub(crate) const BLOCKS: TableDefinition<(u8, u64), &[u8]> = TableDefinition::new("blocks");
pub(crate) const SUMMARIES: TableDefinition<(u8, u64), &[u8]> = TableDefinition::new("summaries");
pub(crate) const CLOSINGS: TableDefinition<Place, i64> = TableDefinition::new("closings");
pub(crate) const LIVE: TableDefinition<u64, Place> = TableDefinition::new("live");
pub(crate) const GONE: TableDefinition<u64, Place> = TableDefinition::new("gone");
pub(crate) const ALERTS: TableDefinition<u64, &[u8]> = TableDefinition::new("alerts");
pub(crate) const MATCHES: TableDefinition<(&str, &[u8]), &[u8]> = TableDefinition::new("matches");
pub(crate) const RULES: TableDefinition<&str, &str> = TableDefinition::new("rules");
pub(crate) const DELIVERIES: TableDefinition<u64, ()> = TableDefinition::new("deliveries");

pub(crate) const TURNS: TableDefinition<u64, u64> = TableDefinition::new("turns");
pub(crate) const TURN_OF: TableDefinition<u64, u64> = TableDefinition::new("turn_of");
pub(crate) const STATUS: TableDefinition<(&str, &str), &[u8]> = TableDefinition::new("status");

pub(crate) const FORMAT_KEY: &str = "format";
pub(crate) const LAYOUT_KEY: &str = "layout";
pub(crate) const NEXT_ALERT_KEY: &str = "next_alert";
pub(crate) const NEXT_BLOCK_KEY: &str = "next_block";
pub(crate) const NEXT_TURN_KEY: &str = "next_turn";
pub(crate) const LAST_SNAPSHOT_KEY: &str = "last_snapshot";

/// Where a version is: its block's number and the row in it.
pub(crate) type Place = (u64, u32);

/// What the rows of a block are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Versions of processes: the version's columns, `seen_from`, and `started`, which marks an observed start.
    Versions = 1,
    /// Rows of `process_exits`.
    Exits = 2,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Versions, Self::Exits];

    /// The table that a block of this kind is named for.
    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Versions => "processes_history",
            Self::Exits => "process_exits",
        }
    }

    /// The layout of the rows.
    pub(crate) fn schema(self) -> SchemaRef {
        match self {
            Self::Versions => {
                let mut fields = schema_of(&version_columns()).fields().to_vec();
                let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
                fields.push(Arc::new(Field::new(SEEN_FROM, moment, false)));
                fields.push(Arc::new(Field::new(STARTED, DataType::Boolean, false)));
                Arc::new(Schema::new(fields))
            }
            Self::Exits => builtin(self.table()),
        }
    }
}

pub(crate) const SEEN_FROM: &str = "seen_from";
pub(crate) const STARTED: &str = "started";

/// The layout of a table of the catalog.
pub(crate) fn builtin(table: &str) -> SchemaRef {
    Catalog::builtin().table(table).expect("a table of the catalog").schema()
}

/// A fingerprint of the stored layouts, so that a store of another catalog is told from a damaged one.
pub(crate) fn layout() -> u64 {
    let mut layouts = String::new();
    for kind in Kind::ALL {
        for field in kind.schema().fields() {
            let _infallible = write!(layouts, "{} {} {};", field.name(), field.data_type(), field.is_nullable());
        }
        layouts.push('\n');
    }
    u64::from(crc32c::crc32c(layouts.as_bytes()))
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
    txn.open_table(SUMMARIES)?;
    txn.open_table(CLOSINGS)?;
    txn.open_table(LIVE)?;
    txn.open_table(GONE)?;
    txn.open_table(ALERTS)?;
    txn.open_table(MATCHES)?;
    txn.open_table(RULES)?;
    txn.open_table(DELIVERIES)?;
    txn.open_table(TURNS)?;
    txn.open_table(TURN_OF)?;
    txn.open_table(STATUS)?;
    let mut meta = txn.open_table(META)?;
    meta.insert(FORMAT_KEY, FORMAT)?;
    meta.insert(LAYOUT_KEY, layout())?;
    Ok(())
}
