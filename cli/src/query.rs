//! `query`: one SELECT about now, or about what the store remembers.

use std::cell::RefCell;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::bail;
use arrow_array::RecordBatch;
use daemoneye_broker::payload::Statement;
use daemoneye_dsl::check::check_query_with;
use daemoneye_dsl::completeness::{Completeness, Reason};
use daemoneye_dsl::diagnostic::Source;
use daemoneye_dsl::parameters::Parameters;
use daemoneye_dsl::query::{CheckedRule, Query as Select};
use daemoneye_dsl::types::{Timestamp, Type, Value, display_interval};
use daemoneye_planner::{Ended, ask, plan, stacked};
use serde_json::Map;

use crate::agent::{Answered, Asking, Door, statement};
use crate::file_table::{FileArguments, FileTables, NowArgument};
use crate::output::{Format, Json, print, write_json};
use crate::progress::Progress;
use crate::render::{Cell, Column, Extent, Table, local_time};
use crate::screen::{Mark, Screen, count, draws_in_place};
use crate::sources::{Sources, describe};
use crate::timeout::TimeoutArgument;
use crate::watch::Frame;
use crate::{Ending, Globals, files, live, store, watch, with_exit_codes};

/// Ask one SELECT.
///
/// The agent answers, if it runs and lets this user in: `processes` is its latest snapshot, everything else its history.
/// Otherwise, and with --live, `processes` is a snapshot taken with the rights of whoever asks, and the other tables come
/// from the agent's store, which is only read. Rows go to standard output; how complete they are, of how many and where
/// from, to standard error. With --table, files are tables too.
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
    /// A value for the parameter `:NAME` (or `@NAME`, `$NAME`, `?1`) of the statement; may be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    param: Vec<String>,
    /// Ask again every 2s, or as often as is said, until Ctrl-C: in place on a terminal, elsewhere as ndjson with the
    /// time of each round as `watch_time`. The agent's processes are new with each of its snapshots, with --live in each
    /// round
    #[arg(long, value_name = "EVERY", num_args = 0..=1, require_equals = true, default_missing_value = "2s",
        value_parser = watch::every, conflicts_with = "exit_code")]
    watch: Option<Duration>,
    #[command(flatten)]
    patience: TimeoutArgument,
    /// Ask no agent: take a snapshot of this moment, and read the store
    #[arg(long)]
    live: bool,
    /// Exit with 1 when there are rows
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  What runs from a temporary folder?
    daemoneye-cli query \"SELECT pid, user_name, command_line FROM processes
                         WHERE executable_path LIKE '/tmp/%'\"

  Which programs use the most memory, as JSON?
    daemoneye-cli query -o json \"SELECT name, sum(memory_usage) AS bytes
                                 FROM processes GROUP BY name
                                 ORDER BY bytes DESC LIMIT 5\"

  What uses the processor, every five seconds?
    daemoneye-cli query --live --watch=5s \"SELECT pid, name, cpu_usage
                                          FROM processes
                                          ORDER BY cpu_usage DESC LIMIT 10\"

  What started in the last hour (from the agent's store)?
    sudo daemoneye-cli query \"SELECT command_line FROM process_starts
                              WHERE start_time >= now() - INTERVAL '1 hour'\"

  Who ran what, in a log that was collected elsewhere?
    daemoneye-cli query --table events=sysmon.jsonl \\
      \"SELECT User, Image, count(*) FROM events GROUP BY User, Image\"";

/// What the statement gave.
struct Result {
    rows: RecordBatch,
    asked: Asked,
}

/// What there is to say of an answer beside its rows.
struct Asked {
    /// Its rows.
    shown: usize,
    /// How many there were before LIMIT; nothing if there are more than it waited for.
    found: Option<usize>,
    completeness: Completeness,
    /// The rows read, by table.
    read: String,
    /// Where they came from.
    origins: Vec<String>,
}

impl Asked {
    /// Columns that no record of a file has make it incomplete.
    fn note_absent(&mut self, rule: &CheckedRule) {
        if !rule.absent.is_empty() {
            self.completeness.add(Reason::ColumnAbsentInData);
        }
    }
}

pub(crate) fn run(query: &Query, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let source = query.source()?;
    let mut parameters = Parameters::default();
    query.param.iter().try_for_each(|text| parameters.bind(text))?;
    let moment = query.moment.moment()?;
    let files = query.files.load(screen)?;
    let catalog = files.catalog().with_lists(files::lists(&[], &globals.settings)).with_limits(globals.settings.limits);
    let checked = check_query_with(&source, &catalog, &parameters);
    screen.draw(&checked.diagnostics, &source);
    let Some(rule) = checked.rule else { return Ok(Ending::Refused) };
    if let Some(every) = query.watch {
        return query.watch(every, &rule, &files, globals, screen);
    }
    let form = Format::of_data(globals.output);
    let place = (query.data.as_ref(), &globals.settings);
    let mut waiting = Some(Progress::begin(screen, "asking"));
    let open = || Sources::open(&[&rule.query], place, &files, moment, &mut |now| live::snapshot(now).map(Into::into));
    let asking = query.may_ask().then(|| Asking::find(query.data.as_ref(), &globals.settings, screen)).flatten();
    let sources = Place::choose(query, (&rule, moment), asking.as_ref(), &open)?;
    let (mut asked, extent) = if matches!(form, Format::Ndjson | Format::Csv) {
        let mut end_waiting = || drop(waiting.take());
        (query.stream(&rule.query, &sources, form, (globals, screen), &mut end_waiting)?, Extent::Whole)
    } else {
        let result = query.answer(&rule.query, &sources)?;
        drop(waiting.take());
        let extent = print(screen, |out| show(out, &result, &rule.query, form, (globals, screen)))?;
        (result.asked, extent.unwrap_or(Extent::Whole))
    };
    asked.note_absent(&rule);
    screen.say(Mark::Note, &footer(&asked, extent, started.elapsed().as_millis()));
    if !asked.completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&asked.completeness));
    }
    Ok(Ending::Done { found: query.exit_code && asked.shown > 0, degraded: !asked.completeness.is_complete() })
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
            (None, [interval, _]) if self.watch.is_some() && watch::every(interval).is_ok() => {
                bail!("`{interval}` stands where the statement is; write --watch={interval}")
            }
            (None, words) => {
                bail!("the statement came as {} words; put it in quotes: daemoneye-cli query \"SELECT …\"", words.len())
            }
        }
    }
}

