//! `data export`: one table of the store, written to a file as it is read.
//!
//! A batch is held at a time, and of Parquet a group of rows. The file appears when it is whole.

mod form;

use std::fs::File;
use std::io::BufWriter;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::bail;
use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMicrosecondType;
use arrow_array::{ArrayRef, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use daemoneye_broker::payload::{self, Deed};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Table};
use daemoneye_dsl::types::Timestamp;
use daemoneye_storage::{Probe, Question, Reader, Scan, Test};

use self::form::{Form, Writer};
use crate::agent::{Door, order};
use crate::progress::{Progress, Unit};
use crate::query::incomplete;
use crate::screen::{Mark, Screen, count};
use crate::{Ending, Globals, replace, store, with_exit_codes};

/// Write a table of the store into a file.
///
/// NDJSON and CSV are as `query` writes them, text made harmless as there; Parquet and Arrow hold the exact values.
/// Rows are written as they are read, so it does not matter how many there are. The store is only read, beside the agent
/// if it runs, which puts on record what was exported and by whom.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
pub(super) struct Export {
    /// The table
    #[arg(value_name = "TABLE", value_enum)]
    table: Exported,
    /// The file to make, for its owner alone
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rows that were observed, raised, or still valid, then or later; in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// And before then
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
    /// How it is written [default: what the file's name ends with]
    #[arg(long, value_name = "FORMAT", value_enum)]
    format: Option<Form>,
    /// Replace the file if there is one
    #[arg(long)]
    force: bool,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  sudo daemoneye-cli data export processes_history history.parquet
  daemoneye-cli data export alerts alerts.csv --from 2026-11-22T00:00:00Z
  daemoneye-cli query --table old=history.parquet \"SELECT count(*) FROM old\"";

/// A table that the store has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
enum Exported {
    ProcessesHistory,
    ProcessStarts,
    ProcessExits,
    ProcessSamples,
    Alerts,
    Silences,
    Rules,
    RuleStats,
    Collectors,
}

impl Exported {
    fn name(self) -> &'static str {
        match self {
            Self::ProcessesHistory => "processes_history",
            Self::ProcessStarts => "process_starts",
            Self::ProcessExits => "process_exits",
            Self::ProcessSamples => "process_samples",
            Self::Alerts => "alerts",
            Self::Silences => "silences",
            Self::Rules => "rules",
            Self::RuleStats => "rule_stats",
            Self::Collectors => "collectors",
        }
    }

    /// When a row's time begins, and when it ends: where that is NULL, not yet.
    fn times(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ProcessesHistory => Some(("seen_from", "seen_to")),
            Self::ProcessStarts | Self::ProcessExits => Some(("observed_at", "observed_at")),
            Self::ProcessSamples => Some(("collection_time", "collection_time")),
            Self::Alerts => Some(("time", "time")),
            Self::Silences | Self::Rules | Self::RuleStats | Self::Collectors => None,
        }
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).ok_or_else(|| "write it as 2026-11-22T10:30:00Z".to_owned())
}

impl Export {
    /// Whether the file will be CSV.
    pub(super) fn is_csv(&self) -> bool {
        self.form() == Some(Form::Csv)
    }

    fn form(&self) -> Option<Form> {
        self.format.or_else(|| Form::of(&self.file))
    }
}

pub(super) fn run(export: &Export, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    if globals.output.is_some() {
        bail!("-o is the form of standard output; how the file is written says --format");
    }
    let Some(form) = export.form() else {
        bail!(
            "the name of {} does not say how to write it; add --format ndjson, csv, parquet or arrow",
            export.file.display()
        );
    };
    let started = Instant::now();
    let progress = Progress::begin(screen, "reading the store");
    let stored = store::open(export.data.as_ref(), &globals.settings)?;
    let catalog = Catalog::builtin();
    let table = catalog.table(export.table.name()).expect("a table of the catalog");
    let period = Period::of(export, table)?;
    put_on_record(export, &period, globals, screen);
    progress.step(&format!("writing {}", export.file.display()), Unit::Things, None);
    let written = replace::stream(&export.file, export.force, |file| {
        let writer = Writer::begin(form, globals.csv_safe, table, BufWriter::new(file))?;
        write(&stored.view, table, &period, writer, &progress)
    });
    drop(progress);
    let (rows, completeness) = written?;
    let elapsed_ms = started.elapsed().as_millis();
    let (rows, file) = (count(rows, "row", "rows"), export.file.display());
    screen.say(Mark::Note, &format!("{rows} in {file} · {} · {elapsed_ms} ms", store::note(&stored)));
    if !completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&completeness));
    }
    Ok(Ending::Done { found: false, degraded: !completeness.is_complete() })
}

