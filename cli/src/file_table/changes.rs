//! Files of changes: what appears in tables and disappears again, moment by moment.
//!
//! ```text
//! {"at": 1795343400.5, "table": "processes", "op": "+", "row": {"pid": 7, "name": "sh"}}
//! ```
//!
//! A line is one row that appears (`+`) or disappears (`-`) at a moment: seconds since 1970 as a number, or RFC 3339 as a
//! text. Lines that follow one another with equal moments are one step. The rows of a table are its records, as those
//! of a file table are: columns and types come from all of them together, with the same bounds.
//!
//! Must hold: after every line, each row is there as often as it appeared and did not disappear, which is never less
//! than never; a line that would break this is an error that names it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context, bail};
use arrow_array::RecordBatch;
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::columns::{Apart, Content, shown};
use super::spec::Spec;
use super::spelled::{BYTES_MAX, RECORDS_MAX, Records};
use super::{FileTable, infer, input, json, made_table};
use crate::bag::first_equal;
use crate::progress::{Progress, Unit};
use crate::screen::{Mark, Screen};

/// Tables that one file may change.
const TABLES_MAX: usize = 256;
/// What a line has to be, for errors.
const FORM: &str =
    r#"a line is {"at": 1795343400.5 or "2026-11-22T10:30:00Z", "table": "processes", "op": "+" or "-", "row": {…}}"#;
/// Characters of a value that an error quotes.
const QUOTED_LEN: usize = 60;

/// A file of changes, read.
#[derive(Debug)]
pub(crate) struct ChangeFile {
    /// The tables that it names, in the order of first appearance.
    pub(crate) tables: Vec<ChangingTable>,
    /// In the order of the file.
    pub(crate) steps: Vec<Step>,
    changes: Vec<Changed>,
    path: String,
}

/// A table and every row that it ever has.
#[derive(Debug)]
pub(crate) struct ChangingTable {
    pub(crate) table: Table,
    /// A row for each line that names the table.
    pub(crate) rows: RecordBatch,
    /// For each of them the first that is equal.
    pub(crate) first_equal: Vec<u32>,
}

/// What changes at one moment.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) at: At,
    changes: Range<usize>,
}

/// A moment, and how the file spells it.
#[derive(Clone, Debug)]
pub(crate) struct At {
    pub(crate) moment: Timestamp,
    pub(crate) spelled: serde_json::Value,
}

/// One line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    /// Which of the tables.
    pub(crate) table: u32,
    /// Which of its rows.
    pub(crate) row: u32,
    /// Else it disappears.
    pub(crate) appears: bool,
}

impl ChangeFile {
    /// Reads the file at `path`, `-` for standard input; what should be known about names in it is said.
    pub(crate) fn load(path: &Path, screen: &Screen) -> anyhow::Result<Self> {
        let progress = Progress::begin(screen, "reading changes");
        let mut notes = Vec::new();
        let loaded = read_file(path, &progress, &mut notes);
        drop(progress);
        for note in &notes {
            screen.say(Mark::Warning, note);
        }
        loaded.with_context(|| shown(path))
    }

    /// What a text holds.
    #[cfg(test)]
    pub(crate) fn parse(text: &str) -> anyhow::Result<Self> {
        let mut reading = Reading::new(Path::new("x"));
        reading.read(text.as_bytes())?;
        reading.finish(&mut vec![])
    }

    /// The changes of a step, in the order of the file.
    pub(crate) fn changes(&self, step: &Step) -> &[Changed] {
        &self.changes[step.changes.clone()]
    }

    /// The catalog with these tables before its own.
    pub(crate) fn catalog(&self) -> Catalog {
        self.tables.iter().fold(Catalog::builtin(), |catalog, it| catalog.with(it.table.clone()))
    }

    /// The number of changes.
    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    /// Where it comes from.
    pub(crate) fn origin(&self) -> String {
        if self.path == "standard input" { self.path.clone() } else { format!("file {}", self.path) }
    }
}

fn read_file(path: &Path, progress: &Progress, notes: &mut Vec<String>) -> anyhow::Result<ChangeFile> {
    let mut reading = Reading::new(path);
    reading.read(input::open(path, progress)?.buffered())?;
    progress.step("telling the types", Unit::Things, None);
    reading.finish(notes)
}

/// A line as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'l> {
    #[serde(borrow)]
    at: &'l RawValue,
    #[serde(borrow)]
    table: Cow<'l, str>,
    #[serde(borrow)]
    op: Cow<'l, str>,
    #[serde(borrow)]
    row: &'l RawValue,
}

/// A file while it is read.
struct Reading<'p> {
    path: &'p Path,
    tables: Vec<(Spec, Records)>,
    /// Every spelling of a table's name that was met.
    names: HashMap<String, u32>,
    steps: Vec<Step>,
    changes: Vec<Changed>,
    /// How the last line spells its moment.
    at: String,
    /// Bytes of all rows together.
    bytes: usize,
}