impl Query {
    /// Whether an agent can answer: the statement is not about what only this program has.
    fn may_ask(&self) -> bool {
        !self.live && !self.files.are_given()
    }

    /// Asks at each interval. The statement was checked once; only the rows are new. An agent that comes or goes
    /// meanwhile is asked from the next round on, or no more.
    fn watch(
        &self,
        every: Duration,
        rule: &CheckedRule,
        files: &FileTables,
        globals: &Globals,
        screen: &Screen,
    ) -> anyhow::Result<Ending> {
        let (select, moment) = (&rule.query, self.moment.moment()?);
        let form = Format::of_data(globals.output);
        let place = (self.data.as_ref(), &globals.settings);
        let look = RefCell::new(live::snapshots()?);
        let open =
            || Sources::open(&[select], place, files, moment, &mut |now| (look.borrow_mut())(now).map(Into::into));
        let mut asking = self.may_ask().then(|| Asking::find(place.0, place.1, screen)).flatten();
        let ask = || {
            let started = Instant::now();
            let time = live::now();
            if self.may_ask() && asking.as_ref().is_none_or(Asking::is_over) {
                asking = Asking::open(&Door::find(place.1, &store::data_dir(place.0, place.1))).ok();
            }
            let place = Place::choose(self, (rule, moment), asking.as_ref(), &open)?;
            let mut result = self.answer(select, &place)?;
            result.asked.note_absent(rule);
            Ok((result, time, started.elapsed().as_millis()))
        };
        let warnings = |result: &Result| {
            let completeness = &result.asked.completeness;
            if completeness.is_complete() { vec![] } else { vec![incomplete(completeness)] }
        };
        match form {
            Format::Table | Format::Box if draws_in_place() => {
                let statement = rule.source.text.split_whitespace().collect::<Vec<_>>().join(" ");
                let period = display_interval(i64::try_from(every.as_micros()).unwrap_or(i64::MAX));
                let title = format!("every {period}, Ctrl-C ends it: {statement}");
                watch::in_place(&title, every, screen, ask, |(result, _, elapsed_ms), screen| {
                    let mut body = Vec::new();
                    let extent = show(&mut body, result, select, form, (globals, screen))?;
                    let mut notes = vec![footer(&result.asked, extent, *elapsed_ms)];
                    notes.extend(warnings(result).iter().map(|warning| format!("warning: {warning}")));
                    Ok(Frame { body, notes })
                })
            }
            Format::Table | Format::Box => watch::appended(every, screen, ask, |(result, time, _), out| {
                writeln!(out, "{}", local_time(time.0, &screen.zone))?;
                show(out, result, select, form, (globals, screen))?;
                Ok(warnings(result))
            }),
            Format::Ndjson => watch::appended(every, screen, ask, |(result, time, _), out| {
                let time = ("watch_time".to_owned(), time.rfc3339().into());
                let rows = objects(&result.rows, select).map(|row| std::iter::once(time.clone()).chain(row).collect());
                write_json(out, Json::Lines, rows)?;
                Ok(warnings(result))
            }),
            Format::Json | Format::Csv => bail!("rounds have no end: with --watch ask for `-o table` or `-o ndjson`"),
        }
    }
}

