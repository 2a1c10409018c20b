//! Files as tables, for one command: `--table NAME=FILE`.
//!
//! ```text
//! FILE ─ input ─► json, csv ─► spelled::Records ─┐
//!              └► parquet ──► typed arrays ──────┴─ columns ─► Table (Kind::Records) and one RecordBatch
//! ```
//!
//! A file is read whole, its types told from all of its records (`infer`), and held as one batch. A file that has the
//! name of a table of the catalog stands in for it: its columns have the catalog's types, and rules run over it as they
//! would over the host. Nothing of a file is dropped in silence: what cannot be a cell is an error that names the line,
//! names that collide are changed and said, and the bounds of `spelled` end reading with an error.
//!
//! `changes` reads the other kind of file, in which rows of tables appear and disappear, with the same parts.

mod changes;
mod columns;
mod csv;
mod infer;
mod input;
mod json;
mod parquet;
mod spec;
mod spelled;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use arrow_array::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Kind, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Each, Error, Reader, Scan, StoredProcess};

pub(crate) use self::changes::{At, ChangeFile, Changed, ChangingTable, Step};
use self::columns::{Apart, Content};
use self::input::{Form, Input};
use self::spec::Spec;
use self::spelled::{BYTES_MAX, Records};
use crate::progress::Progress;
use crate::screen::{Mark, Screen};

/// The files of one command.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct FileArguments {
    /// A JSONL, CSV or Parquet file that is a table for this command; may be repeated. `-` is standard input,
    /// `NAME(column type, ...)=FILE` declares types, and the name of a table such as `processes` lets the records
    /// stand in for it
    #[arg(long = "table", value_name = "NAME=FILE")]
    tables: Vec<String>,
}

/// The moment of a question over files.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct NowArgument {
    /// What `now()` is over files, in RFC 3339 [default: the present moment]
    #[arg(long, value_name = "TIME", requires = "tables")]
    now: Option<String>,
}

impl NowArgument {
    /// The moment that was named.
    pub(crate) fn moment(&self) -> anyhow::Result<Option<Timestamp>> {
        let Some(text) = &self.now else { return Ok(None) };
        let moment = Timestamp::parse(text);
        moment.map(Some).with_context(|| format!("`{text}` is no time; write --now 2026-11-22T10:30:00Z"))
    }
}

/// One file, read.
#[derive(Debug)]
struct FileTable {
    table: Table,
    rows: RecordBatch,
    path: String,
}

/// The tables that are files.
#[derive(Debug, Default)]
pub(crate) struct FileTables {
    tables: Vec<FileTable>,
}

