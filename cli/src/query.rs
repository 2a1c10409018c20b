//! `query`: one SELECT about now, or about what the store remembers.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use arrow_array::RecordBatch;
use daemoneye_dsl::check::check_query;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::query::Query as Select;
use daemoneye_dsl::types::{Timestamp, Type, Value};
use daemoneye_planner::{View, execute, plan};
use daemoneye_storage::Reader;

use crate::file_table::{FileArguments, FileTables, NowArgument};
use crate::output::{Format, print, write_json};
use crate::progress::Progress;
use crate::render::{Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count};
use crate::sources::{self, Counted};
use crate::{Ending, Globals, files, live, store, with_exit_codes};

/// Ask one SELECT.
///
/// `processes` is a live snapshot, taken with the rights of whoever asks. `process_starts`, `process_exits`,
/// `processes_history` and `alerts` come from the agent's store, which is only read; a statement may join both. Rows go
/// to standard output; how complete they are, and of how many, to standard error. With --table, files are tables too.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(crate) struct Query {
    /// The statement in quotes, or `-` to read it from standard input
    #[arg(value_name = "SQL", required_unless_present = "file")]
    sql: Vec<String>,
    /// Read the statement from a file
    #[arg(short, long, value_name = "FILE", conflicts_with = "sql")]
    file: Option<PathBuf>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    files: FileArguments,
    #[command(flatten)]
    moment: NowArgument,
    /// Exit with 1 when there are rows
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  What runs from a temporary folder?
    daemoneye-cli query \"SELECT pid, name, user_name, command_line FROM processes
                         WHERE executable_path LIKE '/tmp/%'\"

  Which programs use the most memory, as JSON?
    daemoneye-cli query -o json \"SELECT name, sum(memory_usage) AS bytes FROM processes
                                 GROUP BY name ORDER BY bytes DESC LIMIT 5\"

  What started in the last hour (from the agent's store)?
    sudo daemoneye-cli query \"SELECT start_time, user_name, command_line FROM process_starts
                              WHERE start_time >= now() - INTERVAL '1 hour'\"

  Who ran what, in a log that was collected elsewhere?
    daemoneye-cli query --table events=sysmon.jsonl
                        \"SELECT User, Image, count(*) FROM events GROUP BY User, Image\"";

/// What the statement gave.
struct Result {
    rows: RecordBatch,
    /// How many there were before LIMIT.
    found: usize,
    completeness: Completeness,
    /// The rows read, by table.
    read: String,
    /// Where they came from.
    origins: Vec<String>,
}

pub(crate) fn run(query: &Query, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let source = query.source()?;
    let moment = query.moment.moment()?;
    let files = query.files.load(screen)?;
    let checked = check_query(&source, &files.catalog());
    screen.draw(&checked.diagnostics, &source);
    let Some(rule) = checked.rule else { return Ok(Ending::Refused) };
    let mut result = {
        let _shown = Progress::begin(screen, "asking");
        answer(rule.query.clone(), query.data.as_ref(), &files, moment)?
    };
    if !rule.absent.is_empty() {
        result.completeness.add(Reason::ColumnAbsentInData);
    }
    let elapsed = started.elapsed();
    let extent = show(&result, &rule.query, globals, screen)?;
    screen.say(Mark::Note, &footer(&result, extent, elapsed.as_millis()));
    if !result.completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&result.completeness));
    }
    Ok(Ending::Done {
        found: query.exit_code && result.rows.num_rows() > 0,
        degraded: !result.completeness.is_complete(),
    })
}

impl Query {
    fn source(&self) -> anyhow::Result<Source> {
        let from_stdin = self.file.as_deref() == Some(Path::new("-")) || self.sql.as_slice() == ["-"];
        if from_stdin && self.files.takes_stdin() {
            bail!("standard input cannot be both the statement and a table; give one of them as a file");
        }
        match (&self.file, self.sql.as_slice()) {
            (Some(file), _) => files::statement(file),
            (None, [dash]) if dash == "-" => files::statement(Path::new("-")),
            (None, [sql]) => Ok(Source::query(sql)),
            (None, words) => {
                bail!("the statement came as {} words; put it in quotes: daemoneye-cli query \"SELECT …\"", words.len())
            }
        }
    }
}