impl Query {
    /// The answer, whole.
    fn answer(&self, select: &Select, place: &Place<'_, '_>) -> anyhow::Result<Result> {
        let mut parts = Vec::new();
        let asked = self.ask(select, place, &mut |rows| {
            parts.push(rows);
            ControlFlow::Continue(())
        })?;
        Ok(Result { rows: stacked(&plan(select), &parts), asked })
    }

    /// Hands over the rows as they come.
    fn ask(
        &self,
        select: &Select,
        place: &Place<'_, '_>,
        each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> anyhow::Result<Asked> {
        match place {
            Place::Here(sources) => self.ask_here(select, sources, each),
            Place::Agent(asking, statement, open) => match ask_agent(select, asking, statement, each)? {
                Some(asked) => Ok(asked),
                None => self.ask_here(select, &open()?, each),
            },
        }
    }

    fn ask_here(
        &self,
        select: &Select,
        sources: &Sources<'_>,
        each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
    ) -> anyhow::Result<Asked> {
        let (mut shown, plan) = (0, plan(select));
        let (ended, read) = sources.ask(|reader| {
            let mut counted = |rows: RecordBatch| {
                shown += rows.num_rows();
                each(rows)
            };
            let ended = ask(&plan, reader, sources.now, Some(&self.patience.begin()), &mut counted);
            (ended, describe(&reader.by_table()))
        });
        let Ended { completeness, before_limit } = ended?;
        Ok(Asked {
            shown,
            found: if select.limit.is_some() { before_limit } else { Some(shown) },
            completeness: sources.completeness(select).and(&completeness),
            read,
            origins: sources.origins(),
        })
    }

    /// Writes the rows as they come, however many there are.
    fn stream(
        &self,
        select: &Select,
        place: &Place<'_, '_>,
        form: Format,
        (globals, screen): (&Globals, &Screen),
        end_waiting: &mut dyn FnMut(),
    ) -> anyhow::Result<Asked> {
        let mut asked = None;
        let written = print(screen, |out| {
            let mut header = true;
            let mut write = |rows: &RecordBatch| {
                end_waiting();
                let header = std::mem::take(&mut header);
                match form.json() {
                    Some(form) => write_json(out, form, objects(rows, select)),
                    None => table(rows, select, form, header, screen).write(out, form, screen, globals).map(drop),
                }
            };
            let mut failed = None;
            let answer = self.ask(select, place, &mut |rows| match write(&rows) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            });
            if answer.as_ref().is_ok_and(|it| it.shown == 0) {
                write(&stacked(&plan(select), &[]))?;
            }
            asked = Some(answer);
            failed.map_or(Ok(()), Err)
        });
        end_waiting();
        written?;
        asked.expect("it was asked")
    }
}