impl FileArguments {
    /// Whether there are any.
    pub(crate) fn are_given(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Whether a table is read from standard input.
    pub(crate) fn takes_stdin(&self) -> bool {
        self.tables.iter().any(|text| text.ends_with("=-"))
    }

    /// Reads every file; what should be known about their names is said.
    pub(crate) fn load(&self, screen: &Screen) -> anyhow::Result<FileTables> {
        let shown = !self.tables.is_empty();
        self.load_with(if shown { Progress::begin(screen, "reading files") } else { Progress::unseen() }, screen)
    }

    /// [`FileArguments::load`] for a command that shows no progress.
    pub(crate) fn load_unseen(&self, screen: &Screen) -> anyhow::Result<FileTables> {
        self.load_with(Progress::unseen(), screen)
    }

    fn load_with(&self, progress: Progress, screen: &Screen) -> anyhow::Result<FileTables> {
        let mut notes = Vec::new();
        let loaded = self.read(&progress, &mut notes);
        drop(progress);
        for note in &notes {
            screen.say(Mark::Warning, note);
        }
        loaded
    }

    fn read(&self, progress: &Progress, notes: &mut Vec<String>) -> anyhow::Result<FileTables> {
        let mut specs: Vec<Spec> = Vec::new();
        for text in &self.tables {
            let spec: Spec = text.parse().with_context(|| format!("--table {text}"))?;
            if specs.iter().any(|other| other.name.eq_ignore_ascii_case(&spec.name)) {
                bail!("--table {text}: there is a table `{}` already; take another name", spec.name);
            }
            if spec.path == Path::new("-") && specs.iter().any(|other| other.path == spec.path) {
                bail!("--table {text}: standard input is one table's already; name a file");
            }
            specs.push(spec);
        }
        let catalog = Catalog::builtin();
        let read = |spec: &Spec| {
            let path = columns::shown(&spec.path);
            read_table(spec, catalog.table(&spec.name).map(|table| &**table), progress, notes).context(path)
        };
        Ok(FileTables { tables: specs.iter().map(read).collect::<anyhow::Result<_>>()? })
    }
}

fn read_table(
    spec: &Spec,
    stands_for: Option<&Table>,
    progress: &Progress,
    notes: &mut Vec<String>,
) -> anyhow::Result<FileTable> {
    let content = read_content(input::open(&spec.path, progress)?, progress)?;
    made_table(content, spec, stands_for, Apart::Always, notes)
}

fn made_table(
    content: Content,
    spec: &Spec,
    stands_for: Option<&Table>,
    apart: Apart,
    notes: &mut Vec<String>,
) -> anyhow::Result<FileTable> {
    let made = columns::columns(content, spec, stands_for, apart)?;
    let path = columns::shown(&spec.path);
    notes.extend(made.notes.iter().map(|note| format!("{path}: {note}")));
    let table = Table {
        // The catalog's own spelling: readers know their tables by it.
        name: stands_for.map_or_else(|| spec.name.clone().into(), |table| table.name.clone()),
        doc: format!("The records of {path}.").into(),
        kind: Kind::Records,
        columns: made.declared,
    };
    let options = RecordBatchOptions::new().with_row_count(Some(made.records));
    let rows = RecordBatch::try_new_with_options(table.schema(), made.arrays, &options)?;
    Ok(FileTable { table, rows, path })
}

fn read_content(input: Input<'_>, progress: &Progress) -> anyhow::Result<Content> {
    let mut records = Records::default();
    match input.form {
        Form::Json => json::read(input.buffered(), &mut records)?,
        Form::Csv { delimiter } => csv::read(input.buffered(), delimiter, &mut records)?,
        Form::Parquet => {
            let parquet::Columns { columns, records } = match input.file {
                Some(file) => parquet::read(file, progress)?,
                None => parquet::read(whole(input.bytes)?, progress)?,
            };
            return Ok(Content::Typed { columns, records });
        }
    }
    records.finish()?;
    Ok(Content::Spelled(records))
}

/// Parquet is read from its end, so a pipe has to be read whole first.
fn whole(input: impl Read) -> anyhow::Result<Bytes> {
    let mut bytes = Vec::new();
    input.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > BYTES_MAX {
        bail!("more than {} GiB; name the file instead of a pipe", BYTES_MAX >> 30);
    }
    Ok(bytes.into())
}

impl FileTables {
    /// The catalog with these tables before its own.
    pub(crate) fn catalog(&self) -> Catalog {
        self.tables.iter().fold(Catalog::builtin(), |catalog, file| catalog.with(file.table.clone()))
    }

    /// The records that stand in for `processes`.
    pub(crate) fn processes(&self) -> Option<&RecordBatch> {
        self.find("processes").map(|file| &file.rows)
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.tables.is_empty()
    }

    /// `2178 records of process_creation`, for each.
    pub(crate) fn describe(&self) -> Vec<String> {
        let records = |file: &FileTable| crate::sources::records(file.rows.num_rows(), &file.table.name);
        self.tables.iter().map(records).collect()
    }

    /// Where their rows come from.
    pub(crate) fn origins(&self) -> Vec<String> {
        let origin = |path: &str| if path == "standard input" { path.to_owned() } else { format!("file {path}") };
        let mut origins: Vec<_> = self.tables.iter().map(|file| origin(&file.path)).collect();
        origins.dedup();
        origins
    }

    /// These tables, and `rest` for all others.
    pub(crate) fn before<'a>(&'a self, rest: &'a dyn Reader) -> impl Reader + 'a {
        BeforeOthers { files: self, rest }
    }

    fn find(&self, name: &str) -> Option<&FileTable> {
        self.tables.iter().find(|file| file.table.name == name)
    }
}

struct BeforeOthers<'a> {
    files: &'a FileTables,
    rest: &'a dyn Reader,
}

impl BeforeOthers<'_> {
    fn own(&self, scan: &Scan<'_>) -> Option<Result<RecordBatch, Error>> {
        let file = self.files.find(&scan.table.name).filter(|_| scan.table.kind == Kind::Records)?;
        Some(file.rows.project(scan.columns).map_err(|error| Error::Refused(error.to_string())))
    }
}

impl Reader for BeforeOthers<'_> {
    fn visit(&self, scan: &Scan<'_>, each: Each<'_>) -> Result<Completeness, Error> {
        let Some(rows) = self.own(scan) else { return self.rest.visit(scan, each) };
        let _all_or_none = each(rows?);
        Ok(Completeness::default())
    }

    fn process(&self, proc_id: &str) -> Result<Option<StoredProcess>, Error> {
        self.rest.process(proc_id)
    }
}
