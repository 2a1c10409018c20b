//! `alerts`: what the agent's rules have found, as a list, or one alert with all that is known of it.

mod show;
mod watch;

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use daemoneye_dsl::alert::{Alert, AlertStatus, Level};
use daemoneye_dsl::completeness::Completeness;
use daemoneye_dsl::tables::{Catalog, Table as Declared};
use daemoneye_dsl::types::{Timestamp, Value};
use daemoneye_storage::{Reader, Scan, View};
use jiff::tz::TimeZone;

use crate::output::{Format, print, write_json};
use crate::progress::Progress;
use crate::query::incomplete;
use crate::render::{Align, Cell, Column, Extent, Table};
use crate::screen::{Mark, Screen, count, paint_of};
use crate::store;
use crate::{Ending, Globals, with_exit_codes};

/// Read alerts.
#[derive(Debug, clap::Args)]
pub(crate) struct Alerts {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(List),
    Show(show::Show),
    Watch(watch::Watch),
}

/// List alerts from the agent's store, newest first.
///
/// The store is only read, beside the agent if it runs. JSON output is the whole record of each alert, with the
/// process and its ancestors.
#[derive(Debug, clap::Args)]
#[command(after_long_help = with_exit_codes(EXAMPLES))]
struct List {
    /// How many at most
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    /// Of this level or a higher one
    #[arg(long, value_name = "LEVEL", value_parser = level)]
    level: Option<Level>,
    /// Raised by this rule; may be repeated
    #[arg(long, value_name = "RULE")]
    rule: Vec<String>,
    /// `open` (it still matches) or `resolved`
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Option<AlertStatus>,
    /// The agent's data directory [default: /var/lib/daemoneye for root, else ~/.local/state/daemoneye]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Exit with 1 when there are alerts
    #[arg(long)]
    exit_code: bool,
}

const EXAMPLES: &str = "\
Examples:
  daemoneye-cli alerts list --level high --status open
  daemoneye-cli alerts list -o ndjson | jq '[.id, .ancestors[].name]'";

pub(crate) fn run(alerts: &Alerts, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    match &alerts.command {
        Command::List(list) => run_list(list, globals, screen),
        Command::Show(show) => show::run(show, globals, screen),
        Command::Watch(watch) => watch::run(watch, globals, screen),
    }
}

fn run_list(list: &List, globals: &Globals, screen: &Screen) -> anyhow::Result<Ending> {
    let started = Instant::now();
    let progress = Progress::begin(screen, "reading the store");
    let stored = store::open(list.data.as_ref(), &globals.settings)?;
    let wanted = Wanted { level: list.level, rules: &list.rule, status: list.status, since: None };
    let found = wanted.find(&stored.view, list.limit)?;
    let alerts = found.newest.iter().map(|id| stored.view.alert(*id));
    let alerts: Vec<_> = alerts.filter_map(Result::transpose).collect::<Result<_, _>>()?;
    drop(progress);
    let elapsed_ms = started.elapsed().as_millis();
    let extent = write_list(&alerts, globals, screen)?;
    let mut parts = vec![list.counted(alerts.len(), &found), store::note(&stored)];
    if extent == Extent::Cut {
        parts.push("values cut to fit (--full shows them)".to_owned());
    }
    screen.say(Mark::Note, &format!("{} · {elapsed_ms} ms", parts.join(" · ")));
    if !found.completeness.is_complete() {
        screen.say(Mark::Warning, &incomplete(&found.completeness));
    }
    Ok(Ending::Done { found: list.exit_code && found.matching > 0, degraded: !found.completeness.is_complete() })
}

/// Which alerts to show.
struct Found {
    /// Newest first.
    newest: VecDeque<u64>,
    matching: usize,
    all: usize,
    completeness: Completeness,
}

/// What is asked for.
struct Wanted<'a> {
    level: Option<Level>,
    /// By these rules; by any if there are none.
    rules: &'a [String],
    status: Option<AlertStatus>,
    /// Counted up last then or later.
    since: Option<Timestamp>,
}