/// Who answers.
enum Place<'p, 's> {
    /// This program.
    Here(Sources<'s>),
    /// The agent; or else, while it has seen nothing, this program.
    Agent(&'p Asking, Statement, Open<'p, 's>),
}

/// Takes a snapshot and opens the store, as far as they are needed.
type Open<'p, 's> = &'p dyn Fn() -> anyhow::Result<Sources<'s>>;

impl<'p, 's> Place<'p, 's> {
    /// The agent, if it is there.
    fn choose(
        query: &Query,
        (rule, moment): (&CheckedRule, Option<Timestamp>),
        asking: Option<&'p Asking>,
        open: Open<'p, 's>,
    ) -> anyhow::Result<Self> {
        let Some(asking) = asking else { return open().map(Self::Here) };
        let statement = statement(rule, query.patience.limit(), moment);
        let statement = Statement { parameters: query.param.clone(), ..statement };
        Ok(Self::Agent(asking, statement, open))
    }
}

/// Hands over the rows that the agent sends; nothing where it has not seen a snapshot yet.
fn ask_agent(
    select: &Select,
    asking: &Asking,
    statement: &Statement,
    each: &mut dyn FnMut(RecordBatch) -> ControlFlow<()>,
) -> anyhow::Result<Option<Asked>> {
    let Some(answered) = asking.ask(select, statement.clone(), each)?.answered()? else { return Ok(None) };
    let origins = vec![answered.origin()];
    let Answered { rows: shown, completeness, before_limit, read, .. } = answered;
    let found = if select.limit.is_some() { before_limit } else { Some(shown) };
    Ok(Some(Asked { shown, found, completeness, read: describe(&read), origins }))
}

/// The rows as JSON has them.
fn objects<'r>(rows: &'r RecordBatch, select: &'r Select) -> impl Iterator<Item = Map<String, serde_json::Value>> + 'r {
    let names = select.output.iter().map(|output| output.name.as_str());
    let names: Vec<_> = names.collect();
    (0..rows.num_rows()).map(move |row| {
        let cells = names.iter().zip(rows.columns());
        cells.map(|(name, column)| ((*name).to_owned(), Value::at(column, row).to_json())).collect()
    })
}

fn show(
    out: &mut dyn Write,
    result: &Result,
    select: &Select,
    form: Format,
    (globals, screen): (&Globals, &Screen),
) -> io::Result<Extent> {
    if let Some(form) = form.json() {
        write_json(out, form, objects(&result.rows, select))?;
        return Ok(Extent::Whole);
    }
    table(&result.rows, select, form, true, screen).write(out, form, screen, globals)
}

/// Rows as a table shows them.
fn table(rows: &RecordBatch, select: &Select, form: Format, header: bool, screen: &Screen) -> Table {
    let names = select.output.iter().map(|output| output.name.as_str());
    let columns = names.zip(rows.columns());
    let columns = columns.map(|(name, column)| {
        Column::of(name, Type::from_arrow(column.data_type()).expect("every column has a layout of ours"))
    });
    let cell = |value: &Value| match form {
        Format::Csv => Cell::exact(value),
        _ => Cell::of(value, &screen.zone),
    };
    let cells = |row| rows.columns().iter().map(|column| cell(&Value::at(column, row))).collect();
    let rows = (0..rows.num_rows()).map(cells).collect();
    Table { columns: columns.collect(), rows, header, indent: 0 }
}

fn footer(asked: &Asked, extent: Extent, elapsed_ms: u128) -> String {
    let shown = asked.shown;
    let rows = match asked.found {
        Some(found) if shown < found => format!("{shown} of {} (cut by LIMIT)", count(found, "row", "rows")),
        Some(_) => count(shown, "row", "rows"),
        None => format!("{} (cut by LIMIT, there are more)", count(shown, "row", "rows")),
    };
    let mut parts = vec![if asked.read.is_empty() { rows } else { format!("{rows} of {}", asked.read) }];
    parts.extend_from_slice(&asked.origins);
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