impl<'p> Reading<'p> {
    fn new(path: &'p Path) -> Self {
        Self {
            path,
            tables: vec![],
            names: HashMap::new(),
            steps: vec![],
            changes: vec![],
            at: String::new(),
            bytes: 0,
        }
    }

    fn read(&mut self, mut input: impl BufRead) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        for number in 1.. {
            if !json::next_line(&mut input, number, &mut bytes)? {
                break;
            }
            let text = json::text_of(&bytes, number)?;
            if text.is_empty() {
                continue;
            }
            // Else an array of the four would do as well.
            if !text.starts_with('{') {
                bail!("line {number} is no object; {FORM}");
            }
            let line: Line<'_> = match serde_json::from_str(text) {
                Ok(line) => line,
                Err(error) => bail!("line {number}: {}; {FORM}", json::said(&error)),
            };
            self.take(&line, number)?;
        }
        Ok(())
    }

    fn take(&mut self, line: &Line<'_>, number: u64) -> anyhow::Result<()> {
        let appears = match &*line.op {
            "+" => true,
            "-" => false,
            other => bail!("line {number}: `op` is `{}`; it is `+` or `-`", quoted(other)),
        };
        self.bytes += line.row.get().len();
        if self.changes.len() == RECORDS_MAX || self.bytes > BYTES_MAX {
            let (rows, bytes) = (RECORDS_MAX / 1_000_000, BYTES_MAX >> 30);
            bail!("line {number}: more than {rows} million rows, or {bytes} GiB of them; take a part of the file");
        }
        self.begin_step(line.at.get(), number)?;
        let table = self.table(&line.table).with_context(|| format!("line {number}"))?;
        let records = &mut self.tables[table as usize].1;
        let row = u32::try_from(records.lines.len()).expect("rows are bounded");
        if let Err(error) = json::read_record(line.row.get(), number, records) {
            bail!("line {number}: `row`: {}", json::said(&error));
        }
        self.changes.push(Changed { table, row, appears });
        let step = self.steps.last_mut().expect("a step was begun");
        step.changes.end = self.changes.len();
        Ok(())
    }

    /// Begins a step, unless the moment is that of the line before.
    fn begin_step(&mut self, at: &str, number: u64) -> anyhow::Result<()> {
        if !self.steps.is_empty() && self.at == at {
            return Ok(());
        }
        let moment = moment(at).with_context(|| {
            format!(
                "line {number}: `at` is {}; it is seconds since 1970 as a number, or RFC 3339 as a text",
                quoted(at)
            )
        })?;
        at.clone_into(&mut self.at);
        if self.steps.last().is_some_and(|step| step.at.moment == moment) {
            return Ok(());
        }
        let start = self.changes.len();
        let at = At { moment, spelled: serde_json::from_str(at)? };
        self.steps.push(Step { at, changes: start..start });
        Ok(())
    }

    fn table(&mut self, name: &str) -> anyhow::Result<u32> {
        if let Some(table) = self.names.get(name) {
            return Ok(*table);
        }
        let known = self.tables.iter().position(|(spec, _)| spec.name.eq_ignore_ascii_case(name));
        let place = known.unwrap_or(self.tables.len());
        if known.is_none() {
            if place == TABLES_MAX {
                bail!("more than {TABLES_MAX} tables; take a part of the file");
            }
            self.tables.push((Spec::new(name, vec![], self.path.to_owned())?, Records::default()));
        }
        let place = u32::try_from(place).expect("tables are few");
        // A name has few spellings unless somebody makes them up; then it is looked for each time.
        if self.names.len() < 2 * TABLES_MAX {
            self.names.insert(name.to_owned(), place);
        }
        Ok(place)
    }

    fn finish(self, notes: &mut Vec<String>) -> anyhow::Result<ChangeFile> {
        let catalog = Catalog::builtin();
        let (mut tables, mut lines) = (Vec::new(), Vec::new());
        for (spec, mut records) in self.tables {
            records.finish()?;
            lines.push(records.lines.clone());
            let stands_for = catalog.table(&spec.name).map(|table| &**table);
            let name = &spec.name;
            let made = made_table(Content::Spelled(records), &spec, stands_for, Apart::UnlessEqual, notes);
            let FileTable { table, rows, .. } = made.with_context(|| format!("table {name}"))?;
            let first_equal = first_equal(rows.columns(), rows.num_rows());
            tables.push(ChangingTable { table, rows, first_equal });
        }
        check_presence(&tables, &lines, &self.changes)?;
        Ok(ChangeFile { tables, steps: self.steps, changes: self.changes, path: shown(self.path) })
    }
}