fn answer(
    mut select: Select,
    data: Option<&PathBuf>,
    files: &FileTables,
    moment: Option<Timestamp>,
) -> anyhow::Result<Result> {
    let now = moment.unwrap_or_else(live::now);
    let snapshot = sources::reads_present(&select).then(|| live::snapshot(now)).transpose()?;
    let stored = match sources::stored_tables(&select).as_slice() {
        [] => None,
        tables => {
            Some(store::open(data).with_context(|| format!("`{}` comes from the agent's store", tables.join("`, `")))?)
        }
    };
    let view = View::new(
        files.processes().or(snapshot.as_ref().map(|snapshot| &snapshot.rows)),
        stored.as_ref().map(|stored| &stored.view as &dyn Reader),
    );
    let view = files.before(&view);
    let counted = Counted::new(&view);
    // All rows in their order, of which LIMIT then takes the first: so the answer can say of how many. Without a LIMIT
    // there is nothing to say, and no reason to sort.
    let limit = select.limit.as_mut().map(|limit| std::mem::replace(limit, u64::MAX));
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    let answer = execute(&plan(&select), &counted, now)?;
    let found = answer.rows.num_rows();
    let others = snapshot.as_ref().map(live::note).into_iter().chain(stored.as_ref().map(store::note));
    let origins = files.origins().into_iter().chain(others).collect();
    Ok(Result {
        rows: answer.rows.slice(0, found.min(limit)),
        found,
        completeness: sources::completeness(&select, snapshot.as_ref()).and(&answer.completeness),
        read: counted.describe(),
        origins,
    })
}

fn show(result: &Result, select: &Select, globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let names: Vec<_> = select.output[..select.visible].iter().map(|output| output.name.as_str()).collect();
    let rows = &result.rows;
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let objects = (0..rows.num_rows()).map(|row| {
            let cells = names.iter().zip(rows.columns());
            cells.map(|(name, column)| ((*name).to_owned(), Value::at(column, row).to_json())).collect()
        });
        print(|out| write_json(out, form, objects))?;
        return Ok(Extent::Whole);
    }
    let columns = names.iter().zip(rows.columns());
    let columns = columns.map(|(name, column)| {
        Column::of(*name, Type::from_arrow(column.data_type()).expect("every column has a layout of ours"))
    });
    let cell = |value: &Value| match form {
        Format::Csv => Cell::exact(value),
        _ => Cell::of(value, &screen.zone),
    };
    let cells = |row| rows.columns().iter().map(|column| cell(&Value::at(column, row))).collect();
    let rows = (0..rows.num_rows()).map(cells).collect();
    let table = Table { columns: columns.collect(), rows, header: true, indent: 0 };
    Ok(print(|out| table.write(out, form, screen, globals.full))?.unwrap_or(Extent::Whole))
}

fn footer(result: &Result, extent: Extent, elapsed_ms: u128) -> String {
    let shown = result.rows.num_rows();
    let rows = if shown < result.found {
        format!("{shown} of {} (cut by LIMIT)", count(result.found, "row", "rows"))
    } else {
        count(shown, "row", "rows")
    };
    let mut parts = vec![if result.read.is_empty() { rows } else { format!("{rows} of {}", result.read) }];
    parts.extend_from_slice(&result.origins);
    if extent == Extent::Cut {
        parts.push("values cut to fit (--full shows them)".to_owned());
    }
    parts.push(format!("{elapsed_ms} ms"));
    parts.join(" · ")
}

/// What is missing, in a sentence.
pub(crate) fn incomplete(completeness: &Completeness) -> String {
    let reasons: Vec<_> = completeness.reasons.iter().copied().map(Reason::text).collect();
    format!("the answer is incomplete: {}", reasons.join(", "))
}
