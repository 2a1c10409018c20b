//! What a statement reads: the present from a live snapshot, everything else from the store; or both from the agent.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use arrow_array::RecordBatch;
use daemoneye_collectors::Snapshot;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::query::Query;
use daemoneye_dsl::tables::lineage::Lineage;
use daemoneye_dsl::tables::{Kind, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_planner::{Counted, View};
use daemoneye_settings::Settings;
use daemoneye_storage::Reader;

use crate::agent::{Asking, History};
use crate::file_table::FileTables;
use crate::screen::count;
use crate::store::Stored;
use crate::{live, store};

/// Whether the query reads the present: `processes` for which no file stands in, or the relatives of one.
pub(crate) fn reads_present(query: &Query) -> bool {
    query.tables().iter().any(|it| is_present(&it.table))
}

/// Whether its rows are made of the processes of now.
pub(crate) fn is_present(table: &Table) -> bool {
    table.kind != Kind::Records && (table.name == "processes" || Lineage::named(&table.name).is_some())
}

/// Whether the query reads a file.
pub(crate) fn reads_files(query: &Query) -> bool {
    query.tables().iter().any(|it| it.table.kind == Kind::Records)
}

/// The tables of the query that only the store has.
pub(crate) fn stored_tables(query: &Query) -> Vec<String> {
    let is_stored = |table: &Table| table.kind != Kind::Records && !is_present(table);
    let tables = query.tables().into_iter().map(|it| &it.table).filter(|table| is_stored(table));
    let mut names: Vec<_> = tables.map(|table| table.name.to_string()).collect();
    names.dedup();
    names
}

/// How complete what is read from a snapshot can be at best.
pub(crate) fn completeness(query: &Query, snapshot: Option<&Snapshot>) -> Completeness {
    let reads_processes = reads_present(query);
    snapshot.filter(|_| reads_processes).map(|snapshot| snapshot.completeness.clone()).unwrap_or_default()
}

/// What questions are asked of: files, the processes of now and the agent's store, each if something needs it.
pub(crate) struct Sources<'a> {
    /// What `now()` is.
    pub(crate) now: Timestamp,
    files: &'a FileTables,
    snapshot: Option<Seen>,
    past: Option<Past<'a>>,
}

/// Who has the record.
enum Past<'a> {
    Agent(History<'a>),
    Store(Stored),
}

impl Past<'_> {
    fn reader(&self) -> &dyn Reader {
        match self {
            Self::Agent(history) => history,
            Self::Store(stored) => &stored.view,
        }
    }

    fn origin(&self) -> String {
        match self {
            Self::Agent(_) => "the agent's store".to_owned(),
            Self::Store(stored) => store::note(stored),
        }
    }
}

/// Looks at the processes.
type Look<'l> = &'l mut dyn FnMut(Timestamp) -> anyhow::Result<Seen>;

/// The processes of some moment.
pub(crate) struct Seen {
    /// In the layout of `processes`.
    pub(crate) rows: RecordBatch,
    pub(crate) completeness: Completeness,
    /// Where they come from.
    pub(crate) origin: String,
}

impl From<Snapshot> for Seen {
    fn from(snapshot: Snapshot) -> Self {
        Self { origin: live::note(&snapshot), rows: snapshot.rows, completeness: snapshot.completeness }
    }
}

impl<'a> Sources<'a> {
    /// Looks at the processes and opens the store, as far as one of the queries reads them.
    pub(crate) fn open(
        queries: &[&Query],
        (data, settings): (Option<&PathBuf>, &Settings),
        files: &'a FileTables,
        moment: Option<Timestamp>,
        look: Look<'_>,
    ) -> anyhow::Result<Self> {
        let open = |_| Ok(Past::Store(store::open(data, settings)?));
        Self::gather(queries, files, moment, (look, &open))
    }

    /// The same, of which the agent has whatever is not in files.
    pub(crate) fn of_agent(
        queries: &[&Query],
        (asking, limit): (&'a Asking, Duration),
        files: &'a FileTables,
        moment: Option<Timestamp>,
        look: Look<'_>,
    ) -> anyhow::Result<Self> {
        let open = |now| Ok(Past::Agent(History::new(asking, now, limit)));
        Self::gather(queries, files, moment, (look, &open))
    }

    fn gather(
        queries: &[&Query],
        files: &'a FileTables,
        moment: Option<Timestamp>,
        (look, open): (Look<'_>, &dyn Fn(Timestamp) -> anyhow::Result<Past<'a>>),
    ) -> anyhow::Result<Self> {
        let now = moment.unwrap_or_else(live::now);
        let asks_present = files.processes().is_none() && queries.iter().any(|query| reads_present(query));
        let snapshot = asks_present.then(|| look(now)).transpose()?;
        let mut tables: Vec<_> = queries.iter().flat_map(|query| stored_tables(query)).collect();
        tables.dedup();
        let why = || format!("`{}` comes from the agent's store", tables.join("`, `"));
        let past = (!tables.is_empty()).then(|| open(now).with_context(why)).transpose()?;
        Ok(Self { now, files, snapshot, past })
    }

    /// Asks it something.
    pub(crate) fn ask<T>(&self, ask: impl FnOnce(&Counted<'_>) -> T) -> T {
        let view = View::new(
            self.files.processes().or(self.snapshot.as_ref().map(|seen| &seen.rows)),
            self.past.as_ref().map(Past::reader),
        );
        let view = self.files.before(&view);
        ask(&Counted::new(&view))
    }

    /// How complete the answer to a query can be at best.
    pub(crate) fn completeness(&self, query: &Query) -> Completeness {
        let seen = self.snapshot.as_ref().filter(|_| reads_present(query));
        seen.map(|seen| seen.completeness.clone()).unwrap_or_default()
    }

    /// Where the rows come from.
    pub(crate) fn origins(&self) -> Vec<String> {
        let seen = self.snapshot.iter().map(|seen| seen.origin.clone());
        let others = seen.chain(self.past.as_ref().map(Past::origin));
        self.files.origins().into_iter().chain(others).collect()
    }
}

/// `312 processes and 40 process_starts`; empty where no table was read.
pub(crate) fn describe(read: &[(String, usize, Kind)]) -> String {
    let tables: Vec<_> = read.iter().map(|(table, rows, kind)| of_table(*rows, table, *kind)).collect();
    match tables.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// `2178 records of process_creation`.
pub(crate) fn records(rows: usize, table: &str) -> String {
    format!("{} of {table}", count(rows, "record", "records"))
}

fn of_table(rows: usize, table: &str, kind: Kind) -> String {
    let singular = rows == 1 && table.ends_with('s');
    let one = table.strip_suffix("es").filter(|it| it.ends_with("process")).or_else(|| table.strip_suffix('s'));
    match table {
        _ if kind == Kind::Records => records(rows, table),
        "processes_history" => format!("{rows} {} of processes", if rows == 1 { "version" } else { "versions" }),
        "process_samples" => format!("{rows} {} of processes", if rows == 1 { "sample" } else { "samples" }),
        _ if singular => format!("{rows} {}", one.unwrap_or(table).replace('_', " ")),
        _ => format!("{rows} {}", table.replace('_', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_named_as_people_do() {
        assert_eq!(of_table(312, "processes", Kind::State), "312 processes");
        assert_eq!(of_table(1, "processes", Kind::State), "1 process");
        assert_eq!(of_table(1, "process_starts", Kind::Events), "1 process start");
        assert_eq!(of_table(1, "processes", Kind::Records), "1 record of processes");
        assert_eq!(of_table(2, "processes_history", Kind::State), "2 versions of processes");
    }
}