/// Whether every row that disappears is there.
fn check_presence(tables: &[ChangingTable], lines: &[Vec<u64>], changes: &[Changed]) -> anyhow::Result<()> {
    let mut there: Vec<Vec<u32>> = tables.iter().map(|it| vec![0; it.rows.num_rows()]).collect();
    for change in changes {
        let (table, row) = (change.table as usize, change.row as usize);
        let there = &mut there[table][tables[table].first_equal[row] as usize];
        if change.appears {
            *there += 1;
        } else if *there > 0 {
            *there -= 1;
        } else {
            let (line, name) = (lines[table][row], &tables[table].table.name);
            bail!(
                "line {line}: `{name}` has no such row that could disappear; a row with `-` is spelled as when it \
                 appeared, with all its columns"
            );
        }
    }
    Ok(())
}

/// What a number or a text says.
fn moment(json: &str) -> Option<Timestamp> {
    if json.starts_with('"') {
        return Timestamp::parse(&serde_json::from_str::<String>(json).ok()?);
    }
    infer::seconds(json).map(Timestamp)
}

fn quoted(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(QUOTED_LEN) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: &str, op: &str, row: &str) -> String {
        format!("{{\"at\":{at},\"table\":\"t\",\"op\":\"{op}\",\"row\":{row}}}\n")
    }

    #[test]
    fn equal_moments_in_a_row_are_one_step() {
        let ats = ["1", "1.0", "\"1970-01-01T00:00:01Z\"", "2.25", "\"1970-01-01 01:00:02.25+01:00\"", "1", "1e0"];
        let file = ChangeFile::parse(&ats.map(|at| line(at, "+", "{\"a\":1}")).concat()).unwrap();
        let steps: Vec<_> = file.steps.iter().map(|step| (step.at.moment.0, file.changes(step).len())).collect();
        assert_eq!(steps, [(1_000_000, 3), (2_250_000, 2), (1_000_000, 2)]);
        assert_eq!(file.tables[0].first_equal, [0; 7]);
    }

    #[test]
    fn keys_come_in_any_order_and_names_in_any_case() {
        let text = "{\"row\":{\"PID\":\"7\"},\"op\":\"+\",\"table\":\"Processes\",\"at\":\"2026-11-22T10:30:00Z\"}\n\n\
                    {\"at\":\"2026-11-22T10:30:00Z\",\"table\":\"processes\",\"op\":\"-\",\"row\":{\"pid\":7}}";
        // `PID` and `pid` are two keys, of which the second gets another name: no such row is there.
        assert!(ChangeFile::parse(text).unwrap_err().to_string().starts_with("line 3: `processes` has no such row"));
        let file = ChangeFile::parse(&text.replace("PID", "pid")).unwrap();
        assert_eq!((file.tables.len(), &*file.tables[0].table.name, file.steps.len()), (1, "processes", 1));
        let ids = &file.tables[0].first_equal;
        assert_eq!(ids, &[0, 0], "a process without an id is the same when it goes");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let good = line("1", "+", "{\"a\":1}");
        for (bad, expected) in [
            ("{\"at\":1,\"table\":\"t\",\"op\":\"+\"}", "line 2: missing field `row` at column 29; a line is {"),
            ("{\"at\":1,\"table\":\"t\",\"op\":\"+\",\"row\":{},\"x\":1}", "line 2: unknown field `x`, expected"),
            ("{\"at\":1,\"at\":2,\"table\":\"t\",\"op\":\"+\",\"row\":{}}", "line 2: duplicate field `at`"),
            ("[1,\"t\",\"+\",{}]", "line 2 is no object; a line is {"),
            ("{\"at\":1", "line 2: EOF while parsing"),
            (&line("1", "*", "{}"), "line 2: `op` is `*`; it is `+` or `-`"),
            (&line("null", "+", "{}"), "line 2: `at` is null; it is seconds"),
            (&line("1e300", "+", "{}"), "line 2: `at` is 1e300; it is seconds"),
            (&line("\"noon\"", "+", "{}"), "line 2: `at` is \"noon\"; it is seconds"),
            (&line("1", "+", "7"), "line 2: `row`: invalid type: integer `7`, expected an object"),
            (&line("1", "+", "{\"b\":1,\"b\":2}"), "line 2: `row`: the key `b` stands twice"),
            (&line("1", "-", "{\"a\":2}"), "line 2: `t` has no such row"),
            (&line("1", "+", "{}").replace("\"t\"", "\"a b\""), "line 2: `a b` cannot name a table"),
            (&line("1", "+", "{}").replace("\"t\"", "\"ancestors\""), "line 2: `ancestors` is a table function"),
            (&line("1", "+", "{\"pid\":\"x\"}").replace("\"t\"", "\"processes\""), "table processes: line 2: column"),
        ] {
            let error = format!("{:#}", ChangeFile::parse(&format!("{good}{bad}")).unwrap_err());
            assert!(error.starts_with(expected), "{bad}: {error}");
        }
        let twice = [line("1", "+", "{\"a\":1}"), line("2", "-", "{\"a\":1}"), line("2", "-", "{\"a\":1.0}")].concat();
        assert!(ChangeFile::parse(&twice).unwrap_err().to_string().starts_with("line 3: "));
    }
}