impl Wanted<'_> {
    /// The newest that are asked for, at most `limit`.
    fn find(&self, view: &View, limit: usize) -> anyhow::Result<Found> {
        let catalog = Catalog::builtin();
        let table = catalog.table("alerts").expect("a table of the catalog");
        let columns = ["id", "level", "rule", "status", "last_seen"].map(|name| position(table, name));
        let mut found = Found { newest: VecDeque::new(), matching: 0, all: 0, completeness: Completeness::default() };
        let scan = Scan::all(table, &columns);
        found.completeness = view.visit(&scan, &mut |batch| {
            for row in 0..batch.num_rows() {
                let cells: Vec<_> = batch.columns().iter().map(|column| Value::at(column, row)).collect();
                let text = |at: usize| cells[at].as_text().unwrap_or_default();
                let level = Level::parse(text(1)).unwrap_or(Level::Critical);
                found.all += 1;
                if self.takes(level, text(2), text(3), Timestamp(cells[4].as_timestamp().unwrap_or(i64::MAX))) {
                    found.matching += 1;
                    found.newest.push_front(cells[0].as_integer().map_or(0, i64::cast_unsigned));
                    found.newest.truncate(limit);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    fn takes(&self, level: Level, rule: &str, status: &str, last_seen: Timestamp) -> bool {
        self.level.is_none_or(|least| level >= least)
            && (self.rules.is_empty() || self.rules.iter().any(|wanted| wanted == rule))
            && self.status.is_none_or(|wanted| wanted.name() == status)
            && self.since.is_none_or(|since| last_seen >= since)
    }
}

impl List {
    /// `20 of 143 alerts that match, 250 in all (--limit 20)`.
    fn counted(&self, shown: usize, found: &Found) -> String {
        let of = count(found.matching, "alert", "alerts");
        let all = if found.matching < found.all { format!(" that match, {} in all", found.all) } else { String::new() };
        let cut = if shown < found.matching { format!(" (--limit {})", self.limit) } else { String::new() };
        format!("{shown} of {of}{all}{cut}")
    }
}

fn position(table: &Declared, name: &str) -> usize {
    table.column(name).expect("a column of the catalog").0
}

fn write_list(alerts: &[Alert], globals: &Globals, screen: &Screen) -> anyhow::Result<Extent> {
    let form = Format::of_data(globals.output);
    if let Some(form) = form.json() {
        let objects = alerts.iter().filter_map(|alert| serde_json::to_value(alert).ok()?.as_object().cloned());
        print(screen, |out| write_json(out, form, objects))?;
        return Ok(Extent::Whole);
    }
    let is_csv = form == Format::Csv;
    let time = |moment: Timestamp| if is_csv { moment.rfc3339() } else { local_second(moment, &screen.zone) };
    let columns = vec![
        Column::new("id", Align::Right),
        Column::new(if is_csv { "time".to_owned() } else { format!("time {}", offset(&screen.zone)) }, Align::Left),
        Column::new("level", Align::Left),
        Column::new("status", Align::Left),
        Column::new("rule", Align::Text),
        Column::new("title", Align::Text),
    ];
    let row = |alert: &Alert| {
        vec![
            Cell::new(alert.id.to_string()),
            Cell::new(time(alert.time)),
            Cell::painted(alert.level.name(), paint_of(alert.level)),
            Cell::new(alert.status.name()),
            Cell::new(alert.rule.name.as_str()),
            Cell::new(title(alert)),
        ]
    };
    let table = Table { columns, rows: alerts.iter().map(row).collect(), header: true, indent: 0 };
    Ok(print(screen, |out| table.write(out, form, screen, globals))?.unwrap_or(Extent::Whole))
}

/// How far the zone is from UTC at present: said once above the times, so that a line of 80 columns has room.
fn offset(zone: &TimeZone) -> String {
    jiff::Timestamp::now().to_zoned(zone.clone()).strftime("%:z").to_string()
}

fn local_second(moment: Timestamp, zone: &TimeZone) -> String {
    let shown = jiff::Timestamp::from_microsecond(moment.0).map(|it| it.to_zoned(zone.clone()));
    shown.map_or_else(|_| moment.rfc3339(), |it| it.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The title, and how often it happened if more than once.
fn title(alert: &Alert) -> String {
    match alert.dedup.count {
        0 | 1 => alert.title.clone(),
        count => format!("{count} × {}", alert.title),
    }
}

fn level(name: &str) -> Result<Level, String> {
    let names = Level::ALL.map(Level::name).join(", ");
    Level::parse(&name.to_lowercase()).ok_or_else(|| format!("one of {names}"))
}

fn status(name: &str) -> Result<AlertStatus, String> {
    let all = [AlertStatus::Open, AlertStatus::Resolved];
    all.into_iter().find(|status| status.name() == name).ok_or_else(|| "one of open, resolved".to_owned())
}