/// Tells the agent what is taken out of its store. Whoever can read the store need not have a running agent, and then
/// nobody else could put it on record: that is said.
fn put_on_record(export: &Export, period: &Period, globals: &Globals, screen: &Screen) {
    let door = Door::find(&globals.settings, &store::data_dir(export.data.as_ref(), &globals.settings));
    let file = std::path::absolute(&export.file).unwrap_or_else(|_| export.file.clone());
    let told = payload::Export {
        table: export.table.name().to_owned(),
        file: file.display().to_string(),
        from_micros: period.from,
        to_micros: period.to,
    };
    let unsaid = "the audit ledger does not say that this was exported";
    let why = match order(&door, Deed::Export(told)) {
        Ok(_) => return,
        Err(reached) => reached.of_order(&door, unsaid, "audit show --action exported"),
    };
    screen.say(Mark::Warning, &why);
}

/// Reads the rows and writes those of the period.
fn write(
    reader: &impl Reader,
    table: &Table,
    period: &Period,
    mut writer: Writer<BufWriter<&mut File>>,
    progress: &Progress,
) -> anyhow::Result<(usize, Completeness)> {
    let columns: Vec<usize> = (0..table.columns.len()).collect();
    let required = period.probes();
    let (begins, ends) = (|values: &ArrayRef| period.begins(values), |values: &ArrayRef| period.ends(values));
    let tests: Vec<Test<'_>> = period.columns.map_or(vec![], |(begin, end)| {
        vec![Test { column: begin, passes: &begins }, Test { column: end, passes: &ends }]
    });
    let (mut rows, mut failure) = (0, None);
    let scan = Scan { required: &required, tests: &tests, ..Scan::all(table, &columns) };
    let completeness = reader.visit(&scan, &mut |batch| {
        let kept = period.within(&batch).and_then(|kept| writer.write(&kept).map(|()| kept.num_rows()));
        match kept {
            Ok(kept) => {
                rows += kept;
                progress.advance(kept as u64);
                ControlFlow::Continue(())
            }
            Err(error) => {
                failure = Some(error);
                ControlFlow::Break(())
            }
        }
    })?;
    match failure {
        Some(error) => Err(error),
        None => writer.finish().map(|()| (rows, completeness)),
    }
}

/// The rows that are asked for.
struct Period {
    /// Where a row's time begins and ends.
    columns: Option<(usize, usize)>,
    from: Option<i64>,
    to: Option<i64>,
}

impl Period {
    fn of(export: &Export, table: &Table) -> anyhow::Result<Self> {
        let (from, to) = (export.from.map(|from| from.0), export.to.map(|to| to.0));
        let position = |name| table.column(name).expect("a column of the catalog").0;
        let columns = export.table.times().map(|(begin, end)| (position(begin), position(end)));
        if from.is_some() || to.is_some() {
            if columns.is_none() {
                bail!("`{}` is as it is now; leave --from and --to out", table.name);
            }
            if from.zip(to).is_some_and(|(from, to)| from >= to) {
                bail!("--from is not before --to; no row is in between");
            }
        }
        Ok(Self { columns, from, to })
    }

    #[expect(clippy::cast_precision_loss, reason = "microseconds are exact in a double for centuries")]
    fn probes(&self) -> Vec<Vec<Probe>> {
        let Some((begin, end)) = self.columns else { return vec![] };
        let at_least = |from: i64| Probe { column: end, question: Question::AtLeast(from as f64) };
        let from = self.from.map(|from| vec![at_least(from), Probe { column: end, question: Question::Null }]);
        let to = self.to.map(|to| vec![Probe { column: begin, question: Question::AtMost(to as f64) }]);
        from.into_iter().chain(to).collect()
    }

    fn begins(&self, values: &ArrayRef) -> BooleanArray {
        moments(values, |begin| self.to.is_none_or(|to| begin.is_some_and(|begin| begin < to)))
    }

    fn ends(&self, values: &ArrayRef) -> BooleanArray {
        moments(values, |end| self.from.is_none_or(|from| end.is_none_or(|end| end >= from)))
    }

    fn within(&self, batch: &RecordBatch) -> anyhow::Result<RecordBatch> {
        let Some((begin, end)) = self.columns.filter(|_| self.from.is_some() || self.to.is_some()) else {
            return Ok(batch.clone());
        };
        let begun = filter_record_batch(batch, &self.begins(batch.column(begin)))?;
        let ends = self.ends(begun.column(end));
        Ok(filter_record_batch(&begun, &ends)?)
    }
}

fn moments(values: &ArrayRef, passes: impl Fn(Option<i64>) -> bool) -> BooleanArray {
    let values = values.as_primitive::<TimestampMicrosecondType>();
    values.iter().map(|moment| Some(passes(moment))).collect()
}

/// The ending of a file's name.
fn ending(file: &Path) -> Option<String> {
    Some(file.extension()?.to_str()?.to_ascii_lowercase())
}
